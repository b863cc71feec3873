"""Draws become one filled batch: chunks are decoded once each, straight into its memory."""

from __future__ import annotations

import math
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from niicache.format.geometry import chunk_boxes
from niicache.hot import HotChunks
from niicache.kernels import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from niicache.chunks import ChunkReader

Item = TypeVar("Item")

PART_BYTES = 2 * 1024 * 1024
"""Batch memory below which a second thread costs more in hand-overs than it saves."""


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """Cases of one chunk (or of one column of blocks) and where in the batch they go.

    Attributes:
        reader: The array that they lie in.
        chunk: Chunk number along the case axis.
        rows: (k,) int64, cases inside the chunk.
        slots: (k,) int64, positions in the batch.
        out: (batch, *shape) array to fill.
    """

    reader: ChunkReader
    chunk: int
    rows: np.ndarray
    slots: np.ndarray
    out: np.ndarray


def plan_picks(
    readers: Sequence[ChunkReader], classes: np.ndarray, rows: np.ndarray, out: np.ndarray
) -> list[Pick]:
    """Group the samples of a batch by the chunk that holds them. Pure.

    Args:
        readers: One array a class.
        classes: (batch,) class of each sample.
        rows: (batch,) array row of each sample.
        out: (batch, *shape) array that the picks shall fill.
    """
    sizes = np.array([reader.layout.chunk[0] for reader in readers])[classes]
    chunks = rows // sizes
    order = np.lexsort((rows, chunks, classes))
    ends = np.flatnonzero(np.diff(classes[order]) | np.diff(chunks[order])) + 1
    return [
        Pick(
            readers[classes[group[0]]],
            int(chunks[group[0]]),
            (rows[group] - chunks[group] * sizes[group]),
            group,
            out,
        )
        for group in np.split(order, ends)
    ]


class Filler:
    """Fills batches, by itself or with a few threads that live as long as it does."""

    def __init__(self, *, workers: int, memory: int) -> None:
        """Make a filler; threads start with the first batch that is worth them.

        Args:
            workers: Threads to use at most, the calling one included.
            memory: Bytes of decoded chunks to keep.
        """
        self.hot = HotChunks(memory)
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def fill(self, picks: Sequence[Pick]) -> None:
        """Do every pick.

        Raises:
            DamageError: A chunk is missing or damaged; the batch is not to be used.
        """
        total = sum(pick.slots.size * pick.out[0].nbytes for pick in picks)
        self.run(self._take_all, picks, parts=math.ceil(total / PART_BYTES))

    def run(
        self, function: Callable[[Iterable[Item]], None], items: Sequence[Item], *, parts: int
    ) -> None:
        """Call ``function`` on slices of ``items``, one of them in this thread."""
        if self._pid != os.getpid():
            self._after_fork()
        parts = max(1, min(parts, self._workers, len(items)))
        slices = [items[i::parts] for i in range(parts)]
        futures = self._submit(function, slices[1:])
        try:
            function(slices[0])
        finally:
            errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error

    def close(self) -> None:
        """End the threads and forget the chunks."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)
        self.hot = HotChunks(self.hot.budget)

    def _submit(
        self, function: Callable[[Iterable[Item]], None], slices: Sequence[Sequence[Item]]
    ) -> list[Future[None]]:
        if not slices:
            return []
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers - 1, thread_name_prefix="niicache")
            return [self._pool.submit(function, part) for part in slices]

    def _after_fork(self) -> None:
        """Start afresh in a forked child: it has the pool, but none of its threads."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pool = None
        self.hot = HotChunks(self.hot.budget)

    def _take_all(self, picks: Iterable[Pick]) -> None:
        for pick in picks:
            if pick.reader.layout.blocks == 1:
                self._take_cases(pick)
            else:
                self._take_blocks(pick)

    def _take_cases(self, pick: Pick) -> None:
        chunk = self._chunk(pick.reader, pick.chunk)
        flat = chunk.reshape(chunk.shape[0], -1)
        gather(flat, pick.rows, pick.out.reshape(pick.out.shape[0], -1), pick.slots)

    def _take_blocks(self, pick: Pick) -> None:
        layout = pick.reader.layout
        first = pick.chunk * layout.blocks
        for block, box in enumerate(chunk_boxes(layout.shape, layout.chunk[1:])):
            chunk = self._chunk(pick.reader, first + block)
            inside = tuple(slice(0, n) for n in box.shape)
            for row, slot in zip(pick.rows.tolist(), pick.slots.tolist(), strict=True):
                pick.out[(slot, *box.slices)] = chunk[(row, *inside)]

    def _chunk(self, reader: ChunkReader, number: int) -> np.ndarray:
        key = (reader, number)
        chunk = self.hot.get(key)
        if chunk is None:
            chunk = reader.empty()
            reader.read(number, chunk)
            self.hot.put(key, chunk)
        return chunk
