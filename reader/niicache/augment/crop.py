"""Crops: a box of the image, at its centre or anywhere."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.spatial import Spatial
from niicache.errors import OptionError

if TYPE_CHECKING:
    from niicache.augment.transform import Facts


class _Crop(Spatial):
    """Cuts out a box, always. Index arithmetic, exact."""

    size: int | tuple[int, ...]
    p = 1.0

    def matrix(self, params: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
        """Return a shift to the first voxel of the box."""
        del shape
        return np.column_stack([np.eye(len(params)), np.array(params, float)])

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the box and the channels.

        Raises:
            OptionError: The image is smaller than the box.
        """
        name = f"{type(self).__name__}.size"
        size = checks.sizes_of(name, self.size, len(shape) - 1)
        if any(n > m for n, m in zip(size, shape, strict=False)):
            raise OptionError(
                f"{name}: got {size} for an image of shape {shape}, expected at most its size; "
                "crop less, or build the cache with a larger shape"
            )
        return (*size, shape[-1])

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None = None
    ) -> tuple[int, ...]:
        """Return the first voxel of the box."""
        return self._drawn(rng, shape, facts)

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> tuple[int, ...]:
        del facts
        out = self.out_shape(shape)
        room = [m - n for n, m in zip(out[:-1], shape, strict=False)]
        return tuple(self._first(rng, free) for free in room)

    @abstractmethod
    def _first(self, rng: np.random.Generator, room: int) -> int: ...


@dataclass(frozen=True, kw_only=True)
class RandomCrop(_Crop):
    """Cuts out a box anywhere in the image, always: a batch has one shape.

    Attributes:
        size: Of the box in voxels, for every axis or one an axis.
    """

    size: int | tuple[int, ...]

    def __post_init__(self) -> None:
        self._set("size", checks.sizes("RandomCrop.size", self.size))

    def _first(self, rng: np.random.Generator, room: int) -> int:
        return int(rng.integers(room, endpoint=True))


@dataclass(frozen=True, kw_only=True)
class CenterCrop(_Crop):
    """Cuts out the box in the middle; where halves differ, the one nearer to the first voxel.

    Attributes:
        size: Of the box in voxels, for every axis or one an axis.
    """

    size: int | tuple[int, ...]

    def __post_init__(self) -> None:
        self._set("size", checks.sizes("CenterCrop.size", self.size))

    def _first(self, rng: np.random.Generator, room: int) -> int:
        del rng
        return room // 2
