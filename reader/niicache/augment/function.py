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
        check_callable("Lambda.image", self.image)
        check_callable("Lambda.sample", self.sample)
        if (self.image is None) == (self.sample is None):
            given = "none" if self.image is None else "both"
            raise OptionError(
                f"Lambda: got {given} of image and sample, expected one function; image changes "
                "images alone, sample gets (image, label, rng)"
            )
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
            OptionError: It returned something else than arrays.
        """
        if params is None:
            return image, label
        if self.image is not None:
            made: Any = self.image(image)
            if not isinstance(made, np.ndarray):
                raise OptionError(
                    f"Lambda.image: got {type(made).__name__} from {_name(self.image)}, expected "
                    "an array; return the image, even if it was changed in place"
                )
            return made, label
        return self.sample(image, label, noise.generator(params))  # type: ignore[misc]

    @property
    def rescales(self) -> bool:
        """A function may do anything."""
        return True

    def __repr__(self) -> str:
        given = [(name, getattr(self, name)) for name in ("image", "sample")]
        named = [f"{name}={_name(one)}" for name, one in given if one is not None]
        return f"Lambda({', '.join([*named, f'p={self.p!r}'])})"


def _name(function: Any) -> str:
    """Return the name that a function was made by; nothing says more of one."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(function)
