"""numpy's fancy index of an array in RAM: what the memory can do, the yardstick of speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.way import Way, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Array, Cases
    from benchmarks.way import Batch


class RamIndex(Way):
    """All cases as one float32 array, indexed by the batch's rows: one pass, one new array."""

    def __init__(self, name: str, *, threads: int = 1) -> None:
        super().__init__(name)
        self.threads = threads

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: ARG002 - nothing is written
        """Decode everything into memory."""
        self.cases = cases
        self.images = np.concatenate(cases.images).astype(np.float32)
        self.labels = np.concatenate(cases.labels)

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches, by this thread or made ahead on several."""
        draws = self.cases.draws(number, epochs)
        if self.threads == 1:
            return map(self.batch, draws)
        return prepared(self.batch, draws, threads=self.threads)

    def batch(self, rows: list[Array]) -> Batch:
        """Return one batch."""
        index = np.concatenate(
            [start + one for start, one in zip(self.cases.starts, rows, strict=True)]
        )
        return self.images[index], self.labels[index]
