"""The user's own function among transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.augment import checks, noise
from niicache.augment.transform import Facts, Transform
from niicache.errors import OptionError
from niicache.options import check_callable

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Lambda(Transform):
    """Calls a function of the user. One of the two is given.

    Attributes:
        image: ``image -> image``, as Keras' ``preprocessing_function``.
        sample: ``(image, label, rng) -> (image, label)``, with a generator of its own.
        p: Probability to call it.
    """

    image: Callable[[np.ndarray], np.ndarray] | None = None
    sample: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None
    p: float = 1.0

    def __post_init__(self) -> None:
        if (self.image is None) == (self.sample is None):
            given = "none" if self.image is None else "both"
            raise OptionError(
                f"Lambda: got {given} of image and sample, expected one function; image changes "
                "images alone, sample gets (image, label, rng)"
            )
        check_callable("Lambda.image", self.image, "image")
        check_callable("Lambda.sample", self.sample, "image", "label", "rng")
        self._set("p", checks.probability("Lambda.p", self.p))

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None = None
    ) -> int | None:
        """Return the seed of the function's generator, 0 if it gets none; None not to call it."""
        del shape, facts
        if rng.random() >= self.p:
            return None
        return 0 if self.sample is None else noise.seed(rng)

    def apply(
        self, image: np.ndarray, label: np.ndarray, params: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Call the function.

        Raises:
            OptionError: It returned something else than arrays of the shapes that it was given.
        """
        if params is None:
            return image, label
        if self.image is not None:
            return _checked(self.image(image), image, f"Lambda.image: {_name(self.image)}"), label
        made: Any = self.sample(image, label, noise.generator(params))  # type: ignore[misc]
        name = f"Lambda.sample: {_name(self.sample)}"
        if not isinstance(made, tuple) or len(made) != len(("image", "label")):
            raise OptionError(
                f"{name}: got {type(made).__name__}, expected the tuple (image, label); return "
                "both, even if they were changed in place"
            )
        return _checked(made[0], image, name), _checked(made[1], label, name)

    @property
    def rescales(self) -> bool:
        """A function may do anything."""
        return True

    def __repr__(self) -> str:
        given = [(name, getattr(self, name)) for name in ("image", "sample")]
        named = [f"{name}={_name(one)}" for name, one in given if one is not None]
        return f"Lambda({', '.join([*named, f'p={self.p!r}'])})"


def _name(function: Any) -> str:
    """Return the name that a function was made by, or what kind of object it is."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _checked(made: Any, given: np.ndarray, name: str) -> np.ndarray:
    """Return what a function made of an array, in the array's dtype."""
    if not isinstance(made, np.ndarray) or made.shape != given.shape:
        got, advice = type(made).__name__, "return it, even if it was changed in place"
        if isinstance(made, np.ndarray):
            got, advice = f"shape {made.shape}", "use RandomCrop or CenterCrop to cut"
        raise OptionError(f"{name}: got {got}, expected an array of shape {given.shape}; {advice}")
    return made.astype(given.dtype, copy=False)
