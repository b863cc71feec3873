"""Several transforms as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from niicache.augment.spatial import Spatial, plan, plan_problem
from niicache.augment.transform import Facts, Transform
from niicache.augment.warp import warp
from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from niicache.augment.plan import Plan


class Compose(Transform):
    """Draws several transforms in their order, and applies them.

    All spatial ones become ONE resampling, which is done first, and the others follow in their
    order. A Compose inside is taken apart.

    Args:
        transforms: Any of this package that work on one sample. MixUp and CutMix do not.

    Attributes:
        transforms (tuple): As given, taken apart.

    Raises:
        OptionError: One is no transform, or the spatial ones do not fit each other.
    """

    transforms: tuple[Transform, ...]
    _spatial: tuple[tuple[int, Spatial], ...]
    _others: tuple[tuple[int, Transform], ...]

    def __init__(self, *transforms: Transform) -> None:
        for one in transforms:
            if not isinstance(one, Transform):
                raise OptionError(
                    f"Compose: got {one!r}, expected transforms of niicache.augment; wrap a "
                    "function in Lambda, and use MixUp and CutMix on whole batches"
                )
        flat = tuple(_flat(transforms))
        self._set("transforms", flat)
        numbered = tuple(enumerate(flat))
        spatial = tuple((i, one) for i, one in numbered if isinstance(one, Spatial))
        self._set("_spatial", spatial)
        self._set("_others", tuple(one for one in numbered if not isinstance(one[1], Spatial)))
        problem = plan_problem([one for _, one in spatial])
        if problem:
            raise OptionError(problem)

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
        """Resample once, then change intensities."""
        image, label = warp(image, label, self.plan(params, image.shape))
        return self.finish(image, label, params)

    def plan(self, params: tuple[Any, ...], shape: tuple[int, ...]) -> Plan:
        """Return the one resampling that the spatial transforms come to.

        Args:
            params: Of :meth:`draw`.
            shape: Of the source image, ``(*spatial, channel)``.
        """
        return plan([(one, params[i]) for i, one in self._spatial], shape)

    def finish(
        self, image: np.ndarray, label: np.ndarray, params: tuple[Any, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Apply what is not spatial, for those who resampled by :meth:`plan` themselves."""
        for i, one in self._others:
            image, label = one.apply(image, label, params[i])
        return image, label

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape ``(*spatial, channel)`` that an image of a shape becomes."""
        for _, one in self._spatial:
            shape = one.out_shape(shape)
        return shape

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


def _flat(transforms: tuple[Transform, ...]) -> Iterator[Transform]:
    for one in transforms:
        if isinstance(one, Compose):
            yield from one.transforms
        else:
            yield one
