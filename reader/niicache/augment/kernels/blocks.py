"""Where the voxels of a block lie in the source: coordinates, indices and weights.

Coordinates are float64 in three parts of a scratch, weights are floats in three, an index is int32.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from niicache.augment.kernels.compiling import part, piece
from niicache.augment.kernels.rows import CONSTANT, NEAREST, fold, holds

LANES: Final = 16
WHOLE: Final = 2.0**32
FARTHEST: Final = 2.0**30
FRACTION: Final = np.int32(0xFFFFFF)
UNIT: Final = np.float32(2.0**-24)


@piece
def trace(places: Any, double: Any, count: Any, first: Any, base: Any, along: Any) -> None:
    """Write the coordinates of a block.

    Args:
        places: Address of the coordinates, written.
        double: Of float64.
        count: Voxels of the block.
        first: Position of the first of them in its row.
        base: Of the row, for each axis.
        along: Step from voxel to voxel, for each axis.
    """
    for axis in range(3):
        row, start, step = part(places, axis, double), base[axis], along[axis]
        for j in range(count):
            row[j] = start + np.float64(np.int32(first + j)) * step


@piece
def enclose(places: Any, double: Any, outer: Any, count: Any, shape: Any, mode: Any) -> Any:
    """Bring the coordinates of a block inside, and return whether ``outer`` says a thing.

    Args:
        places: Address of the coordinates, changed.
        double: Of float64.
        outer: Pointer to bytes, written where the mode is ``CONSTANT``: what was outside.
        count: Voxels of the block.
        shape: Of the source.
        mode: One of the four.
    """
    last = (shape[0] - 1.0, shape[1] - 1.0, shape[2] - 1.0)
    strays = False
    if mode == CONSTANT:
        x, y, z = part(places, 0, double), part(places, 1, double), part(places, 2, double)
        for j in range(count):
            stray = not (holds(x[j], last[0]) and holds(y[j], last[1]) and holds(z[j], last[2]))
            outer[j] = np.uint8(stray)
            strays |= stray
    for axis in range(3):
        row, end = part(places, axis, double), last[axis]
        if mode <= NEAREST:
            for j in range(count):
                row[j] = min(max(row[j], 0.0), end)
        else:
            for j in range(count):
                row[j] = fold(row[j], end, mode)
    return strays


@piece
def split(
    places: Any,
    double: Any,
    index: Any,
    weights: Any,
    real: Any,
    count: Any,
    shape: Any,
    strides: Any,
) -> None:
    """Write the indices and weights of a block whose coordinates are all inside.

    Args:
        places: Address of the coordinates.
        double: Of float64.
        index: Pointer to int32, written: the first of the eight voxels around each.
        weights: Address of the weights, written: of the farther voxel along each axis, 0 to 1.
        real: Their dtype.
        count: Voxels of the block.
        shape: Of the source.
        strides: Of its axes, in voxels.
    """
    x, y, z = part(places, 0, double), part(places, 1, double), part(places, 2, double)
    u, v, w = part(weights, 0, real), part(weights, 1, real), part(weights, 2, real)
    top = (_top(shape[0]), _top(shape[1]), _top(shape[2]))
    plane, row = np.int32(strides[0]), np.int32(strides[1])
    to = real.type
    for j in range(count):
        i, k, m = np.int32(x[j]), np.int32(y[j]), np.int32(z[j])
        i, k, m = min(i, top[0]), min(k, top[1]), min(m, top[2])
        u[j], v[j], w[j] = to(x[j] - i), to(y[j] - k), to(z[j] - m)
        index[j] = np.int32(i * plane + k * row + m)


@piece
def _top(size: Any) -> Any:
    """Return the last index that has a neighbour after it: the last coordinate weighs that one."""
    return np.int32(max(size - 2, 0))


@piece
def place(
    index: Any,
    weights: Any,
    real: Any,
    count: Any,
    first: Any,
    base: Any,
    along: Any,
    shape: Any,
    strides: Any,
) -> None:
    """Do what :func:`trace` and :func:`split` do for a block that is all inside, and do it quicker.

    What is outside is brought to the nearest voxel, where coordinates are :func:`tame`. They are
    whole numbers of 2**-32 voxels here, off by less than 2**-24 voxels at the end of a block, and
    by nothing where a step is a sum of few powers of two. What lies beyond ``count`` is written
    too, up to whole vectors.
    """
    whole = (count + LANES - 1) // LANES * LANES
    to = real.type
    unseen = part(weights, 0, real)
    for j in range(whole):
        index[j] = 0
        unseen[j] = to(0)
    # A plane is a volume of one slice, of which only the weight is read, and must be a number.
    for axis in range(np.int64(shape[0] == 1), 3):
        begin, step = _fixed(base, along, first, axis), _step(along[axis])
        top, end, stride = _top(shape[axis]), _end(shape[axis]), np.int32(strides[axis])
        weight = part(weights, axis, real)
        for j in range(whole):
            fixed = min(max(begin + j * step, 0), end)
            near = min(np.int32(fixed >> 32), top)
            beyond = (np.int32(fixed >> 32) - near) << 24
            weight[j] = to(beyond + (np.int32(fixed >> 8) & FRACTION)) * UNIT
            index[j] += near * stride


@piece
def _fixed(base: Any, along: Any, first: Any, axis: Any) -> Any:
    return np.int64(np.rint((base[axis] + first * along[axis]) * WHOLE))


@piece
def _step(step: Any) -> Any:
    return np.int64(np.rint(min(max(step, -FARTHEST), FARTHEST) * WHOLE))


@piece
def _end(size: Any) -> Any:
    return np.int64(size - 1) << 32


@piece
def tame(base: Any, along: Any, count: Any) -> Any:
    """Return whether :func:`place` can count the coordinates of a row, and all its vectors."""
    count += LANES
    return (
        abs(base[0]) + count * abs(along[0]) < FARTHEST
        and abs(base[1]) + count * abs(along[1]) < FARTHEST
        and abs(base[2]) + count * abs(along[2]) < FARTHEST
    )
