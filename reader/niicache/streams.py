"""The endless stream of one class: its rows, and how soon each chunk comes back."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from niicache.words import CHUNKS, REPLACE, ROWS, SPARE, philox, words_of

if TYPE_CHECKING:
    import numpy.typing as npt

# Neither number changes a draw. Rows are ordered so many at a time (at least a window) ...
_SPAN = 2048
# ... and those of two epochs of a class are kept, but no more than these, or 2 windows where those
# are larger (8 B each). What more epochs fill would look like a leak for thousands of them.
_KEPT = 2**17

# Holds every row and gap of what is kept: no class has a billion cases.
_NARROW = np.dtype(np.int32)

Ints: TypeAlias = "npt.NDArray[np.int64]"


class Span(NamedTuple):
    """Neighbouring places of a stream.

    Both are int64, and int32 where they are kept.

    Attributes:
        rows: (n,), the row at each place.
        gaps: (n,), how many places later the stream comes back to the chunk of that row.
            Exact within a window, else to the begin of the window that will hold the chunk, or an
            expectation where no window says. It steers what stays in memory, never what is drawn.
    """

    rows: npt.NDArray[np.signedinteger]
    gaps: npt.NDArray[np.signedinteger]


class Cycles:
    """The stream of one class without replacement; its caches are pure memos."""

    def __init__(
        self,
        every: Ints,
        chunk: int,
        *,
        seed: int,
        index: int,
        mix: int | Literal["all"],
        epoch: int = _KEPT,
    ) -> None:
        """Make a stream.

        Args:
            every: Its rows.
            chunk: Rows of a chunk.
            seed: Of the Sequence.
            index: Number of the class.
            mix: Chunks in a window.
            epoch: Places that an epoch takes of it. Batches of one are asked for in any order.
        """
        firsts = np.flatnonzero(np.diff(every // chunk, prepend=-1))
        self._chunk, self._chunks = chunk, max(1, len(firsts))
        if mix == "all" or mix >= len(firsts):
            firsts, mix = firsts[:1], 1  # one window, so the order of its chunks is of no matter
        self._rows, self._firsts, self._mix = every, firsts, mix
        self._sizes = np.diff(firsts, append=len(every))
        self._words = partial(words_of, seed, index)
        # Small classes run through many cycles in a batch: a block orders several cycles at once.
        self._cycles = max(1, _SPAN // max(1, len(every)))
        self._length = self._cycles * len(every)
        window = min(self._length, int(self._sizes.max(initial=0)) * mix)
        # Blocks that two epochs touch wherever they begin, and the one after.
        blocks = 2 * epoch // max(1, self._length) + 3
        plans = min(blocks, _KEPT // (self._cycles * max(1, len(firsts))))
        parts = min(blocks * -(-self._length // _SPAN), _KEPT // (_SPAN + window))
        self._plan = lru_cache(maxsize=max(2, plans))(self._planned)
        self._ordered = lru_cache(maxsize=max(2, parts))(self._sorted)

    def take(self, start: int, count: int) -> Span:
        """Return positions [start, start + count) of the stream."""
        rows, gaps = [], []
        while count:
            block, offset = divmod(start, self._length)
            edges = self._plan(block).edges
            part = bisect_right(edges, offset) - 1
            skip = offset - edges[part]
            whole = self._ordered(block, part)
            rows.append(whole.rows[skip : skip + count])
            gaps.append(whole.gaps[skip : skip + count])
            start, count = start + len(rows[-1]), count - len(rows[-1])
        return Span(np.concatenate(rows, dtype=np.int64), np.concatenate(gaps, dtype=np.int64))

    def _planned(self, block: int) -> _Plan:
        """Order the chunks of a block of cycles and cut them, at windows, into parts."""
        chunks = len(self._firsts)
        words = self._words(CHUNKS, block * self._cycles * chunks, self._cycles * chunks)
        order = np.argsort(words.reshape(self._cycles, chunks), axis=1, kind="stable").ravel()
        begins = np.cumsum(self._sizes[order]) - self._sizes[order]
        windows = np.flatnonzero(np.arange(len(order)) % chunks % self._mix == 0)
        heads = windows[np.diff(begins[windows] // _SPAN, prepend=-1) > 0]
        # For each place in the order, where its window begins.
        opens = begins[windows][np.searchsorted(windows, np.arange(len(order)), side="right") - 1]
        return _Plan(
            order=order,
            heads=np.append(heads, len(order)),
            edges=[*begins[heads].tolist(), self._length],
            opens=opens,
        )

    def _sorted(self, block: int, part: int) -> Span:
        """Return one part of a block, its rows shuffled in their windows."""
        plan = self._plan(block)
        low, high = int(plan.heads[part]), int(plan.heads[part + 1])
        edge = plan.edges[part]
        sizes = self._sizes[plan.order[low:high]]
        rows = np.arange(sizes.sum())
        rows += np.repeat(self._firsts[plan.order[low:high]] - (np.cumsum(sizes) - sizes), sizes)
        words = self._words(ROWS, block * self._length + edge, len(rows))
        # One number a window, rising with the place; windows never reach over a cycle's end.
        cycle, place = np.divmod(np.arange(low, high), len(self._firsts))
        windows = cycle * len(self._firsts) + place // self._mix
        if windows[0] == windows[-1]:
            shuffled = np.argsort(words, kind="stable")
        else:
            shuffled = np.lexsort((words, np.repeat(windows, sizes)))
        order = self._rows[rows[shuffled]]
        gaps = gaps_to_next(order // self._chunk)
        last = np.flatnonzero(gaps == 0)
        place = np.repeat(np.arange(low, high), sizes)[shuffled][last]
        gaps[last] = self._returns(block, place) - (edge + last)
        return Span(order.astype(_NARROW), gaps.astype(_NARROW))

    def _returns(self, block: int, places: Ints) -> Ints:
        """Return the position in a block at which chunks, by their place in its order, come back.

        It may lie beyond the end of the block.
        """
        if len(self._firsts) == 1:  # a whole cycle is one window: each chunk comes early in it
            cycle = places // len(self._firsts) + 1
            return cycle * len(self._rows) + self._chunks
        plans = self._plan(block), self._plan(block + 1)
        chunks = self._cycles * len(self._firsts)
        # The place of each chunk in the order of each cycle, this block's and the next one's.
        order = np.concatenate([plan.order for plan in plans]).reshape(-1, len(self._firsts))
        inverse = np.argsort(order, axis=1)
        cycle = places // len(self._firsts) + 1
        later = cycle * len(self._firsts) + inverse[cycle, plans[0].order[places]]
        opens = np.concatenate([plans[0].opens, plans[1].opens + self._length])
        returns: Ints = opens[np.minimum(later, 2 * chunks - 1)]
        return returns


class _Plan(NamedTuple):
    """A block of cycles. In order: its chunks; where their windows open. A part is some windows.

    ``heads`` are the first place of each part in that order and ``edges`` its first row; both end
    with the end of the block.
    """

    order: Ints
    heads: Ints
    edges: list[int]
    opens: Ints


class Stored:
    """Rows in stored order, over and over."""

    def __init__(self, rows: Ints, chunk: int) -> None:
        self._rows = rows
        gaps = gaps_to_next(rows // chunk)
        # The first row of a chunk comes as long after its last as the other chunks are together.
        _, sizes = np.unique(rows // chunk, return_counts=True)
        gaps[gaps == 0] = len(rows) - sizes + 1
        self._gaps = gaps

    def take(self, start: int, count: int) -> Span:
        """Return positions [start, start + count) of the stream."""
        places = (start % len(self._rows) + np.arange(count)) % len(self._rows)
        return Span(self._rows[places], self._gaps[places])


class Replaced:
    """Rows drawn one by one with replacement."""

    def __init__(self, rows: Ints, chunk: int, *, seed: int, index: int) -> None:
        self._rows = rows
        self._words = partial(words_of, seed, index)
        self._chunks = len(np.unique(rows // chunk))

    def take(self, start: int, count: int) -> Span:
        """Return positions [start, start + count) of the stream."""
        # A remainder of 64 bits prefers no row by more than len(rows) / 2**64.
        words = self._words(REPLACE, start, count)
        picks: Ints = self._rows[words % np.uint64(len(self._rows))]
        return Span(picks, np.full(count, self._chunks))


def spare(rows: Ints, seed: int, place: tuple[int, int, int], attempt: int) -> int:
    """Return a row of a class in place of one that is damaged.

    Args:
        rows: The rows of the class.
        seed: Seed of the sampler.
        place: Epoch, step and place in the batch.
        attempt: How many were tried before.
    """
    return int(rows[int(philox(seed, SPARE, (attempt, *place)).random_raw()) % len(rows)])


def gaps_to_next(keys: Ints) -> Ints:
    """Return how many places later each key comes again, 0 for its last place."""
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    gaps = np.zeros(len(keys), np.int64)
    gaps[order[:-1][same]] = (order[1:] - order[:-1])[same]
    return gaps
