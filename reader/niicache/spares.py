"""Cases that stand in for damaged ones of their class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from niicache.losses import ATTEMPTS
from niicache.sampling import Draw
from niicache.streams import spare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.loader import Loader
    from niicache.losses import Losses
    from niicache.sampling import ClassRows
    from niicache.work import SampleWork


@dataclass(frozen=True, slots=True)
class Spares:
    """Puts other cases in the place of damaged ones.

    Which ones follows from the place in the batch and from what is damaged, so a batch stays
    repeatable.

    Attributes:
        loader: Of the cache.
        losses: Where damaged cases are counted.
        classes: Rows of each class.
        seed: Of the sampler.
    """

    loader: Loader
    losses: Losses
    classes: Sequence[ClassRows]
    seed: int

    def load(
        self, draw: Draw, work: SampleWork | None = None, *, epoch: int, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images and labels of a draw, other cases in place of damaged ones.

        Args:
            draw: The samples.
            work: How they are augmented; None for as they are.
            epoch: Of the batch.
            step: Of the batch.

        Raises:
            DamageError: More cases are damaged than the limit of ``losses``.
        """
        images, labels = self.loader.empty(draw, work)
        slots = np.arange(len(draw.rows))
        attempt = 0
        while len(slots):
            problems, lost = self.loader.fill(draw, slots, images, labels, work)
            if problems:
                self.losses.note(problems, self.loader.names(draw, lost), attempt=attempt)
            slots = slots[lost]
            draw = self._instead(draw, lost, slots, (epoch, step), attempt)
            attempt += 1
        return images, labels

    def settled(self, draw: Draw, epoch: int, step: int) -> Draw:
        """Return the draw that :meth:`load` delivers, once it has.

        Reads no voxel, so it knows nothing of damage that was not met yet.
        """
        rows = draw.rows.copy()
        damaged = frozenset(self.losses.cases)
        slots = np.arange(len(rows))
        now = draw
        for attempt in range(ATTEMPTS):
            lost = np.array([name in damaged for name in self.loader.names(now)], np.bool_)
            slots = slots[lost]
            if not len(slots):
                break
            now = self._instead(now, lost, slots, (epoch, step), attempt)
            rows[slots] = now.rows
        return replace(draw, rows=rows)

    def _instead(
        self, draw: Draw, lost: np.ndarray, slots: np.ndarray, place: tuple[int, int], attempt: int
    ) -> Draw:
        """Return a draw of other cases for the lost ones, which go to ``slots``."""
        classes = draw.classes[lost]
        rows = [
            spare(self.classes[k].rows, self.seed, (*place, slot), attempt)
            for k, slot in zip(classes.tolist(), slots.tolist(), strict=True)
        ]
        return Draw(classes=classes, rows=np.array(rows, np.int64), again=draw.again[lost])
