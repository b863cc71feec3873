"""Compiled loops of reading, which run without the GIL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from niicache import native
from niicache.format.codec import BLOSC_HEADER_BYTES, CRC_BYTES, RESIDUE
from niicache.halves import as_bits, told

if TYPE_CHECKING:
    from collections.abc import Callable

HALVES = "bb513f151b8d8eac"
"""Digest of halves.py: numba keeps a stored loop until the loop's own file changes."""

FD, OFFSET, STORED, TARGET, DECODED, CRC = range(6)
"""Columns of the jobs of :func:`read_chunks`."""

RUN_BYTES: Final = 1024 * 1024
"""Neighbouring chunks are read together up to so many bytes."""

RUN_CHUNKS: Final = 256
"""And up to so many: a call takes 1,024 places at most (IOV_MAX), and these two a chunk."""

PROVEN: Final = -1
"""In place of a crc32c: an uncompressed chunk that was proven before."""

_pread = types.ExternalFunction(
    native.symbol("pread"), types.int64(types.int32, types.uintp, types.uintp, types.int64)
)
_preadv = types.ExternalFunction(
    native.symbol("preadv"), types.int64(types.int32, types.uintp, types.int32, types.int64)
)
_crc32c = types.ExternalFunction(native.symbol("crc32c"), types.uint32(types.uintp, types.uintp))
_blosc = types.ExternalFunction(
    native.symbol("blosc"), types.int32(types.uintp, types.uintp, types.uintp, types.int32)
)


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def _at(_context: Any, address: Any, like: Any) -> Any:
    """Return an address as a pointer to what ``like`` is an array of."""
    pointer = types.CPointer(like.dtype)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, like), build


def _compile(function: Callable[..., None]) -> Any:
    """Compile on first use and keep the result on disk, where there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no writable folder for its cache
        return numba.njit(nogil=True)(function)


@_compile
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
        if nbytes <= scratch.size and _pread(fd, base, nbytes, jobs[start, OFFSET]) == nbytes:
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


@_compile
def _number(scratch: Any, at: Any) -> Any:
    """Return a little-endian uint32."""
    return (
        np.int64(scratch[at])
        | np.int64(scratch[at + 1]) << 8
        | np.int64(scratch[at + 2]) << 16
        | np.int64(scratch[at + 3]) << 24
    )


@_compile
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


@_compile
def _gather(sources: Any, like: Any, out: Any, slots: Any, kind: Any) -> None:
    size = out.shape[1]
    for i in range(slots.size):
        target = out[slots[i]]
        if sources[i] == target.ctypes.data:  # decoded into the batch's own memory
            continue
        voxels = numba.carray(_at(sources[i], like), size)
        for j in range(size):
            target[j] = told(voxels[j], kind)


@_compile
def _gather_rows(
    jobs: Any, scratch: Any, like: Any, out: Any, slots: Any, kind: Any, sound: Any
) -> None:
    """Read cases that lie uncompressed in files, each straight into its place in the batch."""
    size = out.shape[1]
    base = scratch.ctypes.data
    voxels = numba.carray(_at(base, like), size)
    for i in range(slots.size):
        nbytes = jobs[i, STORED]
        sound[i] = _pread(np.int32(jobs[i, FD]), base, nbytes, jobs[i, OFFSET]) == nbytes
        target = out[slots[i]]
        for j in range(size):
            target[j] = told(voxels[j], kind)


def gather(sources: np.ndarray, dtype: np.dtype[Any], out: np.ndarray, slots: np.ndarray) -> None:
    """Copy cases into their places in a batch, converting the dtype on the way.

    Args:
        sources: (k,) int64, the address of the first voxel of each case. The caller holds on to
            the memory.
        dtype: Of the voxels there.
        out: (batch, voxels) array of any dtype, C-contiguous.
        slots: (k,) int64, where they go.
    """
    like, out, kind = as_bits(dtype, out)
    _gather(sources, np.empty(0, like), out, slots, kind)


def gather_rows(
    jobs: np.ndarray, scratch: np.ndarray, like: np.dtype[Any], out: np.ndarray, slots: np.ndarray
) -> np.ndarray:
    """Read cases from uncompressed chunks that were proven before, into their places in a batch.

    Args:
        jobs: (k, 6) int64 as for :func:`read_chunks`; ``STORED`` bytes at ``OFFSET`` are the case.
        scratch: (bytes,) uint8 of this thread alone, at least one case.
        like: dtype in the files.
        out: (batch, voxels) array of any dtype, C-contiguous.
        slots: (k,) int64, where they go.

    Returns:
        (k,) bool, which of them were read whole.
    """
    sound = np.zeros(len(jobs), np.bool_)
    if native.available():
        like, out, kind = as_bits(like, out)
        _gather_rows(jobs, scratch, np.empty(0, like), out, slots, kind, sound)
    return sound


@_compile
def copy_rows(
    begins: Any, like: Any, pitch: Any, pieces: Any, targets: Any, out: Any, kind: Any
) -> None:
    """Copy boxes of chunks into other arrays, row by row, converting the dtype on the way.

    Args:
        begins: (chunks,) int64, address of each decoded chunk, 0 for those that are not here.
        like: (0,) of the dtype there; halves by their bits.
        pitch: (2,) int64, how many elements apart slabs and rows of a chunk lie.
        pieces: (n, 7) int64: chunk, first element in it, target, first element in it, slabs, rows,
            elements of a row.
        targets: (k, 3) int64: address of each array, and its pitch.
        out: (0,) of the dtype there; halves by their bits.
        kind: What :func:`niicache.halves.told` has to do.
    """
    for i in range(pieces.shape[0]):
        begin = begins[pieces[i, 0]]
        if begin == 0:
            continue
        box, slabs, rows, count = pieces[i, 2], pieces[i, 4], pieces[i, 5], pieces[i, 6]
        source = begin + pieces[i, 1] * like.itemsize
        target = targets[box, 0] + pieces[i, 3] * out.itemsize
        for slab in range(slabs):
            for row in range(rows):
                here = source + (slab * pitch[0] + row * pitch[1]) * like.itemsize
                there = target + (slab * targets[box, 1] + row * targets[box, 2]) * out.itemsize
                voxels = numba.carray(_at(here, like), count)
                places = numba.carray(_at(there, out), count)
                for j in range(count):
                    places[j] = told(voxels[j], kind)
