"""Which way the axes of a grid point, and how to turn it. Pure; no voxel is touched here.

An orientation is three letters as nibabel has them: ``RAS`` means that the first axis points to the
patient's right, the second to the front, the third to the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape

ENDS: Final = ("LR", "PA", "IS")
"""The negative and the positive end of each axis of the world."""

_TIE: Final = 1e-6
"""Directions that differ by less count as equal, so that every machine turns a grid alike."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Axes in another order and direction: no voxel changes, and none is interpolated.

    Attributes:
        axes: For each axis of the turned grid the axis of the source that it is.
        flips: For each axis of the turned grid whether it runs the other way.
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    @property
    def is_identity(self) -> bool:
        """Whether nothing is turned."""
        return self == stay(len(self.axes))

    def shape(self, source: Shape) -> Shape:
        """Return the spatial shape of a turned grid."""
        return tuple(source[axis] for axis in self.axes)

    def matrix(self, source: Shape) -> np.ndarray:
        """Return what maps a voxel of the turned grid to that of the source, 4x4."""
        found = np.eye(4)
        found[: len(self.axes), : len(self.axes)] = 0
        for turned, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            found[axis, turned] = -1 if flip else 1
            found[axis, 3] = source[axis] - 1 if flip else 0
        return found


def stay(dims: int) -> Turn:
    """Return the turn that changes nothing."""
    return Turn(tuple(range(dims)), (False,) * dims)


def is_orientation(text: object) -> bool:
    """Say whether a value is three letters, one of each pair of :data:`ENDS`."""
    if not isinstance(text, str) or len(text) != len(ENDS):
        return False
    return all(sum(letter in pair for letter in text) == 1 for pair in ENDS)


def turn_to(affine: Sequence[Sequence[float]], orient: str) -> Turn:
    """Return the turn after which the axes point where the letters say, as nearly as they can.

    Args:
        affine: 4x4, voxel to world, mm.
        orient: Three letters, see :func:`is_orientation`.
    """
    points = _pointing(np.array(affine, np.float64)[:3, :3])
    axes, flips = [], []
    for letter in orient:
        world = next(number for number, pair in enumerate(ENDS) if letter in pair)
        axis = next(axis for axis, (other, _) in points.items() if other == world)
        axes.append(axis)
        flips.append(points[axis][1] != (letter == ENDS[world][1]))
    return Turn(tuple(axes), tuple(flips))


def orientation_of(affine: Sequence[Sequence[float]]) -> str:
    """Return which way the axes of a grid point, as nearly as three letters can say it.

    Args:
        affine: 4x4, voxel to world, mm.
    """
    points = _pointing(np.array(affine, np.float64)[:3, :3])
    return "".join(ENDS[world][up] for _, (world, up) in sorted(points.items()))


def _pointing(linear: np.ndarray) -> dict[int, tuple[int, bool]]:
    """Return for each axis the axis of the world that it is nearest to, and whether it runs up it.

    As nibabel's ``io_orientation``: the nearest matrix without shears decides, and the axis that
    points most clearly chooses first.
    """
    lengths = np.linalg.norm(linear, axis=0)
    left, _, right = np.linalg.svd(linear / np.where(lengths > 0, lengths, 1))
    rotation = left @ right
    strength = np.round(np.abs(rotation) / _TIE) * _TIE
    found: dict[int, tuple[int, bool]] = {}
    for axis in np.argsort(-strength.max(axis=0), kind="stable").tolist():
        world = int(np.argmax(strength[:, axis]))
        found[axis] = (world, bool(rotation[world, axis] > 0))
        strength[world] = -1  # taken
    return found
