"""Decoded chunks kept in memory, one byte budget for the whole process.

What is drawn is known in advance, and with it when a chunk is needed again. Out goes therefore
the chunk whose next use lies farthest ahead, which no other order of eviction can beat (Belady, "A
study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5, 1966).
Least recently used first, the usual way, keeps almost nothing that an epoch needs again.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

from niicache.claims import Claim, Kept
from niicache.memory import Piece, forget

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Mapping, Sequence

    from niicache.claims import Wanted

GROUP_BYTES = 1536 * 1024
"""Bytes that a thread decodes at once; what is left is for the next thread that asks."""

VICTIMS = 16
"""A look for what to put out finds one chunk in so many, because each look costs the same."""


class HotChunks:
    """A thread-safe store of decoded chunks, in which no two threads decode the same one.

    Attributes:
        nbytes: Bytes that it holds now, chunks on their way included.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self._kept: dict[Hashable, Kept] = {}
        self._budgets: dict[int, int] = {}
        self._gone: list[int] = []
        self._victims: list[tuple[int, Hashable]] = []
        self._now = self._turn = 0
        self._renew_lock()

    def _renew_lock(self) -> None:
        # Not reentrant: a finalizer may run in a thread that holds it, and must not get it then.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def budget(self) -> int:
        """Bytes that it may hold: as many as the most generous of its users allows."""
        return max(self._budgets.values(), default=0)

    def join(self, user: object, budget: int) -> None:
        """Allow so many bytes, for as long as ``user`` lives or until it leaves."""
        with self._changed:
            self._forget_gone()  # one of them may have had the same id
            self._budgets[id(user)] = budget
        weakref.finalize(user, self._leave, id(user)).atexit = False

    def leave(self, user: object) -> None:
        """Take back what ``user`` allowed; without users the store is empty."""
        self._leave(id(user))

    def _leave(self, user: int) -> None:
        self._gone.append(user)
        if self._lock.acquire(blocking=False):  # else whoever has it now, or next, sees to it
            try:
                self._forget_gone()
            finally:
                self._lock.release()

    def _forget_gone(self) -> None:
        while self._gone:
            self._budgets.pop(self._gone.pop(), None)
        if self._budgets:
            self._make_room(0, None)
        else:
            self._clear()
            forget()

    def after_fork(self) -> None:
        """Start afresh in a forked child, where threads that held the lock do not exist."""
        self._renew_lock()
        self.clear()

    def tick(self) -> None:
        """Note that a batch begins."""
        with self._changed:
            self._now += 1

    def claim(
        self, wanted: Sequence[Wanted], open_: Iterable[int], *, placed: Container[int] = ()
    ) -> Claim:
        """Say which chunks are ready, and give the asker some of the others to decode.

        Args:
            wanted: All that a batch needs.
            open_: Which of them it has not got yet.
            placed: Which of them take no memory of their own if they are not kept.
        """
        ready: dict[int, Piece] = {}
        mine: dict[int, Piece | None] = {}
        nbytes = 0
        with self._changed:
            turn = self._turn
            if self._gone:
                self._forget_gone()
            for i in open_:
                key, size, again = wanted[i]
                kept = self._kept.get(key)
                if kept is None:
                    if nbytes < GROUP_BYTES:
                        mine[i] = self._admit(key, size, self._now + again)
                        nbytes += 0 if mine[i] is None and i in placed else size
                elif kept.ready:
                    kept.due = self._now + again
                    ready[i] = kept.piece
        return Claim(ready, mine, turn)

    def holds(self, key: Hashable) -> bool:
        """Say whether a chunk is here, decoded or on its way."""
        return key in self._kept

    def settle(
        self, done: Mapping[Hashable, Piece], failed: Mapping[Hashable, Piece | None]
    ) -> None:
        """Hand over claimed chunks that are decoded, and give up those that are not.

        The pieces are those of the claim. Where another stands in the store by now, somebody lost
        patience with this claim, and it is of no effect. None gives up whoever claimed the chunk.
        """
        with self._changed:
            for key, piece in done.items():
                kept = self._kept.get(key)
                if kept is not None and kept.piece is piece:
                    kept.ready = True
            for key, given in failed.items():
                kept = self._kept.get(key)
                if kept is not None and not kept.ready and (given is None or kept.piece is given):
                    self._drop(key)
            self._turn += 1
            self._changed.notify_all()

    def wait(self, seconds: float, *, since: int) -> bool:
        """Wait until some chunk is handed over or given up; False if none was in time.

        Args:
            seconds: How long at most.
            since: Turn of the claim after which it counts.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._turn != since, seconds)

    def clear(self) -> None:
        """Forget every chunk."""
        with self._changed:
            self._clear()

    def _clear(self) -> None:
        self._kept.clear()
        self._victims.clear()
        self.nbytes = 0
        self._turn += 1
        self._changed.notify_all()

    def _admit(self, key: Hashable, nbytes: int, due: int) -> Piece | None:
        if not self._make_room(nbytes, due):
            return None
        piece = Piece(nbytes)
        self._kept[key] = Kept(piece, due, time.monotonic())
        self.nbytes += nbytes
        return piece

    def _make_room(self, nbytes: int, due: int | None) -> bool:
        """Put out chunks that are needed later than ``due``; None puts out any."""
        budget = self.budget
        if nbytes > budget:
            return False
        while self.nbytes + nbytes > budget:
            if not self._victims:
                self._victims = self._find_victims()
            if not self._victims:
                return False
            farthest, key = self._victims[-1]
            kept = self._kept.get(key)
            stale = kept is None or kept.due != farthest or not kept.may_go
            if not stale:
                if due is not None and self._distance(farthest) <= due - self._now:
                    return False
                self._drop(key)
            self._victims.pop()
        return True

    def _find_victims(self) -> list[tuple[int, Hashable]]:
        """Return the chunks that are needed last, the very last at the end."""
        found = [(kept.due, key) for key, kept in self._kept.items() if kept.may_go]
        found.sort(key=lambda one: self._distance(one[0]))
        return found[-(len(found) // VICTIMS + 1) :]

    def _distance(self, due: int) -> int:
        """Return how far ahead a use lies. One that did not come may be expected as late again."""
        return abs(due - self._now)

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.nbytes -= kept.piece.array.nbytes


SHARED = HotChunks()
"""What every Sequence of the process keeps its chunks in."""
