"""Voxels that only change place: flips, quarter turns and shifts by whole voxels."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import compiled, piece, pointer, size_of
from niicache.augment.kernels.nearest import copy, fill_values
from niicache.augment.kernels.rows import CONSTANT, fold, holds

_INDEX = np.dtype(np.int64)


@compiled
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
        fill: Of the type of the output.
        scale: Of the type to reckon in.
        offset: The same.
    """
    stored, kind = like.dtype, out_like.dtype
    width = target[2] * target[3]
    strides = (shape[1] * shape[2], shape[2], 1)
    tables = (
        np.empty(target[0], np.int64),
        np.empty(target[1], np.int64),
        np.empty(target[2], np.int64),
    )
    for source_axis in range(3):
        for axis in range(3):
            if matrix[source_axis, axis] != 0.0:
                step, start = matrix[source_axis, axis], matrix[source_axis, 3]
                last, stride = shape[source_axis] - 1.0, strides[source_axis]
                _fill_table(tables[axis], step, start, last, stride, mode)
    first, end = 0, target[2]
    while first < end and tables[2][first] < 0:
        first += 1
    while first < end and tables[2][end - 1] < 0:
        end -= 1
    channels, item = target[3], size_of(kind)
    for x in range(target[0]):
        for y in range(target[1]):
            outside = tables[0][x] < 0 or tables[1][y] < 0
            start, stop = (0, 0) if outside else (first, end)
            row = out + (x * target[1] + y) * width * item
            fill_values(pointer(row, kind), 0, start * channels, fill)
            fill_values(pointer(row, kind), stop * channels, width, fill)
            index = pointer(tables[2].ctypes.data + start * size_of(_INDEX), _INDEX)
            at = source + (tables[0][x] + tables[1][y]) * channels * size_of(stored)
            block = pointer(row + start * channels * item, kind)
            copy(block, kind, index, stop - start, at, channels, stored, scale, offset)


@piece
def _fill_table(table: Any, step: Any, start: Any, last: Any, stride: Any, mode: Any) -> None:
    """Write how far each position of an output axis goes in the source, -1 for outside."""
    for j in range(table.size):
        place = start + j * step
        if mode == CONSTANT and not holds(place, last):
            table[j] = -1
        else:
            table[j] = int(fold(place, last, mode)) * stride
