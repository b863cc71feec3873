"""Where a row of output voxels lies in the source, and which part of it is inside.

A coordinate is ``base + z * step`` in float64, never contracted: to the bit what SciPy computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import piece

CONSTANT, NEAREST, REFLECT, WRAP = range(4)
"""What lies outside of the source."""


@piece
def holds(coordinate: Any, last: Any) -> Any:
    """Return whether a coordinate is inside of an axis."""
    return coordinate >= 0.0 and coordinate <= last


@piece
def fold(coordinate: Any, last: Any, mode: Any) -> Any:
    """Return the coordinate inside of the axis that has the same value, as SciPy has it."""
    if holds(coordinate, last):
        return coordinate
    size = last + 1.0
    if mode == WRAP and last > 0.0:
        if coordinate < 0.0:
            coordinate += last * (np.trunc(-coordinate / last) + 1.0)
        else:
            coordinate -= last * np.trunc(coordinate / last)
    elif mode == REFLECT and coordinate < 0.0:
        coordinate += 2.0 * size * np.trunc(-coordinate / (2.0 * size))
        coordinate = coordinate + 2.0 * size if coordinate < -size else -coordinate - 1.0
    elif mode == REFLECT:
        coordinate -= 2.0 * size * np.trunc(coordinate / (2.0 * size))
        if coordinate >= size:
            coordinate = 2.0 * size - coordinate - 1.0
    return min(max(coordinate, 0.0), last)


@piece
def span(base: Any, step: Any, last: Any, count: Any) -> Any:
    """Return the first and the end of the positions of a row that are inside of an axis."""
    if step == 0.0:
        return (0, count) if holds(base, last) else (0, 0)
    one, other = -base / step, (last - base) / step
    start = int(min(max(np.ceil(min(one, other)), 0.0), float(count)))
    stop = int(min(max(np.floor(max(one, other)) + 1.0, float(start)), float(count)))
    # Division rounds. What is computed of a position decides, and it grows or falls steadily.
    while start > 0 and holds(base + (start - 1) * step, last):
        start -= 1
    while stop < count and holds(base + stop * step, last):
        stop += 1
    while start < stop and not holds(base + start * step, last):
        start += 1
    while start < stop and not holds(base + (stop - 1) * step, last):
        stop -= 1
    return start, stop


@piece
def bases(matrix: Any, x: Any, y: Any) -> Any:
    """Return the source coordinates of the first voxel of a row."""
    return (
        matrix[0, 3] + x * matrix[0, 0] + y * matrix[0, 1],
        matrix[1, 3] + x * matrix[1, 0] + y * matrix[1, 1],
        matrix[2, 3] + x * matrix[2, 0] + y * matrix[2, 1],
    )


@piece
def inside(base: Any, along: Any, shape: Any, count: Any) -> Any:
    """Return the first and the end of the positions of a row that are inside of the source."""
    start, stop = span(base[0], along[0], shape[0] - 1.0, count)
    for axis in (1, 2):
        first, end = span(base[axis], along[axis], shape[axis] - 1.0, count)
        start, stop = max(start, first), min(stop, end)
    return start, max(start, stop)


@piece
def is_flat(base: Any, along: Any, shape: Any, bent: Any) -> Any:
    """Return whether a row lies in one plane of the first axis, so that there is half to do.

    The last plane is no such plane: it is reached from the one before it, with a weight of 1.
    """
    still = not bent and along[0] == 0.0 and 0.0 <= base[0] < shape[0] - 1.0
    return shape[0] == 1 or (still and base[0] == np.floor(base[0]))
