"""Simulated low resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_channels
from niicache.augment.kernels import smoothing as loops
from niicache.errors import OptionError

if TYPE_CHECKING:
    from niicache.augment.transform import Facts


@dataclass(frozen=True, kw_only=True)
class LowResolution(Intensity):
    """Takes the nearest voxels of a coarser grid and interpolates them back linearly.

    The meaning of SimulateLowResolutionTransform of batchgeneratorsv2: torch's ``nearest-exact``,
    then ``linear`` with ``align_corners=False``.

    Attributes:
        scale: Range of the length of the coarse grid, as a fraction of the image's, as a pair.
        axes: Spatial axes that it acts on; all of them if None.
        per_channel: Draw for each channel.
        p_channel: Probability of each channel, once the transform acts.
        p: Probability that it acts.
    """

    scale: tuple[float, float] = (0.5, 1.0)
    axes: tuple[int, ...] | None = None
    per_channel: bool = False
    p_channel: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("scale", checks.pair("LowResolution.scale", self.scale, low=1e-3, high=1))
        self._set("axes", checks.axes("LowResolution.axes", self.axes))
        self._set_flags("per_channel")
        self._set("p_channel", checks.probability("LowResolution.p_channel", self.p_channel))
        self._set("p", checks.probability("LowResolution.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        """Return a scale for each channel and axis, 1 where nothing is done."""
        del facts
        channels, count = shape[-1], len(shape) - 1
        if self.axes is not None and not set(self.axes) <= set(range(count)):
            raise OptionError(
                f"LowResolution.axes: got {self.axes}, expected axes of an image that has {count}; "
                "count them from 0, without the channel axis"
            )
        acts = rng.random(channels) < self.p_channel
        low, high = self.scale
        drawn = low + (high - low) * rng.random((channels if self.per_channel else 1, 1))
        wanted = [self.axes is None or axis in self.axes for axis in range(count)]
        return np.where(acts[:, None] & np.array(wanted), drawn, 1.0)

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        if (params < 1).any():
            on_channels(image, partial(_coarsen, params))


def _coarsen(scales: np.ndarray, voxels: np.ndarray, channel: int) -> None:
    few = [max(1, round(n * s)) for n, s in zip(voxels.shape, scales[channel], strict=True)]
    if few == list(voxels.shape):
        return
    kept = [
        ((np.arange(m) + 0.5) * n / m).astype(np.intp)
        for m, n in zip(few, voxels.shape, strict=True)
    ]
    lines = [_line(n, m) for m, n in zip(few, voxels.shape, strict=True)]
    if voxels.ndim == len("2D"):  # a plane is a volume of one slice
        kept, lines = [np.zeros(1, np.intp), *kept], [_line(1, 1), *lines]
        voxels = voxels[None]
    low, high, part = (np.concatenate(parts) for parts in zip(*lines, strict=True))
    small = np.empty([len(one) for one in kept], voxels.dtype)
    loops.pick(voxels, small, np.concatenate(kept))
    loops.enlarge(small, voxels, low, high, part.astype(voxels.dtype))


def _line(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each of n voxels the two of m that it lies between, and where."""
    place = np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1)
    low = np.minimum(place.astype(np.intp), m - 1)
    return low, np.minimum(low + 1, m - 1), place - low
