"""Voxels from where chunks are decoded, or lie in files, to their places: converted on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from niicache import native
from niicache.compiling import compiled
from niicache.halves import as_bits, told
from niicache.kernels import FD, OFFSET, STORED, pread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape

MADE_OF: Final = "dd5ae75ac9066c4b"
"""Digest of halves.py and kernels.py: numba keeps a stored loop until the loop's file changes."""


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def _at(_context: Any, address: Any, like: Any) -> Any:
    """Return an address as a pointer to what ``like`` is an array of."""
    pointer = types.CPointer(like.dtype)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, like), build


@compiled
def _gather(sources: Any, like: Any, out: Any, slots: Any, kind: Any) -> None:
    size = out.shape[1]
    for i in range(slots.size):
        target = out[slots[i]]
        if sources[i] == target.ctypes.data:  # decoded into the batch's own memory
            continue
        voxels = numba.carray(_at(sources[i], like), size)
        for j in range(size):
            target[j] = told(voxels[j], kind)


@compiled
def _gather_rows(
    jobs: Any, scratch: Any, like: Any, out: Any, slots: Any, kind: Any, sound: Any
) -> None:
    """Read cases that lie uncompressed in files, each straight into its place in the batch."""
    size = out.shape[1]
    base = scratch.ctypes.data
    voxels = numba.carray(_at(base, like), size)
    for i in range(slots.size):
        nbytes = jobs[i, STORED]
        sound[i] = pread(np.int32(jobs[i, FD]), base, nbytes, jobs[i, OFFSET]) == nbytes
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


@compiled
def _copy_rows(
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


def copy_pieces(
    begins: np.ndarray,
    dtype: np.dtype[Any],
    chunk: Shape,
    pieces: np.ndarray,
    boxes: Sequence[np.ndarray],
) -> None:
    """Copy pieces of chunks to their places in boxes, converting the dtype on the way.

    Args:
        begins: (chunks,) int64, address of each decoded chunk, 0 for those that are not here. The
            caller holds on to the memory.
        dtype: Of their voxels.
        chunk: ``(cases, *block, channel)``.
        pieces: As :attr:`~niicache.patches.regions.Regions.pieces`.
        boxes: ``(*spatial, channel)`` each, C-contiguous, all of one dtype.
    """
    targets = np.array([[_begin(box), *_pitch(box.shape)] for box in boxes], np.int64)
    pitch = np.array(_pitch(chunk[1:]), np.int64)
    like, out, kind = as_bits(dtype, np.empty(0, boxes[0].dtype))
    _copy_rows(begins, np.empty(0, like), pitch, pieces, targets, out, kind)


def _begin(box: np.ndarray) -> int:
    begin: int = box.__array_interface__["data"][0]
    return begin


def _pitch(shape: Shape) -> tuple[int, int]:
    """Return how many elements apart slabs and rows of a box lie; a plane is one slab."""
    row = shape[-1] * shape[-2]
    return row * shape[-3], row
