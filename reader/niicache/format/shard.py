"""The index at the end of a shard: where each chunk lies in it.

Zarr v3 ``sharding_indexed`` with ``index_location: end`` and index codecs ``[bytes, crc32c]``:
(offset, nbytes) of each chunk as little-endian uint64, then a crc32c.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from niicache.format.codec import CRC_BYTES, ChunkError, crc32c

ABSENT: Final = 2**64 - 1
"""Both numbers of a chunk that is not stored. Only chunks beyond the last case are absent."""


def index_nbytes(chunks: int) -> int:
    """Return the length in bytes of the index of a shard with that many places for chunks."""
    return 16 * chunks + CRC_BYTES


def pack_index(extents: list[tuple[int, int]], chunks: int) -> bytes:
    """Return the bytes of an index.

    Args:
        extents: (offset, nbytes) of the first chunks, in C order of the shard's chunk grid.
        chunks: Places in the shard; those after ``extents`` are marked absent.
    """
    table = np.full((chunks, 2), ABSENT, "<u8")
    if extents:
        table[: len(extents)] = extents
    body = table.tobytes()
    return body + crc32c(body).to_bytes(CRC_BYTES, "little")


def unpack_index(
    data: bytes, chunks: int, file_size: int, *, most: int | None = None
) -> np.ndarray:
    """Return the index as (chunks, 2) uint64 array of offset and nbytes.

    Args:
        data: The last :func:`index_nbytes` bytes of the shard.
        chunks: Places in the shard.
        file_size: Bytes of the whole shard.
        most: Bytes that a stored chunk takes at most, where the caller knows it.

    Raises:
        ChunkError: The crc32c does not hold, a chunk lies outside the file or is too long, or two
            share bytes.
    """
    if len(data) != index_nbytes(chunks):
        raise ChunkError(f"a shard index of {len(data)} bytes in place of {index_nbytes(chunks)}")
    body = data[:-CRC_BYTES]
    if crc32c(body) != int.from_bytes(data[-CRC_BYTES:], "little"):
        raise ChunkError("the crc32c of the shard index does not hold")
    table = np.frombuffer(body, "<u8").reshape(chunks, 2)
    stored = table[table[:, 0] != ABSENT]
    room = np.uint64(file_size - len(data))
    # Compared without adding, because a lying offset plus nbytes may wrap around.
    if np.any(stored[:, 1] > room) or np.any(stored[:, 0] > room - stored[:, 1]):
        raise ChunkError("the shard index points outside the file")
    if most is not None and np.any(stored[:, 1] > most):
        raise ChunkError(f"the shard index has a chunk of more than {most} bytes")
    stored = stored[np.argsort(stored[:, 0], kind="stable")]
    if np.any(stored[:-1].sum(axis=1) > stored[1:, 0]):
        raise ChunkError("the shard index has two chunks share bytes")
    return table
