"""Boxes cut out of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity
from niicache.options import check_count

if TYPE_CHECKING:
    from niicache.augment.transform import Facts


@dataclass(frozen=True, kw_only=True)
class Cutout(Intensity):
    """Fills boxes of the image; masks stay, for what is hidden is there all the same.

    DeVries and Taylor (2017). A box lies anywhere as a whole.

    Attributes:
        count: Boxes.
        size: Range of the length of a box on each axis, a fraction of the image's, as a pair.
        fill: Value to fill with, in the units of the voxels.
        p: Probability to do anything.
    """

    count: int = 1
    size: tuple[float, float] = (0.1, 0.3)
    fill: float = 0.0
    p: float = 0.5

    def __post_init__(self) -> None:
        check_count("Cutout.count", self.count, 1)
        self._set("count", int(self.count))
        self._set("size", checks.pair("Cutout.size", self.size, low=0, high=1))
        self._set("fill", checks.number("Cutout.fill", self.fill))
        self._set("p", checks.probability("Cutout.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        """Return (count, 2, d) int64: the first voxel and the one behind the last of each box."""
        del facts
        spatial = np.array(shape[:-1])
        low, high = self.size
        drawn = low + (high - low) * rng.random((self.count, len(spatial)))
        lengths = np.clip(np.rint(drawn * spatial), 1, spatial).astype(np.int64)
        first = rng.integers(spatial - lengths, endpoint=True)
        return np.stack([first, first + lengths], 1)

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        for first, stop in params.tolist():
            image[tuple(map(slice, first, stop))] = self.fill
