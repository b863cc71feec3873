"""Every case once, in an order that people expect. Pure: no state, no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache.sampling import Draw
from niicache.streams import gaps_to_next

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.sampling import ClassRows


class Ordering:
    """Batches of every case once, class after class; the last one may be short.

    Attributes:
        batch_size: Samples in a batch but the last.
        steps: Number of batches.
    """

    def __init__(self, classes: Sequence[ClassRows], batch_size: int) -> None:
        """Put the cases in order.

        Args:
            classes: The classes with their rows in the order of delivery.
            batch_size: 1 or more.
        """
        self.batch_size = batch_size
        sizes = [len(one.rows) for one in classes]
        self._classes = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self._rows = np.concatenate([one.rows for one in classes]).astype(np.int64)
        self.steps = -(-len(self._rows) // batch_size)
        chunks = np.concatenate([one.rows // one.chunk for one in classes])
        gaps = gaps_to_next(self._classes.astype(np.int64) << 40 | chunks)
        # The last case of a chunk: the chunk is needed again in the next pass.
        self._again = np.where(gaps, gaps // batch_size, self.steps).astype(np.int32)

    def draw(self, step: int) -> Draw:
        """Return the samples of a batch.

        Raises:
            IndexError: There is no such batch.
        """
        if not 0 <= step < self.steps:
            raise IndexError(f"step: got {step}, expected 0 to {self.steps - 1}")
        here = slice(step * self.batch_size, (step + 1) * self.batch_size)
        return Draw(
            classes=self._classes[here].astype(np.int64),
            rows=self._rows[here],
            again=self._again[here].astype(np.int64),
        )
