"""Interpolation of voxels of several channels or of eight bytes, one voxel at a time."""

from __future__ import annotations

from typing import Any

from niicache.augment.kernels.compiling import RGB, part, piece, size_of
from niicache.augment.kernels.vectors import blend_four, blend_one, blend_three


@piece
def blend_voxels(
    out: Any,
    out_like: Any,
    index: Any,
    count: Any,
    source: Any,
    like: Any,
    weights: Any,
    real: Any,
    steps: Any,
    channels: Any,
    values: Any,
    flat: Any,
) -> None:
    """Load and interpolate a block.

    Args:
        out: Address of floats, written.
        out_like: Their dtype.
        index: Pointer to int32.
        count: Voxels of the block.
        source: Address.
        like: Its dtype.
        weights: Address of the weights along each axis.
        real: Their dtype.
        steps: Bytes to the next voxel of the first axis, of the second, of the last.
        channels: Values of a voxel.
        values: Scale and offset, pointers to a number a channel.
        flat: The first axis has no weight.
    """
    u, v, w = part(weights, 0, real), part(weights, 1, real), part(weights, 2, real)
    wide, scale, offset = channels * size_of(out_like), values[0], values[1]
    if channels == RGB:
        by, plus = (scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2])
        if flat:
            for j in range(count):
                to, at = out + j * wide, source + index[j] * steps[2]
                blend_three(to, at, steps[1:], (v[j], w[j]), by, plus, like, out_like)
            return
        for j in range(count):
            to, at = out + j * wide, source + index[j] * steps[2]
            blend_three(to, at, steps, (u[j], v[j], w[j]), by, plus, like, out_like)
        return
    fours = channels // 4 * 4
    for first in range(0, fours, 4):
        near, there = source + first * size_of(like), out + first * size_of(out_like)
        own = _four(scale, first), _four(offset, first)
        for j in range(count):
            at, to, weight = near + index[j] * steps[2], there + j * wide, (u[j], v[j], w[j])
            blend_four(to, at, steps, weight, own[0], own[1], like, out_like)
    for first in range(fours, channels):
        near, there = source + first * size_of(like), out + first * size_of(out_like)
        lone = (scale[first],), (offset[first],)
        for j in range(count):
            at, to, weight = near + index[j] * steps[2], there + j * wide, (u[j], v[j], w[j])
            blend_one(to, at, steps, weight, lone[0], lone[1], like, out_like)


@piece
def _four(numbers: Any, first: Any) -> Any:
    return numbers[first], numbers[first + 1], numbers[first + 2], numbers[first + 3]
