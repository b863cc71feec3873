"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from niicache.augment import noise
from niicache.augment.intensity import on_image
from niicache.augment.noise import Noise, NoiseParams


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Noise):
    """Adds normal noise to every voxel.

    nnU-Net calls the same range a variance, and uses what it draws as the standard deviation.

    Attributes:
        sigma: Range of the standard deviation, as a pair, in the units of the voxels.
        p: Probability to do anything.
    """

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
