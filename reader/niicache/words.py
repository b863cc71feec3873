"""The random words that streams, batches, patches and transforms are drawn from. Pure.

All randomness is words of 64 bits from Philox, which is a function of a key and a counter. The
key is (seed, purpose), the counter names the word, and both hold their numbers as they are: no
two purposes, classes, epochs or positions can share a word.

    purpose   counter, low to high                          a word decides
    CHUNKS    (cycle * chunks + i) // 4, its top, class, 0  the place of chunk i in its cycle
    ROWS      position // 4, its top, class, 0              the place of a row in its window
    REPLACE   position // 4, its top, class, 0              the row itself: word % n
    BATCH     0, epoch, step, 0                             the places in a batch
    SAMPLE    0, epoch, step, place in the batch            what a user's transform draws
    SPARE     attempt, epoch, step, place in the batch      a row in place of a damaged one
    PATCH     0, epoch, step, place in the batch            where a patch lies

One block of Philox is 4 words, hence the // 4. Only ``random_raw`` is used, and a permutation is
a stable argsort of its words: numpy keeps that stream for ever, while the methods of Generator
may change between versions (NEP 19).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.random.bit_generator import ISeedSequence

if TYPE_CHECKING:
    import numpy.typing as npt

CHUNKS, ROWS, REPLACE, BATCH, SAMPLE, SPARE, PATCH = range(1, 8)


def words_of(seed: int, index: int, purpose: int, start: int, count: int) -> npt.NDArray[np.uint64]:
    """Return words [start, start + count) of a class's stream for one purpose."""
    block, skip = divmod(start, 4)
    top, low = divmod(block, 2**64)
    return philox(seed, purpose, (low, top, index, 0)).random_raw(skip + count)[skip:]


@lru_cache(maxsize=16)
def _key(seed: int, purpose: int) -> _Key:
    return _Key(seed, purpose)


class _Key(ISeedSequence):
    """A key as it is, where numpy would derive one from a seed, and first draw that from the OS."""

    def __init__(self, seed: int, purpose: int) -> None:
        self._words = np.array([seed, purpose], np.uint64)

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> npt.NDArray[np.uint64]:
        """Return the two words of the key, all that Philox asks for."""
        del n_words, dtype
        return self._words


def philox(seed: int, purpose: int, counter: tuple[int, int, int, int]) -> np.random.Philox:
    """Return the bit generator of a purpose, at a counter."""
    counts = np.array(counter, np.uint64)
    return np.random.Philox(_key(seed, purpose), counter=counts)  # type: ignore[arg-type]  # the stubs know SeedSequence alone
