"""The voxel that is nearest to each; of two as near, the one that comes later."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import compiled, load, part, size_of


@compiled
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


@compiled
def copy(
    out: Any,
    out_like: Any,
    index: Any,
    count: Any,
    source: Any,
    channels: Any,
    like: Any,
    fill: Any,
    scale: Any,
    offset: Any,
) -> None:
    """Write voxels by their index.

    Args:
        out: Pointer to numbers, written.
        out_like: Their dtype.
        index: Pointer to integers, in voxels; below 0 for what is filled.
        count: Voxels.
        source: Address.
        channels: Values of a voxel.
        like: Of the dtype of the source.
        fill: Of the type of ``out``.
        scale: Multiplied with each, where it or the offset says a thing.
        offset: Added to each.
    """
    one = out_like.type
    plain = scale == 1 and offset == 0  # then the bits stay, those of NaN and -0.0 as well
    for j in range(count):
        at = source + np.int64(index[j]) * (channels * size_of(like))
        for channel in range(channels):
            if index[j] < 0:
                out[j * channels + channel] = fill
            elif plain:
                out[j * channels + channel] = one(load(at + channel * size_of(like), like))
            else:
                value = load(at + channel * size_of(like), like)
                out[j * channels + channel] = one(value * scale + offset)
