"""Rician noise, that of a magnitude image of magnetic resonance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from niicache.augment import noise
from niicache.augment.intensity import on_image
from niicache.augment.kernels import intensity as loops
from niicache.augment.noise import Noise, NoiseParams


@dataclass(frozen=True, kw_only=True)
class RicianNoise(Noise):
    """Takes the magnitude after normal noise in the real and the imaginary part.

    The magnitude is that above the lowest voxel of the image, so that a normalised image, which
    reaches below 0, has a background too; RicianNoiseTransform of batchgeneratorsv2 does so as
    well. It gives the image its mean and deviation back, which this does not.

    Attributes:
        sigma: Range of the standard deviation of each part, as a pair, in the units of the voxels.
        p: Probability to do anything.
    """

    def _change(self, image: np.ndarray, params: NoiseParams) -> None:
        on_image(image, partial(_magnitude, params))


def _magnitude(params: NoiseParams, voxels: np.ndarray) -> None:
    rng, real = noise.generator(params.seed), voxels.dtype.type
    low, sigma = real(loops.stats(voxels)[0]), real(params.sigma)
    buffer = np.empty((2, min(noise.BLOCK, voxels.size)), real)
    for begin in range(0, voxels.size, noise.BLOCK):
        part = voxels[begin : begin + noise.BLOCK]
        parts = buffer[:, : part.size]
        for one in parts:
            rng.standard_normal(out=one, dtype=real)
        parts *= sigma
        loops.rician(part, parts[0], parts[1], low)
