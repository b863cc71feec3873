"""Interpolation of voxels of one channel: each is loaded together with the one after it."""

from __future__ import annotations

from functools import partial
from typing import Any

from niicache.augment.kernels.compiling import (
    BLOCK,
    ONCE,
    between,
    load,
    part,
    piece,
    pointer,
    size_of,
)


@piece
def fetch_pairs(
    pairs: Any, cell: Any, index: Any, count: Any, source: Any, steps: Any, flat: Any
) -> None:
    """Load each voxel of a block and its neighbour in one, from two or four rows.

    Args:
        pairs: Address of four parts, written.
        cell: Their dtype, an unsigned type as large as two voxels.
        index: Pointer to int32.
        count: Voxels of the block.
        source: Address.
        steps: Bytes to the next voxel of the first axis, of the second, of the last.
        flat: Two rows are enough.
    """
    one, two = part(pairs, 0, cell), part(pairs, 1, cell)
    three, four = part(pairs, 2, cell), part(pairs, 3, cell)
    if flat:
        for j in range(count):
            at = source + index[j] * steps[2]
            one[j] = load(at, cell)
            two[j] = load(at + steps[1], cell)
        return
    for j in range(count):
        at = source + index[j] * steps[2]
        one[j] = load(at, cell)
        two[j] = load(at + steps[1], cell)
        three[j] = load(at + steps[0], cell)
        four[j] = load(at + steps[0] + steps[1], cell)


@partial(piece, may=ONCE)
def blend_pairs(
    out: Any,
    voxels: Any,
    like: Any,
    weights: Any,
    real: Any,
    count: Any,
    scale: Any,
    offset: Any,
    flat: Any,
) -> None:
    """Interpolate a block of pairs.

    Args:
        out: Pointer to floats, written.
        voxels: Address of what :func:`fetch_pairs` wrote.
        like: The dtype of a voxel.
        weights: Address of the weights along each axis.
        real: Their dtype.
        count: Voxels of the block.
        scale: Multiplied with each, of the type of the weights.
        offset: Added to each, of the type of the weights.
        flat: The first axis has no weight.
    """
    to = real.type
    one, two = _pair(voxels, 0, like), _pair(voxels, 1, like)
    three, four = _pair(voxels, 2, like), _pair(voxels, 3, like)
    u, v, w = part(weights, 0, real), part(weights, 1, real), part(weights, 2, real)
    if flat:
        for j in range(count):
            a = between(to(one[2 * j]), to(one[2 * j + 1]), w[j])
            b = between(to(two[2 * j]), to(two[2 * j + 1]), w[j])
            out[j] = between(a, b, v[j]) * scale + offset
        return
    for j in range(count):
        a = between(to(one[2 * j]), to(one[2 * j + 1]), w[j])
        b = between(to(two[2 * j]), to(two[2 * j + 1]), w[j])
        c = between(to(three[2 * j]), to(three[2 * j + 1]), w[j])
        d = between(to(four[2 * j]), to(four[2 * j + 1]), w[j])
        e, f = between(a, b, v[j]), between(c, d, v[j])
        out[j] = between(e, f, u[j]) * scale + offset


@piece
def _pair(voxels: Any, which: Any, like: Any) -> Any:
    return pointer(voxels + which * 2 * BLOCK * size_of(like), like)
