"""Several transforms as one."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.augment.intensity import Intensity
from niicache.augment.order import check_order, fill_of
from niicache.augment.spatial import Spatial, plan
from niicache.augment.transform import Facts, Transform
from niicache.augment.warp import STRAIGHT, Line, warp
from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache.augment.plan import Fill, Plan


class Compose(Transform):
    """Draws several transforms in their order, and applies them.

    All spatial ones become ONE resampling, which is done first, and the others follow in their
    order. A Compose inside is taken apart. A scale of intensity that comes first of those, as
    Rescale and ZScore, is part of the resampling. A constant that fills is in the units that
    voxels have where its transform stands: 0 after a ZScore is the mean of the case.

    :meth:`plan` and :meth:`line` say what the resampling is, so that a reader can do it straight
    from where a case was decoded into the batch; :meth:`finish` does the rest there.

    Args:
        transforms: Any of this package that work on one sample. MixUp and CutMix do not.

    Attributes:
        transforms (tuple): As given, taken apart.

    Raises:
        OptionError: One is no transform, or they do not fit each other in this order.
    """

    transforms: tuple[Transform, ...]
    _spatial: tuple[tuple[int, Spatial], ...]
    _others: tuple[tuple[int, Transform], ...]
    _fill: Fill

    def __init__(self, *transforms: Transform) -> None:
        for one in transforms:
            if not isinstance(one, Transform):
                raise OptionError(
                    f"Compose: got {one!r}, expected transforms of niicache.augment; {_advice(one)}"
                )
        flat = tuple(_flat(transforms))
        self._set("transforms", flat)
        numbered = tuple(enumerate(flat))
        spatial = tuple((i, one) for i, one in numbered if isinstance(one, Spatial))
        self._set("_spatial", spatial)
        self._set("_others", tuple(one for one in numbered if not isinstance(one[1], Spatial)))
        check_order(flat)
        self._set("_fill", fill_of(flat))

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None = None
    ) -> tuple[Any, ...]:
        """Return the parameters of each transform; None for those that do nothing."""
        final = self.out_shape(shape)
        drawn = []
        for one in self.transforms:
            if isinstance(one, Spatial):
                drawn.append(one.draw(rng, shape, facts))
                shape = one.out_shape(shape)
            else:
                drawn.append(one.draw(rng, final, facts))
        return tuple(drawn)

    def apply(
        self, image: np.ndarray, label: np.ndarray, params: tuple[Any, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Resample once, then change intensities; in place where nothing moves."""
        line = self.line(params) or STRAIGHT
        image, label = warp(image, label, self.plan(params, image.shape), line)
        return self.finish(image, label, params)

    def plan(self, params: tuple[Any, ...], shape: tuple[int, ...]) -> Plan:
        """Return the one resampling that the spatial transforms come to.

        Args:
            params: Of :meth:`draw`.
            shape: Of the source image, ``(*spatial, channel)``.
        """
        return plan([(one, params[i]) for i, one in self._spatial], shape, self._fill)

    def finish(
        self, image: np.ndarray, label: np.ndarray, params: tuple[Any, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Apply what the resampling left to do, in place where that is possible.

        Args:
            image: Resampled.
            label: Resampled mask, or a vector.
            params: The same.

        Returns:
            Image and label, those that were given or new arrays.
        """
        others = self._others[1:] if self.line(params) else self._others
        for i, one in others:
            image, label = one.apply(image, label, params[i])
        return image, label

    def line(self, params: tuple[Any, ...]) -> Line | None:
        """Return what the first of those that are not spatial does, if it scales and shifts.

        That is then part of the resampling.
        """
        if not self._others:
            return None
        i, one = self._others[0]
        return one.line(params[i]) if isinstance(one, Intensity) else None

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape ``(*spatial, channel)`` that an image of a shape becomes."""
        for _, one in self._spatial:
            shape = one.out_shape(shape)
        return shape

    def check_mask(self, dtype: np.dtype) -> None:
        """Refuse to fill masks with what they cannot hold.

        Args:
            dtype: Of the masks.

        Raises:
            OptionError: They cannot hold ``fill_label``.
        """
        label = self._fill.label
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= label <= np.iinfo(dtype).max:
            raise OptionError(
                f"fill_label: got {label}, expected what masks of {dtype} hold, from "
                f"{np.iinfo(dtype).min} to {np.iinfo(dtype).max}"
            )

    @property
    def moves(self) -> bool:
        """Whether any of them moves voxels."""
        return bool(self._spatial)

    @property
    def asks(self) -> frozenset[str]:
        """Names of the facts that any of them asks for."""
        return frozenset().union(*(one.asks for one in self.transforms))

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compose) and self.transforms == other.transforms

    def __hash__(self) -> int:
        return hash((Compose, self.transforms))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign {value!r} to {name!r}: a Compose is immutable")

    def __reduce__(self) -> tuple[type[Compose], tuple[Transform, ...]]:
        return Compose, self.transforms


def _advice(value: object) -> str:
    """Return what to do about what is no transform."""
    if isinstance(value, list | tuple):
        return "give them one by one: Compose(*transforms)"
    if isinstance(value, type):
        return f"make one: {value.__name__}(...)"
    if isinstance(value, FunctionType) and value.__module__.startswith("niicache.augment"):
        return f"call it: {value.__name__}()"
    return "wrap a function in Lambda, and give MixUp and CutMix as batch_transform"


def _flat(transforms: tuple[Transform, ...]) -> Iterator[Transform]:
    for one in transforms:
        if isinstance(one, Compose):
            yield from one.transforms
        else:
            yield one
