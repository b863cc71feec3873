"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks, noise
from niicache.augment.intensity import Intensity, on_image

if TYPE_CHECKING:
    from niicache.augment.transform import Facts


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
class GaussianNoise(Intensity):
    """Adds normal noise to every voxel.

    nnU-Net calls the same range a variance, and uses what it draws as the standard deviation.

    Attributes:
        sigma: Range of the standard deviation, as a pair, in the units of the voxels.
        p: Probability to do anything.
    """

    sigma: tuple[float, float] = (0.0, 0.1)
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("sigma", checks.pair("GaussianNoise.sigma", self.sigma, low=0))
        self._set("p", checks.probability("GaussianNoise.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> NoiseParams:
        del shape, facts
        low, high = self.sigma
        return NoiseParams(sigma=low + (high - low) * rng.random(), seed=noise.seed(rng))

    def _change(self, image: np.ndarray, params: NoiseParams) -> None:
        on_image(image, partial(_add, params))


def _add(params: NoiseParams, voxels: np.ndarray) -> None:
    rng, real = noise.generator(params.seed), voxels.dtype.type
    buffer = np.empty(min(noise.BLOCK, voxels.size), real)
    for begin in range(0, voxels.size, noise.BLOCK):
        part = voxels[begin : begin + noise.BLOCK]
        drawn = rng.standard_normal(out=buffer[: part.size], dtype=real)
        drawn *= real(params.sigma)
        part += drawn
