"""Small arrays (columns, checksums of chunks) from their bytes. Pure.

Our own few lines in place of a Zarr library, which believes what it reads: metadata that promise
much, or strings that say they are longer than the file, cost memory there before they are refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import FormatError
from niicache.format.array_checks import small_array_problems
from niicache.format.codec import ChunkError, unzstd
from niicache.format.names import ROOT
from niicache.format.paths import most_decoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache.format.geometry import Shape

LENGTH_BYTES = 4


def decode_column(files: Mapping[str, bytes], dtype: str, shape: Shape) -> np.ndarray:
    """Return the whole of a small array.

    Args:
        files: Key below the array (``zarr.json``, ``c/0``, ...) to content.
        dtype: ``"string"``, or a numpy name.
        shape: What the manifest calls for.

    Raises:
        FormatError: The files are not such an array; names everything that is wrong with them.
    """
    problems = small_array_problems(files[ROOT], dtype, shape)
    if problems:
        raise FormatError("; ".join(problems))
    if not all(shape):
        return np.zeros(shape, dtype)
    (data,) = (content for key, content in files.items() if key != ROOT)
    try:
        payload = unzstd(data, most_decoded(dtype, shape))
        if dtype == "string":
            strings = _strings(payload, math.prod(shape))
            return np.array(strings, np.dtypes.StringDType()).reshape(shape)
    except (ChunkError, UnicodeDecodeError) as error:
        raise FormatError(str(error)) from error
    if len(payload) != most_decoded(dtype, shape):
        raise FormatError(f"{len(payload):,} bytes for an array of {shape} {dtype}")
    return np.frombuffer(payload, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _strings(payload: bytes, count: int) -> list[str]:
    """Return the strings of Zarr's ``vlen-utf8``: their number, then length and bytes of each."""
    found = []
    at = LENGTH_BYTES
    # A manifest may call for more than such a number holds.
    if len(payload) < at or int.from_bytes(payload[:at], "little") != count:
        raise ChunkError(f"another number of strings than {count:,}")
    for _ in range(count):
        start = at + LENGTH_BYTES
        end = start + int.from_bytes(payload[at:start], "little")
        if end > len(payload) or start > len(payload):
            raise ChunkError(f"strings that end after {len(payload):,} bytes")
        found.append(payload[start:end].decode())
        at = end
    if at != len(payload):
        raise ChunkError(f"{len(payload) - at:,} bytes after the last string")
    return found
