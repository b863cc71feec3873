"""A bias field, as the coils of a magnetic resonance scanner leave it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from niicache.augment import checks
from niicache.augment.intensity import Intensity, on_channels
from niicache.options import check_count

if TYPE_CHECKING:
    from niicache.augment.checks import Range
    from niicache.augment.transform import Facts


@dataclass(frozen=True, kw_only=True)
class BiasField(Intensity):
    """Multiplies all channels by the exponential of a polynomial over the image.

    The model of Van Leemput et al. (1999), as RandomBiasField of TorchIO and MONAI have it:
    coordinates go from -1 to 1 over each axis, coefficients of all terms are drawn by themselves.

    Attributes:
        coefficients: Range of each coefficient.
        order: Highest sum of powers in a term, 1 or more.
        p: Probability to do anything.
    """

    coefficients: Range = 0.5
    order: int = 3
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set("coefficients", checks.span("BiasField.coefficients", self.coefficients))
        check_count("BiasField.order", self.order, 1)
        self._set("order", int(self.order))
        self._set("p", checks.probability("BiasField.p", self.p))

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> np.ndarray:
        """Return the coefficient of each product of powers, (order + 1,) * d."""
        del facts
        count = len(shape) - 1
        low, high = self.coefficients  # type: ignore[misc]
        terms = np.zeros((self.order + 1,) * count)
        for powers in product(range(self.order + 1), repeat=count):
            if sum(powers) <= self.order:
                terms[powers] = low + (high - low) * rng.random()
        return terms

    def _change(self, image: np.ndarray, params: np.ndarray) -> None:
        on_channels(image, partial(_multiply, params))


def _multiply(terms: np.ndarray, voxels: np.ndarray, channel: int) -> None:
    del channel
    powers = [np.vander(np.linspace(-1, 1, n), len(terms), increasing=True) for n in voxels.shape]
    *outer, last = powers
    rows = outer[0] @ terms.reshape(len(terms), -1)
    for x, row in enumerate(rows):  # a slice at a time: the field is never held as a whole
        inner = row.reshape(-1, len(terms))
        if len(outer) > 1:
            inner = outer[1] @ row.reshape(len(terms), -1)
        field = (inner @ last.T).astype(voxels.dtype)
        voxels[x] *= np.exp(field, out=field).reshape(voxels[x].shape)
