"""The rows of niicache itself, and of the way that it replaces."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from baseline import Baseline

from benchmarks.way import Way
from niicache import BalancedSequence, open_cache
from niicache.hot import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.way import Batch
    from niicache import Cache
    from niicache.augment import Transform

MIX = 4  # chunks in a window: the default of BalancedSequence
PLENTY = 1 << 32  # bytes; more than any workload here decodes to


def bare_window_bytes(cache: Cache) -> int:
    """Return what the decoded chunks of one window of each class take, images and labels.

    The two chunks more at its edges that ``niicache bench`` allows for are not in it.
    """
    recipe = cache.manifest.recipe
    layouts = [recipe.image] if recipe.label is None else [recipe.image, recipe.label]
    chunks = sum(int(np.prod(one.chunk)) * np.dtype(one.dtype).itemsize for one in layouts)
    return MIX * chunks * len(cache)


class BaselineWay(Way):
    """``scripts/baseline.py``, with its 8 threads."""

    passes = 1

    def __init__(self, name: str = "baseline") -> None:
        super().__init__(name)

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: ARG002 - it reads the source
        """List the files."""
        shape = (cases.images[0].shape[1], cases.images[0].shape[2])
        self.baseline = Baseline(
            cases.source, shape=shape, labels="file", per_class=cases.per_class
        )

    def open(self, number: int, epochs: int) -> Iterator[Batch]:  # noqa: ARG002 - one order
        """Return the batches of epochs, one made after another."""
        return (self.baseline[step] for _ in range(epochs) for step in range(len(self.baseline)))


class FirstEpoch(Way):
    """Epoch 0 of a new Sequence: every chunk is read from its file, proven and decoded."""

    passes = 1

    def __init__(self, name: str, *, uncompressed: bool = False, memory: int = PLENTY) -> None:
        super().__init__(name)
        self.uncompressed = uncompressed
        self.memory = memory
        self.sequence: BalancedSequence | None = None

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: ARG002 - it reads the cache
        """Note where the cache lies."""
        self.path = cases.uncompressed if self.uncompressed else cases.cache
        self.cases = cases

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches of a Sequence that has read nothing yet."""
        self.close()
        self.sequence = self.make(number, memory=self.memory)
        return self.sequence.batches(0, epochs=epochs)

    def make(
        self, seed: int, *, memory: int, transform: Transform | None = None
    ) -> BalancedSequence:
        """Return a new Sequence over a newly opened cache.

        Raises:
            AssertionError: Chunks that another way has decoded are still in memory.
        """
        if SHARED.nbytes or SHARED.budget:
            raise AssertionError(
                f"{self.name}: {SHARED.nbytes} bytes of decoded chunks are in memory already, "
                f"under a budget of {SHARED.budget}; the way before was not closed"
            )
        return BalancedSequence(
            self.path,
            self.cases.batch_size,
            steps=self.cases.steps,
            seed=seed,
            memory=memory,
            transform=transform,
            workers=self.cases.threads,
        )

    def close(self) -> None:
        """End the Sequence's threads."""
        if self.sequence is not None:
            self.sequence.close()
            self.sequence = None


class LaterEpochs(FirstEpoch):
    """The epochs after that, with memory for one window of each class, or for everything."""

    passes = None

    def __init__(self, name: str, *, uncompressed: bool = False, windows: bool = False) -> None:
        super().__init__(name, uncompressed=uncompressed)
        self.windows = windows

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Read an epoch, then return the batches of those that follow."""
        self.close()
        memory = bare_window_bytes(open_cache(self.path)) if self.windows else PLENTY
        self.sequence = self.make(number, memory=memory)
        for _ in self.sequence.batches(0):
            pass
        return chain(self.sequence.batches(1, epochs=epochs))
