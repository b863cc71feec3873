"""How far a cubic B-spline moves each voxel of a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import compiled, part


@compiled
def taps(count: Any, points: Any) -> Any:
    """Return which control points act on each position of an axis, and how strongly.

    The points lie evenly, the first on the first position and the last on the last. Beyond the
    ends the end points go on.

    Args:
        count: Positions.
        points: Control points.

    Returns:
        (count, 4) intp and (count, 4) float64.
    """
    which, weights = np.empty((count, 4), np.intp), np.empty((count, 4))
    pitch = (points - 1.0) / (count - 1.0) if count > 1 else 0.0
    for j in range(count):
        place = j * pitch
        before = int(place)
        t = place - before
        weights[j, 0] = (1.0 - t) ** 3 / 6.0
        weights[j, 1] = (4.0 - 6.0 * t**2 + 3.0 * t**3) / 6.0
        weights[j, 2] = (1.0 + 3.0 * t + 3.0 * t**2 - 3.0 * t**3) / 6.0
        weights[j, 3] = t**3 / 6.0
        for k in range(4):
            which[j, k] = min(max(before - 1 + k, 0), points - 1)
    return which, weights


@compiled
def flatten(flat: Any, control: Any, which: Any, weights: Any, position: Any) -> None:
    """Weigh the first spatial axis of control points away, at one position.

    Args:
        flat: (3, rest) float64, written.
        control: (3, points, rest) float.
        which: As :func:`taps` returns it, of that axis.
        weights: The same.
        position: On that axis.
    """
    for axis in range(3):
        for i in range(control.shape[2]):
            total = 0.0
            for k in range(4):
                total += weights[position, k] * control[axis, which[position, k], i]
            flat[axis, i] = total


@compiled
def bend(
    places: Any, double: Any, count: Any, first: Any, line: Any, which: Any, weights: Any
) -> None:
    """Move the coordinates of a block.

    Args:
        places: Address of the coordinates, changed.
        double: (0,) float64.
        count: Voxels of the block.
        first: Position of the first of them in its row.
        line: (3, points) float64, the control points of this row.
        which: As :func:`taps` returns it, of the last axis.
        weights: The same.
    """
    for axis in range(3):
        row = part(places, axis, double)
        for j in range(count):
            at = first + j
            row[j] += (
                weights[at, 0] * line[axis, which[at, 0]]
                + weights[at, 1] * line[axis, which[at, 1]]
                + weights[at, 2] * line[axis, which[at, 2]]
                + weights[at, 3] * line[axis, which[at, 3]]
            )
