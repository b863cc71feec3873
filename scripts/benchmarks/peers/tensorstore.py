"""TensorStore on niicache's own cache: the fastest general Zarr reader."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.ours import FirstEpoch, bare_window_bytes
from benchmarks.way import Way
from niicache import open_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.cases import Array, Cases
    from benchmarks.way import Batch

PLENTY = 1 << 32  # bytes
AHEAD = 2  # batches that are being read while one is delivered


def open_arrays(cache: Path, paths: Iterable[str], *, memory: int, threads: int) -> list[Any]:
    """Open Zarr arrays of a cache that share one cache pool.

    Metadata is not read again after opening, as a user would say whose cache does not change.
    """
    import tensorstore

    context = tensorstore.Context(
        {
            "cache_pool": {"total_bytes_limit": memory},
            "data_copy_concurrency": {"limit": threads},
        }
    )
    options = {"recheck_cached_metadata": "open", "recheck_cached_data": "open"}
    futures = [
        tensorstore.open(
            {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": f"{cache / path}/"},
                **options,
            },
            context=context,
            open=True,
            read=True,
        )
        for path in paths
    ]
    return [future.result() for future in futures]


class TensorStore(Way):
    """One batched index a class and batch, the batches after it already under way.

    In its own order the rows are drawn from the whole class, which decodes a chunk for nearly every
    sample unless the pool holds everything. In niicache's order it reads the very batches that
    niicache would, and finds each chunk of a window in the pool.
    """

    needs = ("tensorstore",)

    def __init__(self, name: str, *, our_order: bool = False, everything: bool = False) -> None:
        super().__init__(name)
        self.our_order = our_order
        self.everything = everything

    def prepare(self, cases: Cases, folder: Path) -> None:
        """Measure a window of the cache: what the pool may hold."""
        import tensorstore  # noqa: F401 - it is a reason to be skipped

        self.cases = cases
        self.ours = FirstEpoch("order")
        self.ours.prepare(cases, folder)
        self.window = bare_window_bytes(open_cache(cases.cache))

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Open the arrays, fill the pool if it holds everything, and return the batches."""
        paths = [f"{name}/{kind}" for kind in ("image", "label") for name in self.cases.names]
        memory = PLENTY if self.everything else self.window
        threads = self.cases.threads
        arrays = open_arrays(self.cases.cache, paths, memory=memory, threads=threads)
        if self.everything:
            for array in arrays:
                array.read().result()
        draw = self.our_draws if self.our_order else self.cases.draws
        return self.batches(arrays, list(draw(number, epochs)))

    def our_draws(self, number: int, epochs: int) -> Iterator[list[Array]]:
        """Yield the rows of the batches that niicache would give."""
        sequence = self.ours.make(number, memory=0)
        rows = [{name: row for row, name in enumerate(view.slot_names)} for view in sequence.cache]
        size = self.cases.per_class
        for epoch in range(epochs):
            for step in range(self.cases.steps):
                named: dict[str, list[int]] = {name: [] for name in self.cases.names}
                for class_name, case in sequence.cases(epoch, step):
                    named[class_name].append(rows[self.cases.names.index(class_name)][case])
                yield [np.array(some[:size]) for some in named.values()]

    def batches(self, arrays: list[Any], draws: list[list[Array]]) -> Iterator[Batch]:
        """Yield the batches in order, ``AHEAD`` of them being read."""
        waiting: deque[list[Any]] = deque()
        for rows in draws:
            waiting.append(
                [array[some].read() for array, some in zip(arrays, rows * 2, strict=True)]
            )
            if len(waiting) > AHEAD:
                yield self.joined(waiting.popleft())
        while waiting:
            yield self.joined(waiting.popleft())

    def joined(self, futures: list[Any]) -> Batch:
        """Return one batch of what was read for it."""
        size, classes = self.cases.per_class, len(self.cases.names)
        images = np.empty((self.cases.batch_size, *self.cases.images[0].shape[1:]), np.float32)
        labels = np.empty((self.cases.batch_size, *self.cases.labels[0].shape[1:]), np.float32)
        for index in range(classes):
            part = slice(index * size, (index + 1) * size)
            images[part] = futures[index].result()
            labels[part] = futures[classes + index].result()
        return images, labels
