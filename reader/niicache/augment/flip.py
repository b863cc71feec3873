"""Mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from niicache.augment import checks
from niicache.augment.spatial import Spatial
from niicache.augment.transform import Facts, spatial_count
from niicache.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Flip(Spatial):
    """Mirrors each of some axes or not, by itself. Index arithmetic, exact.

    Attributes:
        axes: Spatial axes; all of them if None.
        p: Probability for each axis.
    """

    axes: tuple[int, ...] | None = None
    p: float = 0.5

    def __post_init__(self) -> None:
        self._set("axes", checks.axes("Flip.axes", self.axes))
        self._set("p", checks.probability("Flip.p", self.p))

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None = None
    ) -> tuple[int, ...] | None:
        """Return the axes to mirror, or None for none of them."""
        count = spatial_count("Flip", shape)
        return self._drawn(rng, (*range(count),), facts) or None

    def matrix(self, params: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
        """Return -1 and the last index where an axis is mirrored."""
        return _mirror(params, shape)

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> tuple[int, ...]:
        del facts
        axes = shape if self.axes is None else self.axes
        if not set(axes) <= set(shape):
            raise OptionError(
                f"Flip.axes: got {self.axes}, expected axes of an image that has {len(shape)}; "
                "count them from 0, without the channel axis"
            )
        return tuple(axis for axis in axes if rng.random() < self.p)


@lru_cache(maxsize=256)
def _mirror(axes: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    count = len(shape) - 1
    matrix = np.eye(count, count + 1)
    for axis in axes:
        matrix[axis, axis], matrix[axis, count] = -1.0, shape[axis] - 1.0
    matrix.flags.writeable = False
    return matrix
