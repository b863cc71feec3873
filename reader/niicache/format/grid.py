"""From the grid of a source to the stored one: turned, cut, resampled. Pure.

Everything follows from the source's shape and affine, from the recipe, and from the box that was
kept where the recipe crops. Units are voxels and mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from niicache.format.geometry import Box
from niicache.format.orientation import Turn, stay, turn_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape
    from niicache.format.manifest import Recipe

THICK: Final = 3.0
"""Slices are thick where they are this many times as far apart as voxels within them; nnU-Net's."""

SAME: Final = 1e-3
"""A spacing so near to what is asked for, relative to it, is that already."""

_LONGEST: Final = 2.0**40
_AXES: Final = 3


class Preparing(Protocol):
    """What decides about a grid before voxels are read: a recipe, or the options of a build."""

    @property
    def orient(self) -> str | None:
        """Three letters, or None to leave the axes."""

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Edge lengths of a voxel, mm, or None to leave them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How the grid of a source becomes that of its case in a cache, without padding.

    Attributes:
        source: Spatial shape of the source.
        affine: Its voxel to world, 4x4, mm.
        turn: Order and direction of the axes, done first.
        crop: The box that is kept of the turned source.
        shape: Spatial shape that the box is resampled to.
        thick: Axis of the turned source along which slices are thick: images are not interpolated
            between them. None where there is no such axis, or nothing is resampled.
    """

    source: Shape
    affine: tuple[tuple[float, ...], ...]
    turn: Turn
    crop: Box
    shape: Shape
    thick: int | None

    @property
    def is_resampled(self) -> bool:
        """Whether any axis gets another number of voxels."""
        return self.shape != self.crop.shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Edge lengths of a stored voxel, mm; near what was asked for, because extents are kept."""
        lengths = _lengths(self.affine, self.turn)
        return tuple(
            length if old == new else length * old / new
            for length, old, new in zip(lengths, self.crop.shape, self.shape, strict=True)
        )

    def stored_affine(self, start: Shape) -> np.ndarray:
        """Return voxel to world of the padded grid, 4x4, mm.

        Args:
            start: Where the case begins in it, ``box_start``.
        """
        dims = len(self.shape)
        scale, shift = np.eye(4), np.eye(4)
        for axis, (old, new) in enumerate(zip(self.crop.shape, self.shape, strict=True)):
            # Both grids cover the same extent, so the first voxel's centre moves by half a voxel.
            scale[axis, axis] = old / new
            scale[axis, 3] = (old / new - 1) / 2
        shift[:dims, 3] = self.crop.start
        padding = np.eye(4)
        padding[:dims, 3] = -np.array(start)
        whole = np.array(self.affine) @ self.turn.matrix(self.source) @ shift @ scale @ padding
        return np.asarray(whole, np.float64)


def is_prepared(recipe: Recipe) -> bool:
    """Say whether a recipe does anything to the grids of its sources but padding."""
    return any(one is not None for one in (recipe.orient, recipe.spacing, recipe.crop))


def plan_grid(
    source: Shape,
    affine: Sequence[Sequence[float]],
    how: Preparing,
    crop: Box | None = None,
) -> Grid:
    """Return what becomes of a grid.

    Args:
        source: Spatial shape of the source, 2 or 3 axes.
        affine: Its voxel to world, 4x4, mm.
        how: What is asked for.
        crop: The box that is kept of the turned source; all of it if None.
    """
    rows = tuple(tuple(map(float, row)) for row in affine)
    turn = stay(len(source)) if how.orient is None else turn_to(rows, how.orient)
    turned = turn.shape(source)
    kept = Box((0,) * len(source), turned) if crop is None else crop
    shape, thick = kept.shape, None
    if how.spacing is not None:
        lengths = _lengths(rows, turn)
        shape = tuple(map(_resized, kept.shape, lengths, how.spacing))
        thick = _thick(lengths, how.spacing) if shape != kept.shape else None
    return Grid(source=source, affine=rows, turn=turn, crop=kept, shape=shape, thick=thick)


def grid_fault(grid: Grid, box: Box) -> str:
    """Return how the facts of a case contradict each other, or "".

    Args:
        grid: As they have it.
        box: Where the case lies in the padded grid.
    """
    crop, whole = grid.crop, grid.turn.shape(grid.source)
    ends = zip(crop.start, crop.stop, whole, strict=True)
    if not all(0 <= start < stop <= count for start, stop, count in ends):
        return f"a box from {crop.start} to {crop.stop} kept of {whole} voxels"
    if grid.shape != box.shape:
        return f"a valid box of {box.shape} voxels for a grid of {grid.shape}"
    return ""


def _lengths(affine: Sequence[Sequence[float]], turn: Turn) -> tuple[float, ...]:
    """Return the edge lengths of a voxel of the turned source, mm."""
    with np.errstate(over="ignore"):  # what is too long for float64 is refused as too large
        lengths = np.linalg.norm(np.array(affine, np.float64)[:3, :3], axis=0)
    return tuple(float(lengths[axis]) for axis in turn.axes)


def _resized(count: int, spacing: float, target: float) -> int:
    if abs(spacing - target) <= SAME * target:
        return count
    wanted = count * spacing / target
    return max(1, round(min(wanted, _LONGEST))) if math.isfinite(wanted) else int(_LONGEST)


def _thick(*spacings: Sequence[float]) -> int | None:
    """Return the axis along which slices are thick, by the first of the spacings that has one.

    nnU-Net's rule: in a volume, the one axis with the largest spacing, if that is more than three
    times the smallest. Where two axes share it there are no slices.
    """
    for lengths in spacings:
        largest = max(lengths)
        if len(lengths) == _AXES and largest > THICK * min(lengths):
            axes = [
                axis
                for axis, length in enumerate(lengths)
                if math.isclose(length, largest, rel_tol=SAME)
            ]
            return axes[0] if len(axes) == 1 else None
    return None
