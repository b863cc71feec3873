"""zarr-python on niicache's own cache: the reader that everybody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.way import Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Array, Cases
    from benchmarks.way import Batch


class ZarrPython(Way):
    """One ``oindex`` a class and batch, rows sorted; the library's own threads and concurrency.

    It keeps no decoded chunk, so a batch decodes every chunk that it touches.
    """

    needs = ("zarr",)
    passes = 1

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: ARG002 - it reads the cache
        """Open the arrays."""
        import zarr

        self.cases = cases
        zarr.config.set({"threading.max_workers": cases.threads})
        group = zarr.open_group(cases.cache, mode="r")
        self.arrays = [(group[f"{name}/image"], group[f"{name}/label"]) for name in cases.names]

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches, one made after another."""
        return map(self.batch, self.cases.draws(number, epochs))

    def batch(self, rows: list[Array]) -> Batch:
        """Return one batch."""
        size = self.cases.per_class
        images = np.empty((self.cases.batch_size, *self.cases.images[0].shape[1:]), np.float32)
        labels = np.empty((self.cases.batch_size, *self.cases.labels[0].shape[1:]), np.float32)
        for index, ((image, label), some) in enumerate(zip(self.arrays, rows, strict=True)):
            chosen, part = np.sort(some), slice(index * size, (index + 1) * size)
            images[part] = image.oindex[chosen]
            labels[part] = label.oindex[chosen]
        return images, labels
