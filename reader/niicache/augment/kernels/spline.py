"""How far a cubic B-spline moves each voxel of a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import part, piece, pointer, size_of

_DOUBLE, _TAP = np.dtype(np.float64), np.dtype(np.intp)


@piece
def tables(bend: Any, target: Any) -> Any:
    """Return what tells for each row how it is bent; None for None.

    Args:
        bend: Control points (3, *points) float32, room of (4 * (x + y + z),) intp, and room of
            (4 * (x + y + z) + 3 * points of the last two axes + 3 * of the last,) float64.
        target: (x, y, z, C) of the output.
    """
    if bend is None:
        return None
    control, taken, room = bend
    _, a, b, c = control.shape
    which, weights = pointer(taken.ctypes.data, _TAP), pointer(room.ctypes.data, _DOUBLE)
    slab_at = room.ctypes.data + size_of(_DOUBLE) * taken.size
    line_at = slab_at + size_of(_DOUBLE) * 3 * b * c
    taps(which, weights, 0, target[0], a)
    taps(which, weights, target[0], target[1], b)
    taps(which, weights, target[0] + target[1], target[2], c)
    points = pointer(control.ctypes.data, control.dtype)
    rooms = (pointer(slab_at, _DOUBLE), pointer(line_at, _DOUBLE))
    return points, (a, b, c), which, weights, rooms


@piece
def line_of(spline: Any, x: Any, y: Any, target: Any) -> Any:
    """Return the control points of a row, and what weighs them; None for None."""
    if spline is None:
        return None
    points, counts, which, weights, rooms = spline
    slab, line = rooms
    if y == 0:
        flatten(slab, points, which, weights, x, counts[0], counts[1] * counts[2])
    flatten(line, slab, which, weights, target[0] + y, counts[1], counts[2])
    return line, counts[2], which, weights, target[0] + target[1]


@piece
def move_along(places: Any, double: Any, count: Any, at: Any, line: Any) -> None:
    """Move the coordinates of a block whose first voxel is at a position of its row."""
    if line is not None:
        points, number, which, weights, first = line
        bend(places, double, count, first + at, points, number, which, weights)


@piece
def taps(which: Any, weights: Any, first: Any, count: Any, points: Any) -> None:
    """Write which control points act on each position of an axis, and how strongly.

    The points lie evenly, the first on the first position and the last on the last. Beyond the
    ends the end points go on.

    Args:
        which: Pointer to intp, four a position, written.
        weights: Pointer to float64, the same.
        first: Position to start writing at.
        count: Positions.
        points: Control points.
    """
    pitch = (points - 1.0) / (count - 1.0) if count > 1 else 0.0
    for j in range(count):
        before = int(j * pitch)
        t = j * pitch - before
        at = 4 * (first + j)
        weights[at] = (1.0 - t) ** 3 / 6.0
        weights[at + 1] = (4.0 - 6.0 * t**2 + 3.0 * t**3) / 6.0
        weights[at + 2] = (1.0 + 3.0 * t + 3.0 * t**2 - 3.0 * t**3) / 6.0
        weights[at + 3] = t**3 / 6.0
        for k in range(4):
            which[at + k] = min(max(before - 1 + k, 0), points - 1)


@piece
def flatten(
    flat: Any, control: Any, which: Any, weights: Any, position: Any, points: Any, rest: Any
) -> None:
    """Weigh the first spatial axis of control points away, at one position.

    Args:
        flat: Pointer to (3, rest) float64, written.
        control: Pointer to (3, points, rest) floats.
        which: As :func:`taps` writes it.
        weights: The same.
        position: Among those written.
        points: Along the axis.
        rest: Along the others.
    """
    for axis in range(3):
        for i in range(rest):
            total = 0.0
            for k in range(4 * position, 4 * position + 4):
                total += weights[k] * control[(axis * points + which[k]) * rest + i]
            flat[axis * rest + i] = total


@piece
def bend(
    places: Any,
    double: Any,
    count: Any,
    first: Any,
    line: Any,
    points: Any,
    which: Any,
    weights: Any,
) -> None:
    """Move the coordinates of a block.

    Args:
        places: Address of the coordinates, changed.
        double: Of float64.
        count: Voxels of the block.
        first: Position of the first of them among the taps.
        line: Pointer to (3, points) float64, the control points of this row.
        points: Along the row.
        which: As :func:`taps` writes it.
        weights: The same.
    """
    for axis in range(3):
        row, start = part(places, axis, double), axis * points
        for j in range(count):
            at = 4 * (first + j)
            row[j] += (
                weights[at] * line[start + which[at]]
                + weights[at + 1] * line[start + which[at + 1]]
                + weights[at + 2] * line[start + which[at + 2]]
                + weights[at + 3] * line[start + which[at + 3]]
            )
