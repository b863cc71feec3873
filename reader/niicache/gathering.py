"""Which chunks a batch needs, and where in them its samples lie. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.chunks import ChunkReader


@dataclass(frozen=True, slots=True, eq=False)
class Gathering:
    """Where the samples of a batch lie, in one array of each class.

    Attributes:
        chunks: (reader, chunk number along the case axis) of each chunk, every one once.
        again: In how many steps each of them is needed again.
        which: (k,) int64, the chunk of each sample, by position in ``chunks``.
        rows: (k,) int64, its place in the chunk.
        slots: (k,) int64, its place in the batch.
    """

    chunks: tuple[tuple[ChunkReader, int], ...]
    again: tuple[int, ...]
    which: np.ndarray
    rows: np.ndarray
    slots: np.ndarray

    def of_chunk(self, position: int) -> tuple[Gathering, np.ndarray]:
        """Return the samples of one chunk as a batch of their own, and their places in this one."""
        here = np.flatnonzero(self.which == position)
        one = Gathering(
            chunks=self.chunks[position : position + 1],
            again=self.again[position : position + 1],
            which=np.zeros(len(here), np.int64),
            rows=self.rows[here],
            slots=np.arange(len(here)),
        )
        return one, self.slots[here]


def plan_gathering(
    readers: Sequence[ChunkReader],
    classes: np.ndarray,
    rows: np.ndarray,
    again: np.ndarray,
    slots: np.ndarray,
) -> Gathering:
    """Group samples by the chunk that holds them. Pure.

    Args:
        readers: One array a class.
        classes: (k,) int64, class of each sample.
        rows: (k,) int64, its row in the arrays of that class.
        again: (k,) int64, in how many steps its chunk is needed again.
        slots: (k,) int64, its place in the batch.
    """
    sizes = np.array([reader.layout.chunk[0] for reader in readers])[classes]
    numbers, inside = np.divmod(rows, sizes)
    keys = classes << 40 | numbers
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.empty(len(keys), np.bool_)
    first[:1], first[1:] = True, ordered[1:] != ordered[:-1]
    which = np.empty(len(keys), np.int64)
    which[order] = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    latest = np.maximum.reduceat(again[order], starts) if len(keys) else again
    return Gathering(
        chunks=tuple((readers[k >> 40], k & (1 << 40) - 1) for k in ordered[starts].tolist()),
        again=tuple(latest.tolist()),
        which=which,
        rows=inside,
        slots=slots,
    )
