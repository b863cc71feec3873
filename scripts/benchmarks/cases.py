"""The data that all ways of a workload share, and the proof that they deliver it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from baseline import epoch_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.way import Batch, Way

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Cases of every class, as the baseline reads them.

    Attributes:
        source: Folder of the class folders.
        cache: niicache's cache of it, default codec.
        uncompressed: The same with ``--codec none``; the same path where there is none.
        names: Names of the classes, sorted.
        images: ``(cases, *spatial, channel)`` of each class, padded, in order of name.
        labels: (cases, k) float32 of each class.
        per_class: Samples of each class in a batch.
        steps: Batches in an epoch.
        threads: Threads that a way may use.
    """

    source: Path
    cache: Path
    uncompressed: Path
    names: tuple[str, ...]
    images: tuple[Array, ...]
    labels: tuple[Array, ...]
    per_class: int
    steps: int
    threads: int

    @property
    def batch_size(self) -> int:
        """Samples in a batch."""
        return self.per_class * len(self.names)

    @cached_property
    def starts(self) -> Array:
        """(classes,) where each class begins when all are one array."""
        return np.cumsum([0, *map(len, self.images)])[:-1]

    def draws(self, number: int, epochs: int) -> Iterator[list[Array]]:
        """Yield the rows of each class for each step: each case once before any again."""
        draws = self.per_class * self.steps * epochs
        orders = [
            epoch_order(len(images), draws, seed=1000 * number + index)
            for index, images in enumerate(self.images)
        ]
        for start in range(0, draws, self.per_class):
            yield [order[start : start + self.per_class] for order in orders]

    @cached_property
    def known(self) -> dict[bytes, tuple[int, bytes]]:
        """Class and label of every image, by its voxels."""
        return {
            image.tobytes(): (index, label.tobytes())
            for index, (images, labels) in enumerate(zip(self.images, self.labels, strict=True))
            for image, label in zip(images, labels, strict=True)
        }


def check_way(way: Way, cases: Cases) -> None:
    """Refuse to time a way whose batches are not of the data.

    Raises:
        AssertionError: A batch has another shape or dtype, other shares, or another voxel.
    """
    batches = way.open(0, 1)
    classes = _classes(way, next(batches), cases)
    for _ in batches:
        pass  # a way may have threads at work until its end
    counts = np.bincount(classes, minlength=len(cases.names))
    if way.exact and counts.tolist() != [cases.per_class] * len(cases.names):
        raise AssertionError(f"{way.name}: shares {counts.tolist()}, not {cases.per_class} each")


def _classes(way: Way, batch: Batch, cases: Cases) -> list[int]:
    """Return the class of each sample, found by its voxels."""
    name = way.name
    images, labels = (np.asarray(part) for part in batch)
    wanted = (cases.batch_size, *cases.images[0].shape[1:]), way.dtype
    if (images.shape, images.dtype.name) != wanted:
        raise AssertionError(f"{name}: images {images.shape} {images.dtype}, not {wanted}")
    found = []
    for image, label in zip(images, labels, strict=True):
        stored = image.astype(cases.images[0].dtype)
        index, right = cases.known.get(stored.tobytes(), (-1, b""))
        if index < 0 or not np.array_equal(stored, image):
            raise AssertionError(f"{name}: a batch holds an image that is no case")
        if label.astype(np.float32).tobytes() != right:
            raise AssertionError(f"{name}: a case of class {cases.names[index]} has a wrong label")
        found.append(index)
    return found
