"""Small arrays of a cache (columns, checksums of chunks), decoded by zarr-python.

The only module here that imports zarr. It is given bytes that are already proven, so that zarr
never meets a missing file, for which it would return fill values without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping


def decode_array(files: Mapping[str, bytes]) -> np.ndarray:
    """Return the whole of a Zarr v3 array.

    Args:
        files: Key below the array (``zarr.json``, ``c/0``, ...) to content.
    """
    make = default_buffer_prototype().buffer.from_bytes
    store = MemoryStore({key: make(data) for key, data in files.items()}, read_only=True)
    return np.asarray(zarr.open_array(store, mode="r")[...])
