"""Voxels that only change place: flips, quarter turns and shifts by whole voxels."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import piece, pointer, size_of
from niicache.augment.kernels.nearest import copy, fill_voxels
from niicache.augment.kernels.rows import CONSTANT, fold, holds

_INDEX = np.dtype(np.int64)


@piece
def move(
    source: Any,
    like: Any,
    out: Any,
    out_like: Any,
    matrix: Any,
    shape: Any,
    target: Any,
    mode: Any,
    fill: Any,
    scale: Any,
    offset: Any,
    room: Any,
) -> None:
    """Fill an output by index arithmetic.

    Args:
        source: Address of (X, Y, Z, C) voxels.
        like: Their dtype.
        out: Address of (x, y, z, C) values.
        out_like: Their dtype.
        matrix: (3, 4) float64, whole numbers: a signed permutation and a shift.
        shape: (X, Y, Z, C) of the source.
        target: (x, y, z, C).
        mode: One of the four of ``rows``.
        fill: Pointer to a number a channel, of the type of the output.
        scale: The same, of the type to reckon in; None with the offset where the bits stay.
        offset: The same.
        room: (x + y + z,) int64.
    """
    stored, kind = like.dtype, out_like.dtype
    width, item = target[2] * target[3], target[3] * size_of(kind)
    strides = (shape[1] * shape[2], shape[2], 1)
    begin = 0
    for axis in range(3):
        table = pointer(room.ctypes.data + begin * size_of(_INDEX), _INDEX)
        _fill_table(table, matrix, axis, target[axis], shape, strides, mode)
        begin += target[axis]
    slabs = pointer(room.ctypes.data, _INDEX)
    lines = pointer(room.ctypes.data + target[0] * size_of(_INDEX), _INDEX)
    places_at = room.ctypes.data + (target[0] + target[1]) * size_of(_INDEX)
    places = pointer(places_at, _INDEX)
    first, end = _ends(places, target[2])
    for x in range(target[0]):
        for y in range(target[1]):
            outside = slabs[x] < 0 or lines[y] < 0
            start, stop = (0, 0) if outside else (first, end)
            row = out + (x * target[1] + y) * width * size_of(kind)
            fill_voxels(pointer(row, kind), 0, start, target[3], fill)
            fill_voxels(pointer(row, kind), stop, target[2], target[3], fill)
            index = pointer(places_at + start * size_of(_INDEX), _INDEX)
            at = source + (slabs[x] + lines[y]) * target[3] * size_of(stored)
            block = pointer(row + start * item, kind)
            copy(block, kind, index, stop - start, at, target[3], stored, scale, offset)


@piece
def _fill_table(
    table: Any, matrix: Any, axis: Any, count: Any, shape: Any, strides: Any, mode: Any
) -> None:
    """Write how far each position of an output axis goes in the source, -1 for outside."""
    for source_axis in range(3):
        step, start = matrix[source_axis, axis], matrix[source_axis, 3]
        last, stride = shape[source_axis] - 1.0, strides[source_axis]
        if step != 0.0:
            for j in range(count):
                place = start + j * step
                if mode == CONSTANT and not holds(place, last):
                    table[j] = -1
                else:
                    table[j] = int(fold(place, last, mode)) * stride


@piece
def _ends(table: Any, count: Any) -> Any:
    """Return the first and the end of the positions that are inside."""
    first, end = 0, count
    while first < end and table[first] < 0:
        first += 1
    while first < end and table[end - 1] < 0:
        end -= 1
    return first, end
