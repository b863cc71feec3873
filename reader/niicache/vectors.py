"""Vector labels: a few numbers a case, all of them kept in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import DamageError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.chunks import ChunkReader

MOST_BYTES = 16 * 1024 * 1024
"""Longer or more vectors are read like masks."""


def are_small(readers: Sequence[ChunkReader]) -> bool:
    """Say whether the vectors of all classes are worth keeping in memory."""
    return sum(len(reader) * reader.nbytes for reader in readers) <= MOST_BYTES


class Vectors:
    """The vectors of every class, read when the first are asked for. Thread-safe."""

    def __init__(self, readers: Sequence[ChunkReader]) -> None:
        self._readers = readers
        self._lock = threading.Lock()
        self._table: np.ndarray | None = None
        self._damage: dict[int, DamageError] = {}
        sizes = [len(reader) * reader.layout.chunk[0] for reader in readers]
        self._firsts = np.cumsum([0, *sizes[:-1]])

    def fill(
        self, classes: np.ndarray, rows: np.ndarray, out: np.ndarray, slots: np.ndarray
    ) -> tuple[list[Problem], np.ndarray]:
        """Put the vectors of samples into their places.

        Args:
            classes: (k,) int64, class of each sample.
            rows: (k,) int64, its row in the array of that class.
            out: (batch, n), of any dtype.
            slots: (k,) int64, its place in the batch.

        Returns:
            What is wrong, and (k,) bool, which of the samples could not be read for it.
        """
        with self._lock:
            table = self._table = self._read() if self._table is None else self._table
        places = self._firsts[classes] + rows
        out[slots] = table[places]
        if not self._damage:
            return [], np.zeros(len(slots), np.bool_)
        chunks = places // self._readers[0].layout.chunk[0]
        met = sorted(set(chunks.tolist()) & set(self._damage))
        problems = [one for chunk in met for one in self._damage[chunk].problems]
        return problems, np.isin(chunks, met)

    def _read(self) -> np.ndarray:
        layout = self._readers[0].layout
        count = sum(map(len, self._readers))
        table = np.empty((count * layout.chunk[0], *layout.shape), layout.dtype)
        chunks = table.reshape(count, *layout.chunk)
        numbered = ((reader, n) for reader in self._readers for n in range(len(reader)))
        for place, (reader, number) in enumerate(numbered):
            try:
                reader.read(number, chunks[place])
            except DamageError as error:
                self._damage[place] = error
        return table
