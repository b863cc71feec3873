"""What every transform is: parameters drawn from a generator, then applied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from niicache.errors import OptionError
from niicache.format.facts import NONZERO, STATISTICS
from niicache.options import check_flag

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the case that a sample comes from, and cannot be seen in its voxels.

    Attributes:
        spacing: Distance of neighbouring voxels in mm, one number a spatial axis.
        mean: Mean of the voxels of the whole case without its padding, one number a channel or
            one for all.
        std: Their standard deviation, one number a channel or one for all.
        minimum: The least finite one, likewise.
        maximum: The greatest finite one, likewise.
        percentiles: Their 0.5, 1, 5, 50, 95, 99 and 99.5 %, seven numbers a channel.
        nonzero: Of the voxels that are not 0, for each channel: minimum, maximum, mean, standard
            deviation and the percentiles.
    """

    spacing: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    minimum: tuple[float, ...] | None = None
    maximum: tuple[float, ...] | None = None
    percentiles: tuple[tuple[float, ...], ...] | None = None
    nonzero: tuple[tuple[float, ...], ...] | None = None

    def of(self, name: str, *, nonzero: bool) -> Any:
        """Return a statistic of all voxels, or of those that are not 0; None where not known."""
        if not nonzero:
            return getattr(self, name)
        if self.nonzero is None:
            return None
        if name == "percentiles":
            return tuple(one[len(STATISTICS) :] for one in self.nonzero)
        return tuple(one[STATISTICS.index(name)] for one in self.nonzero)


class Transform(ABC):
    """Changes a sample in a way that is drawn anew each time. Immutable and thread-safe.

    Images are ``(*spatial, channel)`` with 2 or 3 spatial axes. A label is a mask ``(*spatial,
    channel)`` of integers or bool on the image's grid, or a vector, which passes through.
    """

    @abstractmethod
    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None = None
    ) -> Any:
        """Decide what to do.

        Args:
            rng: Generator of this sample. Nothing else is random.
            shape: Of the image, ``(*spatial, channel)``.
            facts: Of the case, for the few transforms that ask for them.

        Returns:
            Parameters for :meth:`apply`; None if this time it does nothing.

        Raises:
            OptionError: The options do not fit images of this shape, or a fact is missing.
        """

    @abstractmethod
    def apply(
        self, image: np.ndarray, label: np.ndarray, params: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Do it: the same parameters give the same result, bit for bit.

        Args:
            image: ``(*spatial, channel)``. It may be changed in place.
            label: Mask or vector.
            params: What :meth:`draw` returned for the shape of this image.

        Returns:
            Image and label, new arrays or those that were given.
        """

    def __call__(
        self,
        image: np.ndarray,
        label: np.ndarray,
        rng: np.random.Generator,
        facts: Facts | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw and apply, so that a transform fits ``BalancedSequence(transform=)``."""
        return self.apply(image, label, self.draw(rng, image.shape, facts))

    @property
    def asks(self) -> frozenset[str]:
        """Names of the :class:`Facts` that it cannot do without."""
        return frozenset()

    @property
    def rescales(self) -> bool:
        """Whether the units of voxels are others afterwards."""
        return False

    @property
    def straight(self) -> bool:
        """Whether it is one scale and one offset for all voxels of a channel, always."""
        return False

    def undone(self, value: float) -> float | None:
        """Return the voxel that becomes ``value``, None where that is not known beforehand."""
        return None if self.rescales else value

    def _set_flags(self, *names: str) -> None:
        """Check flags, and keep them as plain ones, whose repr evaluates.

        Raises:
            OptionError: One is no flag.
        """
        for name in names:
            check_flag(f"{type(self).__name__}.{name}", getattr(self, name))
            self._set(name, bool(getattr(self, name)))

    def _set(self, name: str, value: object) -> None:
        """Replace an option of a frozen dataclass by its checked form."""
        object.__setattr__(self, name, value)


def asked(*names: str, nonzero: bool) -> frozenset[str]:
    """Return the facts in which statistics are, of all voxels or of those that are not 0."""
    return frozenset({NONZERO} if nonzero else names)


class ByChance(Transform):
    """Acts with a probability; base of what is drawn in one way.

    Attributes:
        p: Probability that it does something.
    """

    p: float

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None = None
    ) -> Any:
        """Decide what to do; None if this time it does nothing."""
        spatial_count(type(self).__name__, shape)
        return self._drawn(rng, shape, facts) if rng.random() < self.p else None

    @abstractmethod
    def _drawn(self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None) -> Any:
        """Draw the parameters, now that it acts."""


def spatial_count(name: str, shape: tuple[int, ...]) -> int:
    """Return how many spatial axes an image has.

    Raises:
        OptionError: Neither 2 nor 3.
    """
    count = len(shape) - 1
    if count not in {2, 3}:
        raise OptionError(
            f"{name}: got an image of shape {shape}, expected (*spatial, channel) with 2 or 3 "
            "spatial axes; give one sample without its batch axis, and with its channel axis"
        )
    return count
