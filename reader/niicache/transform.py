"""The user's own transform, applied to every sample of a batch. Any Python function will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from niicache.errors import OptionError
from niicache.sampling import sample_generator

Transform = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def apply_transform(
    transform: Transform,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    key: tuple[int, int, int],
) -> None:
    """Transform a batch in place.

    Args:
        transform: ``(image, label, rng) -> (image, label)``.
        images: ``(batch, *spatial, channel)``.
        labels: ``(batch, ...)``.
        key: Seed, epoch and step, which with its place give each sample its generator.

    Raises:
        OptionError: The transform returned something else, another shape, or a dtype that the
            batch cannot hold.
    """
    for i in range(len(images)):
        try:
            made = transform(images[i], labels[i], sample_generator(*key, i))
        except Exception as error:
            epoch, step = key[1:]
            error.add_note(
                f"niicache: in the transform, on sample {i} of batch {step} of epoch {epoch}; "
                f"sequence.cases({epoch}, {step})[{i}] says which case"
            )
            raise
        image, label = _pair(made)
        _put(images, i, image, "image")
        _put(labels, i, label, "label")


def _pair(made: Any) -> tuple[Any, Any]:
    if not isinstance(made, tuple) or len(made) != len(("image", "label")):
        raise OptionError(
            f"transform: got {type(made).__name__}, expected the tuple (image, label); "
            "return both, even if they were changed in place"
        )
    return made


def _put(batch: np.ndarray, position: int, value: Any, what: str) -> None:
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
