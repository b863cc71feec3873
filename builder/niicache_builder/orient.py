"""Voxels in another order and direction of their axes: views, exact, and the way back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from niicache.format.orientation import Turn


def turned(voxels: np.ndarray, turn: Turn) -> np.ndarray:
    """Return a view of the turned voxels.

    Args:
        voxels: ``(*spatial, ...)`` on the grid of the source; other axes stay.
        turn: What to do.
    """
    rest = range(len(turn.axes), voxels.ndim)
    return _flipped(voxels.transpose(*turn.axes, *rest), turn)


def unturned(voxels: np.ndarray, turn: Turn) -> np.ndarray:
    """Return a view of turned voxels as they were before."""
    rest = range(len(turn.axes), voxels.ndim)
    back = np.argsort(turn.axes).tolist()
    return _flipped(voxels, turn).transpose(*back, *rest)


def _flipped(voxels: np.ndarray, turn: Turn) -> np.ndarray:
    return voxels[tuple(slice(None, None, -1 if flip else 1) for flip in turn.flips)]
