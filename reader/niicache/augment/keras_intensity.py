"""What Keras' ImageDataGenerator does to intensities, as it does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_image
from niicache.augment.kernels import intensity as loops

if TYPE_CHECKING:
    from niicache.augment.transform import Facts

WHITE = 255
TINY = 1e-6
"""What Keras adds to a standard deviation."""


@dataclass(frozen=True, kw_only=True)
class KerasChannelShift(Intensity):
    """Adds one number to all channels, cut to the lowest and highest voxel of the image.

    Attributes:
        intensity: The number is drawn from minus to plus this.
        p: Probability to do anything.
    """

    intensity: float
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("intensity", abs(checks.number("channel_shift_range", self.intensity)))
        self._set("p", checks.probability("p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> float:
        del shape, facts
        return self.intensity * (2 * rng.random() - 1)

    def _change(self, image: np.ndarray, params: float) -> None:
        def shift(voxels: np.ndarray) -> None:
            real = voxels.dtype.type
            low, high, *_ = loops.stats(voxels)
            loops.linear(voxels, real(1), real(params), real(low), real(high))

        on_image(image, shift)


@dataclass(frozen=True, kw_only=True)
class KerasBrightness(Intensity):
    """Multiplies what lies above black, and cuts at white.

    Black and white are 0 and 255, or the lowest and highest voxel of an image that reaches beyond.
    Keras goes through an image of 8 bits; this does not, so Keras' result differs by up to 1/255
    of the range from black to white, and by the brightness times that.

    Attributes:
        brightness: Range of the factor, as a pair.
        p: Probability to do anything.
    """

    brightness: tuple[float, float]
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("brightness", checks.pair("brightness_range", self.brightness, low=0))
        self._set("p", checks.probability("p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> float:
        del shape, facts
        low, high = self.brightness
        return low + (high - low) * rng.random()

    def _change(self, image: np.ndarray, params: float) -> None:
        def brighten(voxels: np.ndarray) -> None:
            real = voxels.dtype.type
            black, white, *_ = loops.stats(voxels)
            if black >= 0 and white <= WHITE:
                black, white = 0.0, float(WHITE)
            offset = real(black * (1 - params))
            loops.linear(voxels, real(params), offset, real(black), real(white))

        on_image(image, brighten)


@dataclass(frozen=True, kw_only=True)
class KerasStandardise(Intensity):
    """Subtracts the mean of all voxels of the image, and may divide by their deviation.

    Attributes:
        std: Divide by the standard deviation + 1e-6.
        p: Probability to do anything.
    """

    std: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set_flags("std")
        self._set("p", checks.probability("p", self.p))

    @property
    def rescales(self) -> bool:
        """To differences from the mean."""
        return True

    def _drawn(self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None) -> bool:
        del rng, shape, facts
        return self.std

    def _change(self, image: np.ndarray, params: bool) -> None:  # noqa: FBT001  # parameters have one place
        def standardise(voxels: np.ndarray) -> None:
            real = voxels.dtype.type
            *_, mean, std = loops.stats(voxels)
            scale = 1 / (std + TINY) if params else 1.0
            limits = real(-np.inf), real(np.inf)
            loops.linear(voxels, real(scale), real(-mean * scale), *limits)

        on_image(image, standardise)
