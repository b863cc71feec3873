"""How long an epoch of reading takes, and nothing but reading."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def epoch_seconds(batch: Callable[[int], object], steps: int) -> float:
    """Return the seconds that all batches of one epoch take, one after another.

    Args:
        batch: Makes the batch of a step. Each batch is dropped when the next one is made, as a
            training step would.
        steps: Batches in the epoch.
    """
    start = perf_counter()
    for step in range(steps):
        batch(step)
    return perf_counter() - start
