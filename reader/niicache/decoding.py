"""Chunks by number, decoded: from memory, by this thread, or by another that is at it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.errors import DamageError
from niicache.hot import Wanted
from niicache.kernels import RUN_BYTES, read_chunks
from niicache.memory import Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from niicache.chunks import ChunkReader
    from niicache.hot import HotChunks
    from niicache.shards import ShardFile

PATIENCE_SECONDS = 1.0
"""How long a thread waits for a chunk that another one decodes, before it does so itself."""


class Place:
    """Memory of one sample in the batch, to decode a chunk of one case into as it is."""

    __slots__ = ("array", "begin")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array.view(np.uint8)
        self.begin: int = array.__array_interface__["data"][0]


class Decoder:
    """Decodes chunks in the calling thread. Thread-safe; threads share what they decode."""

    def __init__(self, store: HotChunks) -> None:
        self._store = store
        self._own = threading.local()

    def decode(
        self,
        chunks: Sequence[tuple[ChunkReader, int]],
        again: Sequence[int],
        places: Mapping[int, Place],
        *,
        without: frozenset[int] = frozenset(),
    ) -> tuple[dict[int, Piece | Place], dict[int, DamageError]]:
        """Return decoded chunks, and what is wrong with the others, by position."""
        wanted = [
            Wanted(reader.key(number), reader.nbytes, steps)
            for (reader, number), steps in zip(chunks, again, strict=True)
        ]
        found: dict[int, Piece | Place] = {}
        damage: dict[int, DamageError] = {}
        left = [i for i in range(len(chunks)) if i not in without]
        while left:
            claim = self._store.claim(wanted, left)
            found |= claim.ready
            if claim.mine:
                mine = {
                    i: piece or places.get(i) or Piece(wanted[i].nbytes)
                    for i, piece in claim.mine.items()
                }
                kept = {wanted[i].key: b for i, b in claim.mine.items() if b is not None}
                wrong: Mapping[int, DamageError] = {}
                try:
                    wrong = self._read(chunks, mine)
                except BaseException:
                    self._store.settle({}, kept)
                    raise
                bad = {wanted[i].key for i in wrong}
                self._store.settle({key: kept[key] for key in kept if key not in bad}, kept)
                damage |= wrong
                found |= {i: piece for i, piece in mine.items() if i not in wrong}
            elif not claim.ready and not self._store.wait(PATIENCE_SECONDS, since=claim.turn):
                # Whoever claimed them was interrupted, and will not hand them over.
                self._store.settle({}, {wanted[i].key: None for i in left})
            left = [i for i in left if i not in found and i not in damage]
        return found, damage

    def _read(
        self, chunks: Sequence[tuple[ChunkReader, int]], targets: Mapping[int, Piece | Place]
    ) -> dict[int, DamageError]:
        """Decode chunks, all in one go where nothing is wrong."""
        jobs, which = [], []
        held: dict[int, tuple[ShardFile, int]] = {}  # so that its descriptor stays open
        for i, target in targets.items():
            reader, number = chunks[i]
            if (place := reader.locate(number)) is not None:
                file, offset, stored = place
                held[i] = file, reader.place(number)
                crc = int(reader.crcs[number])
                jobs.append((file.fd, offset, stored, target.begin, reader.nbytes, crc))
                which.append(i)
        sound: set[int] = set()
        if jobs:
            table = np.array(jobs, np.int64)
            order = np.lexsort((table[:, 1], table[:, 0]))
            scratch = self.scratch(int(table[:, 2].max()))
            codec = chunks[which[0]][0].layout.codec
            good = read_chunks(table[order], scratch, compressed=codec is not None)
            sound = {which[i] for i in order[good].tolist()}
        damage = {}
        for i, target in targets.items():
            reader, number = chunks[i]
            if i in sound:
                file, at = held[i]
                file.proven[at] = True
                continue
            try:
                shaped = target.array.view(reader.layout.dtype).reshape(reader.layout.chunk)
                reader.read(number, shaped)
            except DamageError as error:
                damage[i] = error
        return damage

    def scratch(self, nbytes: int) -> np.ndarray:
        """Return memory of this thread alone."""
        own: Any = self._own
        if getattr(own, "scratch", None) is None or own.scratch.nbytes < nbytes:
            own.scratch = np.empty(max(nbytes, RUN_BYTES), np.uint8)
        scratch: np.ndarray = own.scratch
        return scratch
