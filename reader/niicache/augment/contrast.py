"""Contrast."""

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
class Contrast(Intensity):
    """Moves the voxels of each channel away from its mean, or towards it.

    The meaning of ContrastTransform of batchgeneratorsv2, nnU-Net's default.

    Attributes:
        factor: Range of factors, as a pair; below and above 1 are equally likely.
        preserve_range: Cut to the lowest and highest voxel of before.
        per_channel: Draw for each channel.
        p: Probability to do anything.
    """

    factor: tuple[float, float] = (0.75, 1.25)
    preserve_range: bool = True
    per_channel: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("factor", checks.pair("Contrast.factor", self.factor, low=0))
        self._set_flags("preserve_range", "per_channel")
        self._set("p", checks.probability("Contrast.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        del facts
        return values(rng, self.factor, shape[-1], per_channel=self.per_channel, factor=True)

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        on_channels(image, partial(self._stretch, params))

    def _stretch(self, factors: np.ndarray, voxels: np.ndarray, channel: int) -> None:
        flat, real = voxels.reshape(-1), voxels.dtype.type
        low, high, mean, _ = loops.stats(flat)
        if not self.preserve_range:
            low, high = -np.inf, np.inf
        scale, offset = factors[channel], mean * (1 - factors[channel])
        loops.linear(flat, real(scale), real(offset), real(low), real(high))
