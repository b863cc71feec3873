"""Noise: random numbers for voxels, from a seed that was drawn, a cache-sized block at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity

if TYPE_CHECKING:
    from niicache.augment.transform import Facts

BLOCK = 16 * 1024


def seed(rng: np.random.Generator) -> int:
    """Draw a seed of 63 bits."""
    return int(rng.integers(2**63))


def generator(drawn: int) -> np.random.Generator:
    """Return the generator of a seed: the quickest of numpy's."""
    return np.random.Generator(np.random.SFC64(drawn))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseParams:
    """What a noise drew.

    Attributes:
        sigma: Standard deviation, in the units of the voxels.
        seed: Of the generator of the voxels' noise.
    """

    sigma: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Noise(Intensity):
    """Noise of every voxel; what kinds of it differ in is what they do with it.

    Attributes:
        sigma: Range of the standard deviation, as a pair, in the units of the voxels.
        p: Probability to do anything.
    """

    sigma: tuple[float, float] = (0.0, 0.1)
    p: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        self._set("sigma", checks.pair(f"{name}.sigma", self.sigma, low=0))
        self._set("p", checks.probability(f"{name}.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> NoiseParams:
        del shape, facts
        low, high = self.sigma
        return NoiseParams(sigma=low + (high - low) * rng.random(), seed=seed(rng))
