"""Brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, values

if TYPE_CHECKING:
    from niicache.augment.checks import Range
    from niicache.augment.transform import Facts


@dataclass(frozen=True, kw_only=True)
class Brightness(Intensity):
    """Does voxels * multiply + add.

    Attributes:
        multiply: Range of factors, as a pair; below and above 1 are equally likely, as for
            nnU-Net.
        add: Range of what is added, in the units of the voxels.
        per_channel: Draw for each channel.
        p: Probability to do anything.
    """

    multiply: tuple[float, float] = (1.0, 1.0)
    add: Range = 0.0
    per_channel: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("multiply", checks.pair("Brightness.multiply", self.multiply))
        self._set("add", checks.span("Brightness.add", self.add))
        self._set_flags("per_channel")
        self._set("p", checks.probability("Brightness.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        del facts
        each = self.per_channel
        factors = values(rng, self.multiply, shape[-1], per_channel=each, factor=True)
        return np.stack([factors, values(rng, self.add, shape[-1], per_channel=each)])  # type: ignore[arg-type]

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        factors, added = params.astype(image.dtype)
        # a lone channel is a number for numpy, which is quicker than an array of one
        image *= factors[0] if len(factors) == 1 else factors
        if added.any():
            image += added[0] if len(added) == 1 else added
