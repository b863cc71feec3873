"""Compiled loops that read, prove and decode chunks. They run without the GIL."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from niicache import native
from niicache.compiling import compiled
from niicache.format.codec import BLOSC_HEADER_BYTES, CRC_BYTES, RESIDUE

FD, OFFSET, STORED, TARGET, DECODED, CRC = range(6)
"""Columns of the jobs of :func:`read_chunks`."""

RUN_BYTES: Final = 1024 * 1024
"""Neighbouring chunks are read together up to so many bytes."""

RUN_CHUNKS: Final = 256
"""And up to so many: a call takes 1,024 places at most (IOV_MAX), and these two a chunk."""

PROVEN: Final = -1
"""In place of a crc32c: an uncompressed chunk that was proven before."""

pread = types.ExternalFunction(
    native.symbol("pread"), types.int64(types.int32, types.uintp, types.uintp, types.int64)
)
_preadv = types.ExternalFunction(
    native.symbol("preadv"), types.int64(types.int32, types.uintp, types.int32, types.int64)
)
_crc32c = types.ExternalFunction(native.symbol("crc32c"), types.uint32(types.uintp, types.uintp))
_blosc = types.ExternalFunction(
    native.symbol("blosc"), types.int32(types.uintp, types.uintp, types.uintp, types.int32)
)


@compiled
def _read_packed(jobs: Any, scratch: Any, sound: Any) -> None:
    """Read compressed chunks run by run, prove each, decode it."""
    start = 0
    while start < jobs.shape[0]:
        stop, nbytes = start + 1, jobs[start, STORED]
        while (
            stop < jobs.shape[0]
            and jobs[stop, FD] == jobs[start, FD]
            and jobs[stop, OFFSET] == jobs[start, OFFSET] + nbytes
            and nbytes + jobs[stop, STORED] <= RUN_BYTES
        ):
            nbytes += jobs[stop, STORED]
            stop += 1
        base = scratch.ctypes.data
        fd = np.int32(jobs[start, FD])
        if nbytes <= scratch.size and pread(fd, base, nbytes, jobs[start, OFFSET]) == nbytes:
            at = 0
            for i in range(start, stop):
                stored, decoded = jobs[i, STORED], jobs[i, DECODED]
                end = at + stored
                if (
                    stored > CRC_BYTES + BLOSC_HEADER_BYTES
                    and _number(scratch, end - CRC_BYTES) == jobs[i, CRC]
                    and _crc32c(base + at, stored) == RESIDUE
                    # blosc believes its header, so the header has to be believable.
                    and _number(scratch, at + 4) == decoded
                    and _number(scratch, at + 12) == stored - CRC_BYTES
                    and _blosc(base + at, jobs[i, TARGET], decoded, 1) == decoded
                ):
                    sound[i] = True
                at = end
        start = stop


@compiled
def _number(scratch: Any, at: Any) -> Any:
    """Return a little-endian uint32."""
    return (
        np.int64(scratch[at])
        | np.int64(scratch[at + 1]) << 8
        | np.int64(scratch[at + 2]) << 16
        | np.int64(scratch[at + 3]) << 24
    )


@compiled
def _read_plain(jobs: Any, sound: Any) -> None:
    """Read chunks that are not compressed run by run, straight to where they go; prove each."""
    places = np.empty((RUN_CHUNKS, 2, 2), np.uintp)
    stored_crc = np.empty(CRC_BYTES, np.uint8)
    places[:, 1, 0], places[:, 1, 1] = stored_crc.ctypes.data, CRC_BYTES
    start = 0
    while start < jobs.shape[0]:
        stop, nbytes = start, 0
        while (
            stop < min(jobs.shape[0], start + RUN_CHUNKS)
            and jobs[stop, FD] == jobs[start, FD]
            and jobs[stop, OFFSET] == jobs[start, OFFSET] + nbytes
            and jobs[stop, STORED] == jobs[stop, DECODED] + CRC_BYTES
            and (stop == start or nbytes + jobs[stop, STORED] <= RUN_BYTES)
        ):
            places[stop - start, 0] = jobs[stop, TARGET], jobs[stop, DECODED]
            nbytes += jobs[stop, STORED]
            stop += 1
        count = np.int32(2 * (stop - start))
        fd = np.int32(jobs[start, FD])
        if count and _preadv(fd, places.ctypes.data, count, jobs[start, OFFSET]) == nbytes:
            for i in range(start, stop):
                sound[i] = (
                    jobs[i, CRC] == PROVEN
                    or _crc32c(jobs[i, TARGET], jobs[i, DECODED]) == jobs[i, CRC]
                )
        start = max(stop, start + 1)


def read_chunks(jobs: np.ndarray, scratch: np.ndarray, *, compressed: bool) -> np.ndarray:
    """Read, prove and decode chunks in one go.

    Args:
        jobs: (n, 6) int64, a row a chunk: file descriptor, offset in the file, stored bytes,
            address to decode to, decoded bytes, and the crc32c that belongs to its place, or
            :data:`PROVEN`.
        scratch: (bytes,) uint8 of this thread alone, at least the largest ``STORED``.
        compressed: By blosc, or not at all.

    Returns:
        (n,) bool, which chunks are where they should be. What became of the others, and why, is
        for the careful way to find out: :meth:`niicache.chunks.ChunkReader.read`.
    """
    sound = np.zeros(len(jobs), np.bool_)
    if not native.available():
        return sound
    if compressed:
        _read_packed(jobs, scratch, sound)
    else:
        _read_plain(jobs, sound)
    return sound
