"""The user's own transform, applied to every sample of a batch. Any Python function will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from niicache.errors import OptionError
from niicache.sampling import sample_generator

Key = tuple[int, int, int]
"""Seed, epoch and step of a batch: with its place they give each sample its generator."""

Function = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def apply_transform(
    transform: Function,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    key: Key,
) -> None:
    """Transform a batch in place.

    Args:
        transform: ``(image, label, rng) -> (image, label)``.
        images: ``(batch, *spatial, channel)``.
        labels: ``(batch, ...)``.
        key: Of the batch.

    Raises:
        OptionError: The transform returned something else, another shape, or a dtype that the
            batch cannot hold.
    """
    for i in range(len(images)):
        try:
            made = transform(images[i], labels[i], sample_generator(*key, i))
        except Exception as error:
            note(error, key, i)
            raise
        image, label = _pair(made)
        put(images, i, image, "image")
        put(labels, i, label, "label")


def note(error: Exception, key: Key, position: int) -> None:
    """Let an error say on which sample of a batch it came."""
    _, epoch, step = key
    error.add_note(
        f"niicache: in the transform, on sample {position} of batch {step} of epoch {epoch}; the "
        "Sequence's cases() says which case that is"
    )


def _pair(made: Any) -> tuple[Any, Any]:
    if not isinstance(made, tuple) or len(made) != len(("image", "label")):
        raise OptionError(
            f"transform: got {type(made).__name__}, expected the tuple (image, label); "
            "return both, even if they were changed in place"
        )
    return made


def put(batch: np.ndarray, position: int, value: Any, what: str) -> None:
    """Put what a transform returned into its place.

    Args:
        batch: Images or labels, ``(batch, ...)``.
        position: The place.
        value: One of them.
        what: "image" or "label", for messages.

    Raises:
        OptionError: It has another shape, or a dtype that the batch cannot hold.
    """
    value = np.asarray(value)
    if not np.can_cast(value.dtype, batch.dtype, "same_kind"):
        raise OptionError(
            f"transform: got {what} of {value.dtype}, expected what converts to {batch.dtype}; "
            "convert it in the transform"
            + (", or ask the Sequence for a float dtype" if what == "image" else "")
        )
    if value.shape != batch.shape[1:]:
        raise OptionError(
            f"transform: got {what} of shape {value.shape}, expected {batch.shape[1:]}; "
            "keep the shape, and resize the whole batch in collate_fn"
        )
    batch[position] = value
