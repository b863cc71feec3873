"""The endless stream of one class, and the random words that it is drawn from.

All randomness is words of 64 bits from Philox, which is a function of a key and a counter. The
key is (seed, purpose), the counter names the word, and both hold their numbers as they are: no
two purposes, classes, epochs or positions can share a word.

    purpose   counter, low to high                          a word decides
    CHUNKS    (cycle * chunks + i) // 4, its top, class, 0  the place of chunk i in its cycle
    ROWS      position // 4, its top, class, 0              the place of a row in its window
    REPLACE   position // 4, its top, class, 0              the row itself: word % n
    BATCH     0, epoch, step, 0                             the places in a batch
    SAMPLE    0, epoch, step, place in the batch            what a user's transform draws

One block of Philox is 4 words, hence the // 4. Only ``random_raw`` is used, and a permutation is
a stable argsort of its words: numpy keeps that stream for ever, while the methods of Generator
may change between versions (NEP 19).
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

CHUNKS, ROWS, REPLACE, BATCH, SAMPLE = range(1, 6)

# Neither number changes a draw. Rows are ordered so many at a time (at least a window) ...
_SPAN = 512
# ... and so many ordered rows of a class are kept, or 2 windows where those are larger (8 B each).
_KEPT = 2**20

Ints: TypeAlias = "npt.NDArray[np.int64]"


class Cycles:
    """The stream of one class without replacement; its caches are pure memos."""

    def __init__(
        self, every: Ints, chunk: int, *, seed: int, index: int, mix: int | Literal["all"]
    ) -> None:
        firsts = np.flatnonzero(np.diff(every // chunk, prepend=-1))
        if mix == "all" or mix >= len(firsts):
            firsts, mix = firsts[:1], 1  # one window, so the order of its chunks is of no matter
        self._rows, self._firsts, self._mix = every, firsts, mix
        self._sizes = np.diff(firsts, append=len(every))
        self._words = partial(_words, seed, index)
        # Small classes run through many cycles in a batch: a block orders several cycles at once.
        self._cycles = max(1, _SPAN // max(1, len(every)))
        self._length = self._cycles * len(every)
        window = min(self._length, int(self._sizes.max(initial=0)) * mix)
        kept = max(2, _KEPT // (self._cycles * max(1, len(firsts))))
        self._plan = lru_cache(maxsize=kept)(self._planned)
        self._ordered = lru_cache(maxsize=max(2, _KEPT // (_SPAN + window)))(self._sorted)

    def take(self, start: int, count: int) -> Ints:
        """Return the rows at positions [start, start + count) of the stream."""
        pieces = []
        while count:
            block, offset = divmod(start, self._length)
            edges = self._plan(block)[2]
            part = int(np.searchsorted(edges, offset, side="right")) - 1
            skip = offset - int(edges[part])
            pieces.append(self._ordered(block, part)[skip : skip + count])
            start, count = start + len(pieces[-1]), count - len(pieces[-1])
        return np.concatenate(pieces)

    def _planned(self, block: int) -> tuple[Ints, Ints, Ints]:
        """Order the chunks of a block of cycles and cut them, at windows, into parts.

        Returns:
            The chunks in order; for each part its first place in that order; and its first row.
            Both of the latter end with the end of the block.
        """
        chunks = len(self._firsts)
        words = self._words(CHUNKS, block * self._cycles * chunks, self._cycles * chunks)
        order = np.argsort(words.reshape(self._cycles, chunks), axis=1, kind="stable").ravel()
        begins = np.cumsum(self._sizes[order]) - self._sizes[order]
        heads = np.flatnonzero(np.arange(len(order)) % chunks % self._mix == 0)
        heads = heads[np.diff(begins[heads] // _SPAN, prepend=-1) > 0]
        return order, np.append(heads, len(order)), np.append(begins[heads], self._length)

    def _sorted(self, block: int, part: int) -> Ints:
        """Return the rows of one part of a block, shuffled in their windows."""
        order, heads, edges = self._plan(block)
        low, high = int(heads[part]), int(heads[part + 1])
        sizes = self._sizes[order[low:high]]
        rows = np.arange(sizes.sum())
        rows += np.repeat(self._firsts[order[low:high]] - (np.cumsum(sizes) - sizes), sizes)
        words = self._words(ROWS, block * self._length + int(edges[part]), len(rows))
        # One number a window, rising with the place; windows never reach over a cycle's end.
        cycle, place = np.divmod(np.arange(low, high), len(self._firsts))
        windows = cycle * len(self._firsts) + place // self._mix
        if windows[0] == windows[-1]:
            return self._rows[rows[np.argsort(words, kind="stable")]]
        return self._rows[rows[np.lexsort((words, np.repeat(windows, sizes)))]]


def stored(rows: Ints, start: int, count: int) -> Ints:
    """Return rows in stored order, over and over, from position ``start`` on."""
    return rows[(start % len(rows) + np.arange(count)) % len(rows)]


def replaced(rows: Ints, seed: int, index: int, start: int, count: int) -> Ints:
    """Return rows drawn one by one with replacement, from position ``start`` on."""
    # A remainder of 64 bits prefers no row by more than len(rows) / 2**64.
    picks: Ints = rows[_words(seed, index, REPLACE, start, count) % np.uint64(len(rows))]
    return picks


def _words(seed: int, index: int, purpose: int, start: int, count: int) -> npt.NDArray[np.uint64]:
    """Return words [start, start + count) of a class's stream for one purpose."""
    block, skip = divmod(start, 4)
    top, low = divmod(block, 2**64)
    return philox(seed, purpose, (low, top, index, 0)).random_raw(skip + count)[skip:]


def philox(seed: int, purpose: int, counter: tuple[int, int, int, int]) -> np.random.Philox:
    """Return the bit generator of a purpose, at a counter."""
    key = np.array([seed, purpose], np.uint64)
    return np.random.Philox(key=key, counter=np.array(counter, np.uint64))
