"""Elastic deformation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.plan import Fill, FillMode
from niicache.augment.spatial import Spatial
from niicache.errors import OptionError

if TYPE_CHECKING:
    from niicache.augment.checks import AxisRanges
    from niicache.augment.transform import Facts

CUBIC = 4


@dataclass(frozen=True, kw_only=True)
class Elastic(Spatial):
    """Bends the image by a cubic B-spline over a coarse grid of control points.

    A displacement is a mean of control points, so no voxel moves farther than ``magnitude``. In a
    Compose it stands after all other spatial transforms.

    Attributes:
        magnitude: How far control points move at most, in voxels: each by a number between minus
            and plus a magnitude, which is drawn from this range for each axis. A number x means
            always x, a pair a range, both of at least 0.
        grid: Control points an axis, at least 4, for every axis or one an axis. They lie evenly,
            the first on the first voxel and the last on the last.
        fill_mode: What lies outside: "constant", "nearest", "reflect" or "wrap".
        fill: Of image voxels, for "constant".
        fill_label: Of mask voxels, for "constant".
        p: Probability to bend.
    """

    magnitude: AxisRanges = (0.0, 6.0)
    grid: int | tuple[int, ...] = 7
    fill_mode: FillMode = "constant"
    fill: float = 0.0
    fill_label: int = 0
    p: float = 0.5

    def __post_init__(self) -> None:
        fixed = (self.magnitude,) * 2 if checks.is_number(self.magnitude) else self.magnitude
        self._set("magnitude", checks.axis_pairs("Elastic.magnitude", fixed, low=0))
        self._set("grid", checks.sizes("Elastic.grid", self.grid))
        points = (self.grid,) if isinstance(self.grid, int) else self.grid
        if min(points) < CUBIC:
            raise OptionError(
                f"Elastic.grid: got {self.grid}, expected at least 4 control points an axis, "
                "as many as a cubic has"
            )
        fill = Fill(mode=self.fill_mode, value=self.fill, label=self.fill_label).checked("Elastic")
        self._set("fill", fill.value)
        self._set("fill_label", fill.label)
        self._set("p", checks.probability("Elastic.p", self.p))

    @property
    def outside(self) -> Fill:
        """What fills."""
        return Fill(mode=self.fill_mode, value=self.fill, label=self.fill_label)

    @property
    def bends(self) -> bool:
        """Whether there is a displacement."""
        return True

    def matrix(self, params: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return the identity; the rest is :meth:`displacement`."""
        del params
        count = len(shape) - 1
        return np.eye(count, count + 1)

    def displacement(self, params: np.ndarray) -> np.ndarray:
        """Return the control points (d, *grid) float32, in voxels."""
        return params

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        del facts
        count = len(shape) - 1
        grid = checks.sizes_of("Elastic.grid", self.grid, count)
        ranges = checks.ranges_of("Elastic.magnitude", self.magnitude, count)  # type: ignore[arg-type]
        reach = np.array([low + (high - low) * rng.random() for low, high in ranges])
        points: np.ndarray = rng.uniform(-1, 1, (count, *grid)) * reach.reshape(-1, *[1] * count)
        return points.astype(np.float32)
