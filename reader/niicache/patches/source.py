"""Which box of a case a resampling looks at. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment.arguments import checked_matrix
from niicache.format.geometry import Box

if TYPE_CHECKING:
    from niicache.augment.plan import Plan
    from niicache.format.geometry import Shape

_ROUNDING = 1e-3
"""Voxels that the kernels' coordinates may be off; a box of that much more costs nothing."""


def source_box(plan: Plan, patch: Box, grid: Shape) -> Box:
    """Return what of a case has to be read for a patch.

    Outside of the case and of the patch lies what the plan's fill says. Where that is the image
    mirrored or repeated, far voxels count too, and all of it has to be read.

    Args:
        plan: From a voxel of the output to one of the patch.
        patch: In voxels of the padded grid.
        grid: Spatial shape of the padded case.

    Returns:
        A box of at least one voxel, in voxels of the padded grid. It reaches beyond the grid only
        where the patch does.

    Raises:
        OptionError: A number of the plan's matrix is not finite.
    """
    if plan.is_identity(patch.shape):
        return patch
    low = np.minimum(patch.start, 0)
    high = np.maximum(patch.stop, grid)
    if plan.fill.mode in {"reflect", "wrap"}:
        return _box(low, high)
    count = len(grid)
    matrix = checked_matrix(plan.matrix, count)
    corners = np.array(list(np.ndindex(*(2,) * count))) * (np.array(plan.shape) - 1)
    seen = corners @ matrix[:, :count].T + matrix[:, count] + patch.start
    least, most = seen.min(axis=0), seen.max(axis=0)
    if plan.displacement is not None:  # a B-spline never leaves the hull of its control points
        points = plan.displacement.reshape(count, -1)
        least, most = least + points.min(axis=1), most + points.max(axis=1)
    first = np.clip(np.floor(least - _ROUNDING), low, high - 1)
    last = np.clip(np.ceil(most + _ROUNDING) + 1, first + 1, high)
    return _box(first, last)


def _box(start: np.ndarray, stop: np.ndarray) -> Box:
    return Box(tuple(map(int, start)), tuple(map(int, stop)))


def seen_from(plan: Plan, patch: Box, box: Box) -> Plan:
    """Return a plan for a patch as one for the box that was read for it.

    Args:
        plan: From a voxel of the output to one of the patch.
        patch: In voxels of the padded grid.
        box: In the same.
    """
    if patch == box:
        return plan
    matrix = plan.matrix.copy()
    matrix[:, -1] += np.array(patch.start) - np.array(box.start)
    return replace(plan, matrix=matrix)
