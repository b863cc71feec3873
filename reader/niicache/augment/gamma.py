"""Gamma correction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_channels, values
from niicache.augment.kernels import intensity as loops

if TYPE_CHECKING:
    from niicache.augment.transform import Facts


@dataclass(frozen=True, kw_only=True)
class Gamma(Intensity):
    """Raises each channel, scaled to 0 to 1 by its lowest and highest voxel, to a power.

    The meaning of GammaTransform of batchgeneratorsv2, nnU-Net's default.

    Attributes:
        gamma: Range of the power, as a pair; below and above 1 are equally likely.
        inverted: Turn dark and bright around before, and back after.
        keep_stats: Give the channel its mean and standard deviation back.
        per_channel: Draw for each channel.
        p: Probability to do anything.
    """

    gamma: tuple[float, float] = (0.7, 1.5)
    inverted: bool = False
    keep_stats: bool = True
    per_channel: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("gamma", checks.pair("Gamma.gamma", self.gamma, low=1e-3, high=1e3))
        self._set_flags("inverted", "keep_stats", "per_channel")
        self._set("p", checks.probability("Gamma.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        del facts
        return values(rng, self.gamma, shape[-1], per_channel=self.per_channel, factor=True)

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        on_channels(image, partial(self._raise, params))

    def _raise(self, gammas: np.ndarray, voxels: np.ndarray, channel: int) -> None:
        flat, real = voxels.reshape(-1), voxels.dtype.type
        low, high, mean, std = loops.stats(flat)
        span = high - low
        # Flat, not all of it numbers, or too wide for its own type.
        if not (0 < span <= float(np.finfo(real).max) and np.isfinite(mean)):
            return
        start, rise = (high, -span) if self.inverted else (low, span)
        change = (real(start), real(1 / rise), real(gammas[channel]), real(rise), real(start))
        power = loops.power if real is np.float32 else _power
        now_mean, now_std = power(flat, *change)
        if self.keep_stats:
            scale = std / max(now_std, span * 1e-7)
            limits = real(-np.inf), real(np.inf)
            loops.linear(flat, real(scale), real(mean - now_mean * scale), *limits)


def _power(
    x: np.ndarray, low: float, scale: float, gamma: float, span: float, offset: float
) -> tuple[float, float]:
    """Do what the kernel of that name does, in float64."""
    x -= low
    x *= scale
    np.clip(x, 0, 1, out=x)
    np.power(x, gamma, out=x)
    x *= span
    x += offset
    return float(x.mean()), float(x.std())
