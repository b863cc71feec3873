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
        scale: Multiplied with each; None where the bits stay, those of NaN and -0.0 as well.
        offset: Added to each.
    """
    if channels == 1:  # constants, so that LLVM unrolls
        _copy(out, out_like, index, count, source, 1, like, scale, offset)
    elif channels == RGB:
        _copy(out, out_like, index, count, source, RGB, like, scale, offset)
    else:
        _copy(out, out_like, index, count, source, channels, like, scale, offset)


@piece
def _copy(
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
    one, step, item = out_like.type, channels * size_of(like), size_of(like)
    if scale is None:
        for j in range(count):
            at = source + np.int64(index[j]) * step
            for channel in range(channels):
                out[j * channels + channel] = one(load(at + channel * item, like))
        return
    for j in range(count):
        at = source + np.int64(index[j]) * step
        for channel in range(channels):
            value = load(at + channel * item, like)
            out[j * channels + channel] = one(value * scale + offset)


@piece
def fill_values(values: Any, start: Any, stop: Any, fill: Any) -> None:
    """Write the same number from one position to another."""
    for j in range(start, stop):
        values[j] = fill
