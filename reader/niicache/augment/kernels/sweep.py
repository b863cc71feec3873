"""The walk over the rows of an output, block by block."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from niicache.augment.kernels.blocks import enclose, place, split, trace
from niicache.augment.kernels.compiling import BLOCK, compiled, pointer, size_of
from niicache.augment.kernels.linear import interpolate
from niicache.augment.kernels.nearest import copy, fill_values, round_places
from niicache.augment.kernels.rows import CONSTANT, bases, inside, is_flat
from niicache.augment.kernels.spline import bend, flatten, taps

SCRATCH_BYTES: Final = BLOCK * 8 * (3 + 3 + 4 + 1 + 1)
"""Coordinates, weights, voxels, indices, what is outside."""


FLOAT_BYTES: Final = 4
_DOUBLE, _INDEX, _OUTER = np.dtype(np.float64), np.dtype(np.int32), np.dtype(np.uint8)
_TAP = np.dtype(np.intp)


@compiled
def sweep(
    source: Any,
    like: Any,
    out: Any,
    out_like: Any,
    cell: Any,
    smooth: Any,
    real: Any,
    matrix: Any,
    shape: Any,
    target: Any,
    pitch: Any,
    mode: Any,
    fill: Any,
    scale: Any,
    offset: Any,
    control: Any,
    taken: Any,
    room: Any,
    scratch: Any,
) -> None:
    """Fill an output.

    Args:
        source: Address of (X, Y, pitch, C) voxels.
        like: Their dtype.
        out: Address of (x, y, z, C) values.
        out_like: Their dtype.
        cell: Of what is loaded at once: the dtype of the source, or an unsigned type as
            large as two voxels of one channel.
        smooth: True interpolates; None takes the nearest voxel.
        real: The float type to reckon in.
        matrix: (3, 4) float64.
        shape: (X, Y, Z, C) of the source.
        target: (x, y, z, C).
        pitch: Voxels in memory from row to row of the source, at least 2 to interpolate.
        mode: One of the four of ``rows``.
        fill: Of the type of the output.
        scale: Of the type of ``real``, or of the output where that is an integer.
        offset: The same.
        control: (3, *points) float; empty where nothing is bent.
        taken: (4 * (x + y + z),) intp where there is a bend.
        room: (4 * (x + y + z) + 3 * points of the last two axes + 3 * of the last,) float64.
        scratch: (SCRATCH_BYTES,) uint8.
    """
    width = target[2] * shape[3]
    strides = (0 if shape[0] == 1 else shape[1] * pitch, 0 if shape[1] == 1 else pitch, 1)
    along = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    bent = control.size > 0
    _, a, b, c = control.shape
    which, weights = pointer(taken.ctypes.data, _TAP), pointer(room.ctypes.data, _DOUBLE)
    points = pointer(control.ctypes.data, control.dtype)
    positions = target[0] + target[1] + target[2]
    slab_at = room.ctypes.data + 8 * 4 * positions
    slab, line = pointer(slab_at, _DOUBLE), pointer(slab_at + 8 * 3 * b * c, _DOUBLE)
    if bent:
        taps(which, weights, 0, target[0], a)
        taps(which, weights, target[0], target[1], b)
        taps(which, weights, target[0] + target[1], target[2], c)
    for x in range(target[0]):
        if bent:
            flatten(slab, points, which, weights, x, a, b * c)
        for y in range(target[1]):
            if bent:
                flatten(line, slab, which, weights, target[0] + y, b, c)
            row = out + (x * target[1] + y) * width * size_of(out_like.dtype)
            geometry = (bases(matrix, x, y), along, shape, strides, mode, bent)
            numbers = (fill, scale, offset)
            spline = (line, c, which, weights, target[0] + target[1])
            _row(
                row, out_like.dtype, target[2], geometry, spline, scratch.ctypes.data,
                source, like.dtype, cell.dtype, smooth, real.dtype, numbers,
            )  # fmt: skip


@compiled
def _row(
    row: Any,
    out_like: Any,
    length: Any,
    geometry: Any,
    spline: Any,
    scratch: Any,
    source: Any,
    like: Any,
    cell: Any,
    smooth: Any,
    real: Any,
    numbers: Any,
) -> None:
    base, along, shape, strides, mode, bent = geometry
    fill, scale, offset = numbers
    channels = shape[3]
    start, stop = (0, 0) if bent else inside(base, along, shape, length)
    at, end = (start, stop) if mode == CONSTANT and not bent else (0, length)
    fill_values(pointer(row, out_like), 0, at * channels, fill)
    fill_values(pointer(row, out_like), end * channels, length * channels, fill)
    flat = is_flat(base, along, shape, bent)
    item = channels * size_of(like)
    steps = (strides[0] * item, strides[1] * item, item)
    index = pointer(scratch + 10 * 8 * BLOCK, _INDEX)
    outer = pointer(scratch + 11 * 8 * BLOCK, _OUTER)
    rooms = (scratch + 3 * 8 * BLOCK, scratch + 6 * 8 * BLOCK)
    while at < end:
        safe = start <= at < stop
        limit = stop if safe else (start if at < start else end)
        count = min(BLOCK, limit - at)
        block = row + at * channels * size_of(out_like)
        strays = False
        if smooth and safe and size_of(real) == FLOAT_BYTES:
            place(index, rooms[0], real, count, at, base, along, shape, strides)
        else:
            trace(scratch, _DOUBLE, count, at, base, along)
            if bent:
                bend(scratch, _DOUBLE, count, spline[4] + at, *spline[:4])
            if not safe:
                strays = enclose(scratch, _DOUBLE, outer, count, shape, mode)
            if smooth is None:
                round_places(scratch, _DOUBLE, index, count, strides)
            else:
                split(scratch, _DOUBLE, index, rooms[0], real, count, shape, strides)
        if smooth is None:
            copy(
                pointer(block, out_like),
                out_like,
                index,
                count,
                source,
                channels,
                like,
                scale,
                offset,
            )
        else:
            interpolate(
                block, out_like, index, count, source, like, cell, real, steps, channels, rooms,
                (scale, offset), flat,
            )  # fmt: skip
        if strays:
            for j in range(count):
                if outer[j]:
                    fill_values(pointer(block, out_like), j * channels, (j + 1) * channels, fill)
        at += count
