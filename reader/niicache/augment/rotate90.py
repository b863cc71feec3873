"""Quarter turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.spatial import Spatial
from niicache.errors import OptionError

if TYPE_CHECKING:
    from niicache.augment.transform import Facts


@dataclass(frozen=True, kw_only=True)
class Rotate90(Spatial):
    """Turns by one, two or three quarters in the plane of two axes. Index arithmetic, exact.

    Attributes:
        axes: The two spatial axes, of equal length, so that images keep their shape.
        p: Probability to turn.
    """

    axes: tuple[int, int] = (0, 1)
    p: float = 0.5

    def __post_init__(self) -> None:
        self._set("axes", checks.axes("Rotate90.axes", self.axes))
        if self.axes is None or len(self.axes) != checks.PAIR:
            raise OptionError(
                f"Rotate90.axes: got {self.axes}, expected two axes; give one Rotate90 a plane"
            )
        self._set("p", checks.probability("Rotate90.p", self.p))

    def matrix(self, params: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return the matrix of ``numpy.rot90(image, params, axes)``."""
        count = len(shape) - 1
        low, high = self.axes
        last = shape[low] - 1.0
        matrix = np.eye(count, count + 1)
        cosine, sine = ((0, 1), (-1, 0), (0, -1))[params - 1]
        matrix[low, low] = matrix[high, high] = cosine
        matrix[low, high], matrix[high, low] = sine, -sine
        matrix[low, count] = last if cosine + sine < 0 else 0.0
        matrix[high, count] = last if cosine - sine < 0 else 0.0
        return matrix

    def _drawn(self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None) -> int:
        del facts
        lengths = [shape[axis] for axis in self.axes if axis < len(shape) - 1]
        if len(lengths) != checks.PAIR or lengths[0] != lengths[1]:
            raise OptionError(
                f"Rotate90.axes: got {self.axes} for an image of shape {shape}, expected two "
                "spatial axes of equal length; crop them first, or use Flip"
            )
        return int(rng.integers(1, 4))
