"""Interpolation of voxels of several channels or many bytes: each of the eight is loaded."""

from __future__ import annotations

from typing import Any

from niicache.augment.kernels.compiling import between, compiled, contracted, load, part


@compiled
def fetch(
    corners: Any,
    like: Any,
    index: Any,
    count: Any,
    source: Any,
    steps: Any,
    channels: Any,
    flat: Any,
) -> None:
    """Load the four or eight voxels around each of a block.

    Args:
        corners: Address of eight parts, written.
        like: (0,) of their dtype, that of the source.
        index: Pointer to int32.
        count: Voxels of the block.
        source: Address.
        steps: Bytes to the next voxel of the first axis, of the second, of the last.
        channels: Values of a voxel.
        flat: Four are enough.
    """
    near = 4 if flat else 8
    for corner in range(near):
        row = part(corners, corner, like)
        start = source
        if corner & 1:
            start += steps[2]
        if corner & 2:
            start += steps[1]
        if corner & 4:
            start += steps[0]
        for j in range(count):
            at = start + index[j] * steps[2]
            for channel in range(channels):
                row[j * channels + channel] = load(at + channel * like.itemsize, like)


@compiled
def spread(wide: Any, weights: Any, real: Any, count: Any, channels: Any) -> None:
    """Repeat each weight of a block for each channel.

    Args:
        wide: Address of three parts, written.
        weights: Address of the weights along each axis.
        real: (0,) of the dtype of both.
        count: Voxels of the block.
        channels: Values of a voxel.
    """
    for axis in range(3):
        row, given = part(wide, axis, real), part(weights, axis, real)
        for j in range(count):
            for channel in range(channels):
                row[j * channels + channel] = given[j]


@contracted
def blend(
    out: Any,
    corners: Any,
    like: Any,
    wide: Any,
    real: Any,
    count: Any,
    scale: Any,
    offset: Any,
    flat: Any,
) -> None:
    """Interpolate a block of corners.

    Args:
        out: Pointer to floats, written.
        corners: Address of what :func:`fetch` wrote.
        like: (0,) of the dtype of a voxel.
        wide: Address of what :func:`spread` wrote.
        real: (0,) of its dtype.
        count: Values of the block.
        scale: Multiplied with each, of the type of the weights.
        offset: Added to each, of the type of the weights.
        flat: The first axis has no weight.
    """
    to = real.dtype.type
    u, v, w = part(wide, 0, real), part(wide, 1, real), part(wide, 2, real)
    a, b = part(corners, 0, like), part(corners, 1, like)
    c, d = part(corners, 2, like), part(corners, 3, like)
    if flat:
        for j in range(count):
            one, two = between(to(a[j]), to(b[j]), w[j]), between(to(c[j]), to(d[j]), w[j])
            out[j] = between(one, two, v[j]) * scale + offset
        return
    e, f = part(corners, 4, like), part(corners, 5, like)
    g, h = part(corners, 6, like), part(corners, 7, like)
    for j in range(count):
        one, two = between(to(a[j]), to(b[j]), w[j]), between(to(c[j]), to(d[j]), w[j])
        near = between(one, two, v[j])
        one, two = between(to(e[j]), to(f[j]), w[j]), between(to(g[j]), to(h[j]), w[j])
        out[j] = between(near, between(one, two, v[j]), u[j]) * scale + offset
