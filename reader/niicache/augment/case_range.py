"""Scales of intensity by what a case holds: from its least to its greatest voxel, or nearly."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_channels, on_image
from niicache.augment.normalise import line_of, linear, standard
from niicache.augment.transform import asked
from niicache.errors import OptionError
from niicache.format.facts import PERCENTILES

if TYPE_CHECKING:
    import numpy as np

    from niicache.augment.normalise import Standards
    from niicache.augment.transform import Facts
    from niicache.augment.warp import Line

_KNOWN: Final = ", ".join(f"{percent:g}" for percent in PERCENTILES)


class CaseRange(Intensity):
    """Does (voxels - low) / (high - low) for each channel, by two numbers of the whole case."""

    @property
    def rescales(self) -> bool:
        """To about 0 to 1."""
        return True

    @property
    def straight(self) -> bool:
        """Where it always acts."""
        return self.p == 1

    def line(self, params: Standards | None) -> Line | None:
        """Return scale and offset of each channel."""
        return None if params is None else line_of(params)

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> Standards:
        del rng
        ends = None if facts is None else self._ends(facts)
        if ends is None or len(ends) not in {1, shape[-1]}:
            needed = " and ".join(sorted(self.asks))
            raise OptionError(
                f"{type(self).__name__}: got facts {facts}, expected {needed} of the case, for "
                f"each of {shape[-1]} channels or once for all; call the transform with "
                "facts=Facts(...)"
            )
        return tuple((low, high - low) for low, high in ends) * (shape[-1] // len(ends))

    @abstractmethod
    def _ends(self, facts: Facts) -> tuple[tuple[float, float], ...] | None:
        """Return what becomes 0 and what becomes 1, of each channel; None where not known."""

    def _change(self, image: np.ndarray, params: Standards) -> None:
        on_channels(
            image,
            lambda voxels, channel: linear(voxels.reshape(-1), *standard(*params[channel])),
        )


@dataclass(frozen=True, kw_only=True)
class MinMax(CaseRange):
    """Scales each channel so that the least finite voxel of the case is 0, the greatest 1.

    Attributes:
        nonzero: Whether only voxels that are not 0 are looked at. All are scaled.
        p: Probability to do anything.
    """

    nonzero: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set_flags("nonzero")
        self._set("p", checks.probability("MinMax.p", self.p))

    @property
    def asks(self) -> frozenset[str]:
        """The least and the greatest voxel."""
        return asked("minimum", "maximum", nonzero=self.nonzero)

    def _ends(self, facts: Facts) -> tuple[tuple[float, float], ...] | None:
        low, high = (facts.of(name, nonzero=self.nonzero) for name in ("minimum", "maximum"))
        return None if low is None or high is None else tuple(zip(low, high, strict=True))


@dataclass(frozen=True, kw_only=True)
class Percentile(CaseRange):
    """Scales each channel so that a low percentile of the case is 0, a high one 1.

    What lies beyond them comes out below 0 and above 1; :class:`Clip` cuts it.

    Attributes:
        low: In percent, one of those that caches keep: 0.5, 1, 5, 50, 95, 99, 99.5.
        high: Likewise.
        nonzero: Whether they are of the voxels that are not 0. All are scaled.
        p: Probability to do anything.
    """

    low: float = 0.5
    high: float = 99.5
    nonzero: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set_flags("nonzero")
        for name in ("low", "high"):
            value = checks.number(f"Percentile.{name}", getattr(self, name))
            if value not in PERCENTILES:
                raise OptionError(f"Percentile.{name}: got {value!r}, expected one of {_KNOWN}")
            self._set(name, value)
        if self.low >= self.high:
            raise OptionError(f"Percentile.high: got {self.high!r}, expected more than {self.low}")
        self._set("p", checks.probability("Percentile.p", self.p))

    @property
    def asks(self) -> frozenset[str]:
        """The percentiles."""
        return asked("percentiles", nonzero=self.nonzero)

    def _ends(self, facts: Facts) -> tuple[tuple[float, float], ...] | None:
        low, high = PERCENTILES.index(self.low), PERCENTILES.index(self.high)
        known = facts.of("percentiles", nonzero=self.nonzero)
        if known is None or any(len(one) != len(PERCENTILES) for one in known):
            return None
        return tuple((one[low], one[high]) for one in known)


@dataclass(frozen=True, kw_only=True)
class Clip(Intensity):
    """Cuts voxels that lie beyond two numbers.

    Attributes:
        low: What is less becomes this.
        high: What is more becomes this.
        p: Probability to do anything.
    """

    low: float
    high: float
    p: float = 1.0

    def __post_init__(self) -> None:
        low, high = checks.interval("Clip", self.low, self.high)
        self._set("low", low)
        self._set("high", high)
        self._set("p", checks.probability("Clip.p", self.p))

    @property
    def rescales(self) -> bool:
        """What fills is cut too."""
        return True

    def undone(self, value: float) -> float | None:
        """Return the same, None where it would be cut."""
        return value if self.low <= value <= self.high else None

    def _drawn(self, rng: np.random.Generator, shape: tuple[int, ...], facts: Any) -> bool:
        del rng, shape, facts
        return True

    def _change(self, image: np.ndarray, params: bool) -> None:  # noqa: FBT001 - one of many kinds of parameters
        del params
        on_image(image, lambda voxels: linear(voxels, 1.0, 0.0, self.low, self.high))
