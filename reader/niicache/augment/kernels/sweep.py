"""The walk over the rows of an output, block by block."""

from __future__ import annotations

from typing import Any

from niicache.augment.kernels.blocks import tame
from niicache.augment.kernels.compiling import BLOCK, piece, pointer, size_of
from niicache.augment.kernels.nearest import fill_voxels
from niicache.augment.kernels.rows import CONSTANT, bases, inside, is_flat
from niicache.augment.kernels.spline import line_of, tables
from niicache.augment.kernels.ways import OUTER, OUTER_AT, clamps, locate, write


@piece
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
    bend: Any,
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
        fill: Pointer to a number a channel, of the type of the output.
        scale: The same, of the type of ``real``; None for the nearest voxel where the bits stay.
        offset: The same.
        bend: What :func:`~niicache.augment.kernels.spline.tables` takes; None where nothing is
            bent, for which loops without it are compiled.
        scratch: (SCRATCH_BYTES,) uint8.
    """
    row_bytes = target[2] * shape[3] * size_of(out_like.dtype)
    strides = (0 if shape[0] == 1 else shape[1] * pitch, 0 if shape[1] == 1 else pitch, 1)
    along = (matrix[0, 2], matrix[1, 2], matrix[2, 2])
    numbers = (fill, scale, offset)
    spline = tables(bend, target)
    for x in range(target[0]):
        for y in range(target[1]):
            row = out + (x * target[1] + y) * row_bytes
            geometry = (bases(matrix, x, y), along, shape, strides, mode)
            line = line_of(spline, x, y, target)
            _row(
                row, out_like.dtype, target[2], geometry, line, scratch.ctypes.data,
                source, like.dtype, cell.dtype, smooth, real.dtype, numbers,
            )  # fmt: skip


@piece
def _row(
    row: Any,
    out_like: Any,
    length: Any,
    geometry: Any,
    line: Any,
    scratch: Any,
    source: Any,
    like: Any,
    cell: Any,
    smooth: Any,
    real: Any,
    numbers: Any,
) -> None:
    """Fill a row: what is outside at both its ends, what may be, and what is inside."""
    base, along, shape, strides, mode = geometry
    fill, channels = numbers[0], shape[3]
    if line is not None:
        start, stop = 0, 0
    elif smooth is not None and clamps(real, mode) and tame(base, along, length):
        start, stop = 0, length
    else:
        start, stop = inside(base, along, shape, length)
    at, end = (start, stop) if mode == CONSTANT and line is None else (0, length)
    fill_voxels(pointer(row, out_like), 0, at, channels, fill)
    fill_voxels(pointer(row, out_like), end, length, channels, fill)
    flat = is_flat(base, along, shape, line is not None)
    item = channels * size_of(like)
    steps = (strides[0] * item, strides[1] * item, item)
    while at < end:
        safe = start <= at < stop
        limit = stop if safe else (start if at < start else end)
        count = min(BLOCK, limit - at)
        block = row + at * channels * size_of(out_like)
        strays = locate(scratch, real, count, at, safe, geometry, line, smooth)
        write(
            block, out_like, count, source, like, cell, real, steps, channels, scratch, smooth,
            numbers[1:], flat,
        )  # fmt: skip
        if strays:
            outer = pointer(scratch + OUTER_AT, OUTER)
            for j in range(count):
                if outer[j]:
                    fill_voxels(pointer(block, out_like), j, j + 1, channels, fill)
        at += count
