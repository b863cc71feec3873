"""Interpolation between the eight voxels around each, in one of two ways."""

# ruff: noqa: ARG001  # both ways share one signature
from __future__ import annotations

from typing import Any

from numba.extending import overload

from niicache.augment.kernels.compiling import RGB
from niicache.augment.kernels.corners import blend, fetch, spread
from niicache.augment.kernels.pairs import blend_pairs, fetch_pairs


def interpolate(
    out: Any,
    index: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    values: Any,
    flat: Any,
) -> None:
    """Load and interpolate a block, by pairs where a cell holds two voxels.

    Args:
        out: Pointer to floats, written.
        index: Pointer to int32.
        count: Voxels of the block.
        source: Address.
        like: (0,) of the dtype of the source.
        cell: (0,) of what is loaded at once.
        real: (0,) of the dtype of the weights.
        steps: Bytes to the next voxel of the first axis, of the second, of the last.
        channels: Values of a voxel, at most BLOCK.
        scratch: Addresses of the weights, of room for those of each channel, and for voxels.
        values: Scale and offset.
        flat: The first axis has no weight.
    """


@overload(interpolate, strict=False)  # type: ignore[untyped-decorator]
def _interpolate(
    out: Any,
    index: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    values: Any,
    flat: Any,
) -> Any:
    """Choose the way when the types are known, so that only one is compiled."""
    return _by_corners if cell.dtype == like.dtype else _by_pairs


def _by_pairs(
    out: Any,
    index: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    values: Any,
    flat: Any,
) -> None:
    weights, _, voxels = scratch
    fetch_pairs(voxels, cell, index, count, source, steps, flat)
    blend_pairs(out, voxels, like, weights, real, count, values[0], values[1], flat)


def _by_corners(
    out: Any,
    index: Any,
    count: Any,
    source: Any,
    like: Any,
    cell: Any,
    real: Any,
    steps: Any,
    channels: Any,
    scratch: Any,
    values: Any,
    flat: Any,
) -> None:
    weights, wide, voxels = scratch
    if channels == RGB:
        fetch(voxels, like, index, count, source, steps, RGB, flat)
        spread(wide, weights, real, count, RGB)
    else:
        fetch(voxels, like, index, count, source, steps, channels, flat)
        spread(wide, weights, real, count, channels)
    blend(out, voxels, like, wide, real, count * channels, values[0], values[1], flat)
