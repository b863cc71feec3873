"""Whether a user's function left the voxels of masks where they were.

Weights follow the resampling, which is known. What a function moves is not, and weights that lie
elsewhere than their voxels would train a network in silence.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment.function import Lambda
from niicache.augment.spatial import Spatial
from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache.augment.transform import Transform
    from niicache.augmentation import Augmentation
    from niicache.transform import Function

_OURS = "niicache.augment."


def may_move(function: Function | None, augmentation: Augmentation | None) -> bool:
    """Tell whether a Sequence calls a function of the user that may move voxels of masks."""
    transforms = () if augmentation is None else augmentation.compose.transforms
    return function is not None or any(map(_may_move, transforms))


def _may_move(transform: Transform) -> bool:
    if isinstance(transform, Lambda):
        return transform.sample is not None
    ours = type(transform).__module__.startswith(_OURS)
    return not ours and not isinstance(transform, Spatial)  # which is part of the resampling


@contextmanager
def left_in_place(masks: np.ndarray, *, asked: bool = True) -> Iterator[None]:
    """Refuse masks that functions, called meanwhile, changed otherwise than value by value.

    A function that gives labels other names leaves them in their places: what was one value is
    still one value. Masks of one value alone tell nothing.

    Args:
        masks: ``(batch, *spatial, channel)``, changed in place.
        asked: False looks at nothing.

    Raises:
        OptionError: Some mask has other voxels now.
    """
    if not asked:
        yield
        return
    before = masks.copy()
    yield
    for position, (old, new) in enumerate(zip(before, masks, strict=True)):
        if np.array_equal(old, new, equal_nan=True) or _is_renamed(old, new):
            continue
        raise OptionError(
            f"transform: got a function that moved or redrew the mask of sample {position}, "
            "expected one that leaves its voxels in their places, because sample_weight and "
            "padding cannot follow; move voxels by transforms of niicache.augment, or do without "
            "these two"
        )


def _is_renamed(old: np.ndarray, new: np.ndarray) -> bool:
    """Tell whether every value of a mask became one other."""
    _, first, groups = np.unique(old, return_index=True, return_inverse=True)
    flat = new.reshape(-1)
    return np.array_equal(flat[first][groups.reshape(-1)], flat, equal_nan=True)
