"""Scales of intensity: by a case's statistics, by a window, by fixed numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_channels, on_image
from niicache.augment.kernels import intensity as loops
from niicache.augment.transform import Facts, asked
from niicache.augment.warp import Line
from niicache.errors import OptionError
from niicache.options import check_one_of

TINY = 1e-8

Standards: TypeAlias = tuple[tuple[float, float], ...]
"""Mean and standard deviation of each channel."""


@dataclass(frozen=True, kw_only=True)
class ZScore(Intensity):
    """Does (voxels - mean) / standard deviation, for each channel.

    Attributes:
        of: Whose mean and deviation: the whole "case"'s, from its facts and without its padding,
            or the "image"'s that is given, padding included.
        nonzero: Whether those of the case are of its voxels that are not 0. All are scaled.
        p: Probability to do anything.
    """

    of: Literal["case", "image"] = "case"
    nonzero: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        check_one_of("ZScore.of", self.of, ("case", "image"))
        self._set_flags("nonzero")
        if self.nonzero and self.of == "image":
            raise OptionError("ZScore.nonzero: got True with of='image', expected of='case'")
        self._set("p", checks.probability("ZScore.p", self.p))

    @property
    def asks(self) -> frozenset[str]:
        """Mean and deviation of the case."""
        if self.of == "image":
            return frozenset()
        return asked("mean", "std", nonzero=self.nonzero)

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> Standards | Literal["image"]:
        del rng
        if self.of == "image":
            return "image"
        given = (facts or Facts()).of
        mean = _each(given("mean", nonzero=self.nonzero), shape[-1])
        std = _each(given("std", nonzero=self.nonzero), shape[-1])
        if mean is None or std is None:
            raise OptionError(
                f"ZScore.of: got 'case' and facts {facts}, expected "
                f"{' and '.join(sorted(self.asks))} of the case, one "
                f"number for each of {shape[-1]} channels or one for all; call the transform with "
                "facts=Facts(mean=(...,), std=(...,)), or take of='image'"
            )
        return tuple(zip(mean, std, strict=True))

    @property
    def rescales(self) -> bool:
        """To deviations from the mean."""
        return True

    @property
    def straight(self) -> bool:
        """That of a case is, where it always acts."""
        return self.of == "case" and self.p == 1

    def line(self, params: Standards | Literal["image"] | None) -> Line | None:
        """Return 1 / deviation and -mean / deviation of each channel of the case."""
        return None if params is None or isinstance(params, str) else line_of(params)

    def _change(self, image: np.ndarray, params: Standards | Literal["image"]) -> None:
        def scale(voxels: np.ndarray, channel: int) -> None:
            flat = voxels.reshape(-1)
            known = loops.stats(flat)[2:] if isinstance(params, str) else params[channel]
            linear(flat, *standard(*known))

        on_channels(image, scale)


@dataclass(frozen=True, kw_only=True)
class Window(Intensity):
    """Cuts voxels to a window, as of Hounsfield units, and scales it to 0 to 1.

    Attributes:
        low: Lower end, in the units of the voxels.
        high: Upper end.
        p: Probability to do anything.
    """

    low: float
    high: float
    p: float = 1.0

    def __post_init__(self) -> None:
        low, high = checks.interval("Window", self.low, self.high)
        self._set("low", low)
        self._set("high", high)
        self._set("p", checks.probability("Window.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> tuple[float, float]:
        del rng, shape, facts
        return 1 / (self.high - self.low), -self.low / (self.high - self.low)

    @property
    def rescales(self) -> bool:
        """To 0 to 1."""
        return True

    def undone(self, value: float) -> float | None:
        """Return the voxel that becomes ``value``; 0 to 1 come from the window."""
        return self.low + value * (self.high - self.low)

    def _change(self, image: np.ndarray, params: tuple[float, float]) -> None:
        on_image(image, lambda voxels: linear(voxels, *params, 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Rescale(Intensity):
    """Does voxels * scale + offset.

    Attributes:
        scale: Factor.
        offset: Added after.
        p: Probability to do anything.
    """

    scale: float = 1.0
    offset: float = 0.0
    p: float = 1.0

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            self._set(name, checks.number(f"Rescale.{name}", getattr(self, name)))
        if self.scale == 0:
            raise OptionError(
                "Rescale.scale: got 0, expected another number: every image would be the same"
            )
        self._set("p", checks.probability("Rescale.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> tuple[float, float]:
        del rng, shape, facts
        return self.scale, self.offset

    @property
    def rescales(self) -> bool:
        """By what it is told."""
        return True

    @property
    def straight(self) -> bool:
        """Where it always acts."""
        return self.p == 1

    def undone(self, value: float) -> float | None:
        """Return the voxel that becomes ``value``."""
        return (value - self.offset) / self.scale

    def line(self, params: tuple[float, float] | None) -> Line | None:
        """Return scale and offset."""
        return None if params is None else Line(*((one,) for one in params))

    def _change(self, image: np.ndarray, params: tuple[float, float]) -> None:
        on_image(image, lambda voxels: linear(voxels, *params))


def line_of(params: Standards) -> Line:
    """Return what makes a number of each channel 0, and what lies a unit above it 1."""
    scales, offsets = zip(*(standard(*one) for one in params), strict=True)
    return Line(scales, offsets)


def standard(zero: float, unit: float) -> tuple[float, float]:
    """Return the scale and the offset that make one number 0, and what lies a unit above it 1."""
    scale = 1 / unit if unit > TINY else 1.0  # one of nothing but its mean becomes 0, not huge
    return scale, -zero * scale


def _each(given: tuple[float, ...] | None, channels: int) -> tuple[float, ...] | None:
    """Return a number for each channel, None if they are not given."""
    if given is None or len(given) not in {1, channels}:
        return None
    return given * (channels // len(given))


def linear(
    voxels: np.ndarray, scale: float, offset: float, low: float = -np.inf, high: float = np.inf
) -> None:
    """Do voxels * scale + offset in place, and cut what lies beyond low and high."""
    real = voxels.dtype.type
    loops.linear(voxels, real(scale), real(offset), real(low), real(high))
