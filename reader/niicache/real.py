"""Where real voxels came to lie in a sample: neither padding nor what a transform filled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from niicache.augment.warp import place
from niicache.format.geometry import Box, clipped

if TYPE_CHECKING:
    from niicache.augment.plan import Plan
    from niicache.cache import Cache
    from niicache.format.geometry import Shape


class Extents(NamedTuple):
    """Where the real voxels of the cases of one class lie, (slots, axes) int64 each."""

    start: np.ndarray
    stop: np.ndarray


def valid_box(patch: Box, start: Shape, stop: Shape) -> Box:
    """Return where in a patch the real voxels of a case lie.

    Args:
        patch: In voxels of the padded grid.
        start: First real voxel of the case, in the same.
        stop: One past its last.
    """

    def seen(point: Shape) -> Shape:
        return tuple(n - a for n, a in zip(point, patch.start, strict=True))

    return clipped(Box(seen(start), seen(stop)), patch.shape)


class Seen(NamedTuple):
    """What a sample shows.

    Attributes:
        number: Of the class of its case.
        row: Of the case in the stored arrays.
        box: What of the padded grid was resampled.
        plan: How, from there to the sample; None where it is the sample as it lies.
    """

    number: int
    row: int
    box: Box
    plan: Plan | None


class RealVoxels:
    """Knows the valid boxes of all cases. Immutable, safe to share between threads."""

    def __init__(self, cache: Cache) -> None:
        """Read where the real voxels of each case lie.

        Raises:
            DamageError: Columns of the cache cannot be read.
        """
        self._extents = [
            Extents(view.stored_column("box_start"), view.stored_column("box_stop"))
            for view in cache
        ]

    def of(self, seen: Seen) -> np.ndarray:
        """Return where real voxels are in a sample, (*spatial,) bool.

        They take the way of the mask: moved by the same resampling, to the nearest. What lies
        outside and is filled with a constant is not real; what repeats the image is as that is.
        """
        start, stop = (tuple(of[seen.row].tolist()) for of in self._extents[seen.number])
        case = np.zeros((*seen.box.shape, 1), np.uint8)
        case[valid_box(seen.box, start, stop).slices] = 1
        plan = seen.plan
        if plan is not None and not plan.is_identity(seen.box.shape):
            moved = np.empty((*plan.shape, 1), np.uint8)
            place(case, moved, replace(plan, fill=replace(plan.fill, label=0)), what="mask")
            case = moved
        real: np.ndarray = case[..., 0].view(np.bool_)
        return real
