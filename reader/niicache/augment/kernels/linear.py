"""Interpolation between the eight voxels around each, in one of two ways."""

# ruff: noqa: ARG001  # both ways share one signature
from __future__ import annotations

from typing import Any

from numba.extending import overload

from niicache.augment.kernels.channels import blend_voxels
from niicache.augment.kernels.compiling import pointer
from niicache.augment.kernels.pairs import blend_pairs, fetch_pairs


def interpolate(
    out: Any,
    out_like: Any,
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
        out: Address of floats, written.
        out_like: Their dtype.
        index: Pointer to int32.
        count: Voxels of the block.
        source: Address.
        like: The dtype of the source.
        cell: Of what is loaded at once.
        real: The dtype of the weights.
        steps: Bytes to the next voxel of the first axis, of the second, of the last.
        channels: Values of a voxel.
        scratch: Addresses of the weights and of room for voxels.
        values: Scale and offset.
        flat: The first axis has no weight.
    """


@overload(interpolate, strict=False)  # type: ignore[untyped-decorator]
def _interpolate(
    out: Any,
    out_like: Any,
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
    return _by_voxels if cell.dtype == like.dtype else _by_pairs


def _by_pairs(
    out: Any,
    out_like: Any,
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
    weights, voxels = scratch
    fetch_pairs(voxels, cell, index, count, source, steps, flat)
    blend_pairs(
        pointer(out, out_like), voxels, like, weights, real, count, values[0], values[1], flat
    )


def _by_voxels(
    out: Any,
    out_like: Any,
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
    blend_voxels(
        out, out_like, index, count, source, like, scratch[0], real, steps, channels, values, flat
    )
