"""How far two grids lie apart. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from niicache.format.geometry import Shape
    from niicache_builder.nifti import Header

GRID_TOLERANCE = 0.05
"""Voxels that the corners of two files of a case may lie apart: more than the float32 of a header
can round a position by, less than a resampling would notice."""


def corners_apart(one: Header, other: Header, spatial: Shape) -> float:
    """Return how far a corner of one grid lies from that of another at most, mm.

    Args:
        one: Header of a file.
        other: Header of another.
        spatial: The spatial shape of both.
    """
    ends = [(0, n - 1) for n in (*spatial, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in itertools.product(*ends)], float)
    step = corners @ (np.array(one.affine) - np.array(other.affine)).T
    return float(np.linalg.norm(step[:, :3], axis=1).max())
