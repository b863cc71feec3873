"""Transforms of whole batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np


class BatchTransform(ABC):
    """Changes a batch in a way that is drawn anew each time. Immutable and thread-safe."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Decide what to do.

        Args:
            rng: Generator of this batch. Nothing else is random.
            shape: Of the images, ``(batch, *spatial, channel)``.

        Returns:
            Parameters for :meth:`apply`; None if this time it does nothing.
        """

    @abstractmethod
    def apply(
        self, images: np.ndarray, labels: np.ndarray, params: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Do it: the same parameters give the same result, bit for bit.

        Args:
            images: ``(batch, *spatial, channel)`` of floats.
            labels: One-hot or vectors ``(batch, k)``, or masks ``(batch, *spatial, channel)``.
            params: What :meth:`draw` returned for the shape of these images.

        Returns:
            New arrays; those that were given if nothing is done.
        """

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw and apply."""
        return self.apply(images, labels, self.draw(rng, images.shape))


def blended(labels: np.ndarray, partner: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return labels * share + labels of the partners * (1 - share); their own where share is 1.

    Args:
        labels: (batch, k); whole numbers become float32.
        partner: (batch,) int64.
        share: (batch,) float64, from 0 to 1.
    """
    dtype = labels.dtype if labels.dtype.kind == "f" else np.dtype(np.float32)
    own = share.reshape(-1, *[1] * (labels.ndim - 1))
    with np.errstate(invalid="ignore"):  # a partner's infinity times 0; it is not taken
        mixed: np.ndarray = labels * own + labels[partner] * (1 - own)
    return np.where(own == 1, labels, mixed).astype(dtype)
