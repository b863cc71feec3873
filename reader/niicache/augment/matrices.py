"""Matrices (d, d + 1) that lead from output voxels to source voxels. Pure.

Centres are (n - 1) / 2 on each axis. Halves and whole numbers are exact in float64, so what only
flips, turns by quarters or crops stays exact however often it is composed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def after(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the matrix of two transforms of an image, one after the other.

    Args:
        first: Of the one that the image goes through first.
        second: Of the other; its source is the first one's output.
    """
    count = len(first)
    both: np.ndarray = first[:, :count] @ second
    both[:, count] += first[:, count]
    return both


def about_centres(
    linear: np.ndarray, shift: np.ndarray, source: Sequence[int], out: Sequence[int]
) -> np.ndarray:
    """Return the matrix that leads from the output's centre to the source's, moved by a shift.

    Args:
        linear: (d, d).
        shift: (d,) in source voxels.
        source: Spatial shape of the source.
        out: Spatial shape of the output.
    """
    middle = (np.array(source, float) - 1) / 2
    offset = middle - linear @ ((np.array(out, float) - 1) / 2) + shift
    return np.column_stack([linear, offset])


def rotation(degrees: Sequence[float]) -> np.ndarray:
    """Return a rotation (d, d) of places; what lies there turns the other way.

    Args:
        degrees: One angle turns axis 0 towards axis 1. Three turn about axis 0, then 1, then 2,
            each by the right-hand rule.
    """
    if len(degrees) == 1:
        return _turn(2, 0, 1, degrees[0])
    about_0 = _turn(3, 1, 2, degrees[0])
    about_1 = _turn(3, 2, 0, degrees[1])
    about_2 = _turn(3, 0, 1, degrees[2])
    turned: np.ndarray = about_2 @ about_1 @ about_0
    return turned


def _turn(count: int, low: int, high: int, degrees: float) -> np.ndarray:
    matrix = np.eye(count)
    if degrees:
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        matrix[low, low] = matrix[high, high] = cosine
        matrix[low, high], matrix[high, low] = -sine, sine
    return matrix


def shear(degrees: Sequence[float]) -> np.ndarray:
    """Return a shear (d, d): axis i moves with the axis after it, the last one with the first."""
    count = len(degrees)
    matrix = np.eye(count)
    for axis, angle in enumerate(degrees):
        if angle:
            matrix[axis, (axis + 1) % count] = math.tan(math.radians(angle))
    return matrix
