"""Decoded chunks kept in memory under a byte budget, least recently used out first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np


class HotChunks:
    """A thread-safe store of decoded chunks.

    Arrays in it are shared: they are read-only.

    Attributes:
        budget: Bytes that the chunks together may hold; 0 keeps nothing.
        nbytes: Bytes that they hold now.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.nbytes = 0
        self._chunks: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._chunks)

    def get(self, key: Hashable) -> np.ndarray | None:
        """Return a chunk, or None if it is not here."""
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
            return chunk

    def put(self, key: Hashable, chunk: np.ndarray) -> None:
        """Keep a chunk, at the cost of those that were not asked for longest."""
        if chunk.nbytes > self.budget:
            return
        chunk.flags.writeable = False
        with self._lock:
            if key in self._chunks:
                return
            self._chunks[key] = chunk
            self.nbytes += chunk.nbytes
            while self.nbytes > self.budget:
                _, oldest = self._chunks.popitem(last=False)
                self.nbytes -= oldest.nbytes
