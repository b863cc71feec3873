"""A checksum of voxels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isal import isal_zlib

if TYPE_CHECKING:
    import numpy as np


def voxels_crc(channel: np.ndarray) -> int:
    """Return the crc32 (as zlib's) of the voxels of a channel, first axis fastest.

    That is how a NIfTI file has them, so mostly nothing is copied; 18 MB take 2 ms.
    """
    return int(isal_zlib.crc32(channel.reshape(-1, order="F")))
