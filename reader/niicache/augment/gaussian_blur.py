"""Gaussian blur."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_channels
from niicache.augment.kernels import smoothing as loops

if TYPE_CHECKING:
    from niicache.augment.transform import Facts

REACH = 3
"""Standard deviations to the end of a kernel, as for batchgeneratorsv2."""


@dataclass(frozen=True, kw_only=True)
class GaussianBlur(Intensity):
    """Convolves each channel with a Gaussian, cut at 3 deviations; borders are mirrored.

    The meaning of GaussianBlurTransform of batchgeneratorsv2.

    Attributes:
        sigma: Range of the standard deviation in voxels, as a pair.
        per_axis: Draw for each axis.
        per_channel: Draw for each channel.
        p_channel: Probability of each channel, once the transform acts.
        p: Probability that it acts.
    """

    sigma: tuple[float, float] = (0.5, 1.0)
    per_axis: bool = False
    per_channel: bool = False
    p_channel: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("sigma", checks.pair("GaussianBlur.sigma", self.sigma, low=0, high=100))
        self._set_flags("per_axis", "per_channel")
        self._set("p_channel", checks.probability("GaussianBlur.p_channel", self.p_channel))
        self._set("p", checks.probability("GaussianBlur.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        """Return a sigma for each channel and axis, 0 where nothing is done."""
        del facts
        channels, count = shape[-1], len(shape) - 1
        acts = rng.random(channels) < self.p_channel
        drawn = rng.random((channels if self.per_channel else 1, count if self.per_axis else 1))
        low, high = self.sigma
        return np.broadcast_to(low + (high - low) * drawn, (channels, count)) * acts[:, None]

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        if params.any():
            on_channels(image, partial(_blur, params))


def _blur(sigmas: np.ndarray, voxels: np.ndarray, channel: int) -> None:
    for axis, sigma in enumerate(sigmas[channel].tolist()):
        weights = _weights(sigma, voxels.dtype)
        if len(weights) == 1:
            continue
        if axis == voxels.ndim - 1:
            loops.blur_rows(voxels.reshape(-1, voxels.shape[-1]), weights)
        else:
            outer = math.prod(voxels.shape[:axis])
            inner = voxels.reshape(outer, voxels.shape[axis], -1)
            loops.blur_inner(inner, weights)


def _weights(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Return the middle weight and those of one side, then zeros up to a multiple of 3."""
    radius = int(REACH * sigma + 0.5)
    if not radius:
        return np.ones(1, dtype)
    half = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    half /= 2 * half.sum() - half[0]
    return np.pad(half, (0, -radius % 3)).astype(dtype)
