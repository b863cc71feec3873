"""Voxels from the grid of their source to the stored one, and back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache_builder.orient import turned, unturned
from niicache_builder.resample import interpolated, nearest_label

if TYPE_CHECKING:
    from niicache.format.grid import Grid
    from niicache.format.names import Interpolation


def regridded(
    voxels: np.ndarray, grid: Grid, interpolation: Interpolation | None = None
) -> np.ndarray:
    """Return voxels of a source on the grid of its case, not padded.

    Args:
        voxels: ``(*spatial, channel)`` on the grid of the source.
        grid: What becomes of it.
        interpolation: Of images; None takes the nearest voxel, as of masks.

    Returns:
        A view where nothing is resampled.
    """
    kept = turned(voxels, grid.turn)[grid.crop.slices]
    if not grid.is_resampled:
        return kept
    if interpolation is None:
        return nearest_label(kept, grid.shape)
    return interpolated(kept, grid.shape, interpolation, thick=grid.thick)


def count_cut(voxels: np.ndarray, grid: Grid) -> int:
    """Return how many voxels of a source other than 0 are cropped away."""
    whole = turned(voxels, grid.turn)
    if grid.crop.shape == whole.shape[: len(grid.crop.shape)]:
        return 0
    return int(np.count_nonzero(whole) - np.count_nonzero(whole[grid.crop.slices]))


def ungridded(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Return voxels of a case, not padded, on the grid of its source.

    Whole numbers are those of the nearest voxel, floats are interpolated linearly, and neither
    where nothing was resampled. What was cropped away is 0.

    Args:
        voxels: ``(*spatial, channel)`` on the grid of the case.
        grid: What became of the source's.
    """
    if grid.is_resampled:
        floats = voxels.dtype.kind == "f"
        shape = grid.crop.shape
        voxels = interpolated(voxels, shape, "linear") if floats else nearest_label(voxels, shape)
    whole = grid.turn.shape(grid.source)
    if grid.crop.shape != whole:
        cut = voxels
        voxels = np.zeros((*whole, *cut.shape[len(whole) :]), cut.dtype)
        voxels[grid.crop.slices] = cut
    return unturned(voxels, grid.turn)
