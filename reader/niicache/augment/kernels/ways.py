"""The ways to the values of a block, chosen by types, so that only what is needed is compiled."""

# ruff: noqa: ARG001  # all ways share one signature
from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import overload

from niicache.augment.kernels.blocks import enclose, place, split, trace
from niicache.augment.kernels.channels import blend_voxels
from niicache.augment.kernels.compiling import BLOCK, piece, pointer, size_of
from niicache.augment.kernels.nearest import copy, round_places
from niicache.augment.kernels.pairs import blend_pairs, fetch_pairs
from niicache.augment.kernels.rows import NEAREST
from niicache.augment.kernels.spline import move_along

SCRATCH_BYTES: Final = BLOCK * 8 * (3 + 3 + 4 + 1 + 1)
"""Coordinates, weights, voxels, indices, what is outside."""

WEIGHTS, VOXELS, INDICES, OUTER_AT = (8 * BLOCK * parts for parts in (3, 6, 10, 11))
"""Where they begin."""

_FLOAT_BYTES: Final = 4
DOUBLE, INDEX, OUTER = np.dtype(np.float64), np.dtype(np.int32), np.dtype(np.uint8)


def locate(
    scratch: Any, real: Any, count: Any, at: Any, safe: Any, geometry: Any, line: Any, smooth: Any
) -> Any:
    """Write indices and weights of a block, and return whether some of it is outside.

    Args:
        scratch: Address.
        real: Dtype of the weights.
        count: Voxels of the block.
        at: Position of the first of them in its row.
        safe: All of them are inside.
        geometry: Base and step of the row, shape, strides, mode.
        line: How the row is bent, or None.
        smooth: True, or None for the nearest voxel, which has no weights.
    """


@overload(locate, strict=False)  # type: ignore[untyped-decorator]  # numba ships no types
def _locate(
    scratch: Any, real: Any, count: Any, at: Any, safe: Any, geometry: Any, line: Any, smooth: Any
) -> Any:
    if isinstance(smooth, types.NoneType):
        return _locate_nearest
    return _locate_quickly if real.dtype == types.float32 else _locate_linear


@piece
def clamps(real: Any, mode: Any) -> Any:
    """Return whether interpolation by so wide weights needs no other care for what is outside."""
    return size_of(real) == _FLOAT_BYTES and mode == NEAREST


def _locate_nearest(
    scratch: Any, real: Any, count: Any, at: Any, safe: Any, geometry: Any, line: Any, smooth: Any
) -> Any:
    base, along, shape, strides, mode = geometry
    trace(scratch, DOUBLE, count, at, base, along)
    move_along(scratch, DOUBLE, count, at, line)
    outer = pointer(scratch + OUTER_AT, OUTER)
    strays = False if safe else enclose(scratch, DOUBLE, outer, count, shape, mode)
    round_places(scratch, DOUBLE, pointer(scratch + INDICES, INDEX), count, strides)
    return strays


def _locate_linear(
    scratch: Any, real: Any, count: Any, at: Any, safe: Any, geometry: Any, line: Any, smooth: Any
) -> Any:
    base, along, shape, strides, mode = geometry
    trace(scratch, DOUBLE, count, at, base, along)
    move_along(scratch, DOUBLE, count, at, line)
    outer = pointer(scratch + OUTER_AT, OUTER)
    strays = False if safe else enclose(scratch, DOUBLE, outer, count, shape, mode)
    index = pointer(scratch + INDICES, INDEX)
    split(scratch, DOUBLE, index, scratch + WEIGHTS, real, count, shape, strides)
    return strays


def _locate_quickly(
    scratch: Any, real: Any, count: Any, at: Any, safe: Any, geometry: Any, line: Any, smooth: Any
) -> Any:
    base, along, shape, strides, mode = geometry
    index = pointer(scratch + INDICES, INDEX)
    if safe:  # and not bent
        place(index, scratch + WEIGHTS, real, count, at, base, along, shape, strides)
        return False
    trace(scratch, DOUBLE, count, at, base, along)
    move_along(scratch, DOUBLE, count, at, line)
    outer = pointer(scratch + OUTER_AT, OUTER)
    strays = enclose(scratch, DOUBLE, outer, count, shape, mode)
    split(scratch, DOUBLE, index, scratch + WEIGHTS, real, count, shape, strides)
    return strays


def write(
    block: Any,
    out_like: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    smooth: Any,
    values: Any,
    flat: Any,
) -> None:
    """Load what was located, interpolate it, write it.

    Args:
        block: Address of numbers, written.
        out_like: Their dtype.
        count: Voxels of the block.
        source: Address.
        like: The dtype of the source.
        cell: Of what is loaded at once: pairs where it is not that of the source.
        real: The dtype of the weights.
        steps: Bytes to the next voxel of the first axis, of the second, of the last.
        channels: Values of a voxel.
        scratch: Address.
        smooth: True, or None for the nearest voxel.
        values: Scale and offset, pointers to a number a channel.
        flat: The first axis has no weight.
    """


@overload(write, strict=False)  # type: ignore[untyped-decorator]
def _write(
    block: Any,
    out_like: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    smooth: Any,
    values: Any,
    flat: Any,
) -> Any:
    if isinstance(smooth, types.NoneType):
        return _write_nearest
    return _write_voxels if cell.dtype == like.dtype else _write_pairs


def _write_nearest(
    block: Any,
    out_like: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    smooth: Any,
    values: Any,
    flat: Any,
) -> None:
    index = pointer(scratch + INDICES, INDEX)
    to = pointer(block, out_like)
    copy(to, out_like, index, count, source, channels, like, values[0], values[1])


def _write_pairs(
    block: Any,
    out_like: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    smooth: Any,
    values: Any,
    flat: Any,
) -> None:
    voxels, weights = scratch + VOXELS, scratch + WEIGHTS
    fetch_pairs(voxels, cell, pointer(scratch + INDICES, INDEX), count, source, steps, flat)
    to = pointer(block, out_like)
    blend_pairs(to, voxels, like, weights, real, count, values[0][0], values[1][0], flat)


def _write_voxels(
    block: Any,
    out_like: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    smooth: Any,
    values: Any,
    flat: Any,
) -> None:
    index, weights = pointer(scratch + INDICES, INDEX), scratch + WEIGHTS
    blend_voxels(
        block, out_like, index, count, source, like, weights, real, steps, channels, values, flat
    )
