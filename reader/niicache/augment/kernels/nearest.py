"""The voxel that is nearest to each; of two as near, the one that comes later."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import RGB, load, part, piece, size_of


@piece
def round_places(places: Any, double: Any, index: Any, count: Any, strides: Any) -> None:
    """Write the index of the nearest voxel for each of a block.

    Args:
        places: Address of the coordinates, inside of the source.
        double: Of float64.
        index: Pointer to int32, written.
        count: Voxels of the block.
        strides: Of the axes of the source, in voxels.
    """
    x, y, z = part(places, 0, double), part(places, 1, double), part(places, 2, double)
    plane, row = np.int32(strides[0]), np.int32(strides[1])
    for j in range(count):
        i, k, m = np.int32(x[j] + 0.5), np.int32(y[j] + 0.5), np.int32(z[j] + 0.5)
        index[j] = np.int32(i * plane + k * row + m)


@piece
def copy(
    out: Any,
    out_like: Any,
    index: Any,
    count: Any,
    source: Any,
    channels: Any,
    like: Any,
    scale: Any,
    offset: Any,
) -> None:
    """Write voxels by their index.

    Args:
        out: Pointer to numbers, written.
        out_like: Their dtype.
        index: Pointer to integers, in voxels.
        count: Voxels.
        source: Address.
        channels: Values of a voxel.
        like: Of the dtype of the source.
        scale: Pointer to what is multiplied with each channel; None where the bits stay, those of
            NaN and -0.0 as well.
        offset: Pointer to what is added to each.
    """
    if scale is None and channels == 1:  # constants, so that LLVM unrolls
        _keep(out, out_like, index, count, source, 1, like)
    elif scale is None and channels == RGB:
        _keep(out, out_like, index, count, source, RGB, like)
    elif scale is None:
        _keep(out, out_like, index, count, source, channels, like)
    elif channels == 1:
        _change(out, out_like, index, count, source, 1, like, scale, offset)
    elif channels == RGB:
        _change_three(out, out_like, index, count, source, like, scale, offset)
    else:
        _change(out, out_like, index, count, source, channels, like, scale, offset)


@piece
def _keep(
    out: Any, out_like: Any, index: Any, count: Any, source: Any, channels: Any, like: Any
) -> None:
    one, step, item = out_like.type, channels * size_of(like), size_of(like)
    for j in range(count):
        at = source + np.int64(index[j]) * step
        for channel in range(channels):
            out[j * channels + channel] = one(load(at + channel * item, like))


@piece
def _change(
    out: Any,
    out_like: Any,
    index: Any,
    count: Any,
    source: Any,
    channels: Any,
    like: Any,
    scale: Any,
    offset: Any,
) -> None:
    """Scale and shift: four channels at a time, or one; their numbers stay in registers."""
    one, step, item = out_like.type, channels * size_of(like), size_of(like)
    fours = channels // 4 * 4
    for first in range(0, fours, 4):
        a, b, c, d = scale[first], scale[first + 1], scale[first + 2], scale[first + 3]
        e, f, g, h = offset[first], offset[first + 1], offset[first + 2], offset[first + 3]
        for j in range(count):
            at, to = source + np.int64(index[j]) * step + first * item, j * channels + first
            out[to] = one(load(at, like) * a + e)
            out[to + 1] = one(load(at + item, like) * b + f)
            out[to + 2] = one(load(at + 2 * item, like) * c + g)
            out[to + 3] = one(load(at + 3 * item, like) * d + h)
    for channel in range(fours, channels):
        a, e, begin = scale[channel], offset[channel], source + channel * item
        for j in range(count):
            value = load(begin + np.int64(index[j]) * step, like)
            out[j * channels + channel] = one(value * a + e)


@piece
def _change_three(
    out: Any,
    out_like: Any,
    index: Any,
    count: Any,
    source: Any,
    like: Any,
    scale: Any,
    offset: Any,
) -> None:
    one, item = out_like.type, size_of(like)
    first = scale[0], scale[1], scale[2]
    after = offset[0], offset[1], offset[2]
    for j in range(count):
        at = source + np.int64(index[j]) * RGB * item
        for channel in range(RGB):
            value = load(at + channel * item, like)
            out[RGB * j + channel] = one(value * first[channel] + after[channel])


@piece
def fill_voxels(values: Any, start: Any, stop: Any, channels: Any, fill: Any) -> None:
    """Write what fills from one voxel to another.

    Args:
        values: Pointer to numbers, written.
        start: The first voxel.
        stop: The voxel after the last.
        channels: Values of a voxel.
        fill: Pointer to a number a channel.
    """
    if start >= stop:  # as for most rows
        return
    first, even = fill[0], True
    for channel in range(1, channels):
        even = even and fill[channel] == first
    if even:  # as vectors
        for j in range(start * channels, stop * channels):
            values[j] = first
        return
    for j in range(start, stop):
        for channel in range(channels):
            values[j * channels + channel] = fill[channel]
