"""Chunks by number, decoded: from memory, by this thread, or by another that is at it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.claims import PATIENCE_SECONDS, Wanted
from niicache.errors import DamageError
from niicache.kernels import PROVEN, RUN_BYTES, read_chunks
from niicache.memory import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from niicache.chunks import ChunkReader
    from niicache.hot import HotChunks
    from niicache.shards import ShardFile


class Place:
    """Memory of one sample in the batch, to decode a chunk of one case into as it is."""

    __slots__ = ("array", "begin")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array.view(np.uint8)
        self.begin: int = array.__array_interface__["data"][0]


class Decoder:
    """Decodes chunks in the calling thread. Thread-safe; threads share what they decode."""

    def __init__(self, store: HotChunks, *, always: bool = False) -> None:
        """Make a decoder.

        Args:
            store: Keeps chunks, and tells threads which of them decodes what.
            always: Prove uncompressed chunks whenever they are read, not the first time alone.
        """
        self._store = store
        self._always = always
        self._own = threading.local()

    def decode(
        self,
        chunks: Sequence[tuple[ChunkReader, int]],
        again: Sequence[int],
        places: Mapping[int, Place],
        deliver: Callable[[Mapping[int, Piece | Place]], None],
        *,
        without: frozenset[int] = frozenset(),
    ) -> dict[int, DamageError]:
        """Deliver decoded chunks, a group at a time, and return what is wrong with the others.

        Args:
            chunks: Reader and number of each.
            again: In how many batches each is needed again.
            places: Where those go that are decoded into the batch, by position.
            deliver: Gets decoded chunks by position. It must not keep them: what the store does
                not keep is gone when the next group comes, so a batch needs no more memory
                than a group beside its own.
            without: Positions that are not needed.
        """
        wanted = [
            Wanted(reader.key(number), reader.nbytes, steps)
            for (reader, number), steps in zip(chunks, again, strict=True)
        ]
        damage: dict[int, DamageError] = {}
        left = [i for i in range(len(chunks)) if i not in without]
        end = time.monotonic() + PATIENCE_SECONDS
        while left:
            claim = self._store.claim(wanted, left, placed=places)
            found, wrong = self._make(chunks, wanted, claim.mine, places)
            found |= claim.ready
            if found or wrong:
                deliver(found)
                damage |= wrong
                left = [i for i in left if i not in found and i not in wrong]
                end = time.monotonic() + PATIENCE_SECONDS
            elif (seconds := end - time.monotonic()) > 0:
                self._store.wait(seconds, since=claim.turn)
            else:  # whoever claimed them was interrupted, and will not hand them over
                self._store.settle({}, {wanted[i].key: None for i in left})
            del claim, found
        return damage

    def _make(
        self,
        chunks: Sequence[tuple[ChunkReader, int]],
        wanted: Sequence[Wanted],
        mine: Mapping[int, Piece | None],
        places: Mapping[int, Place],
    ) -> tuple[dict[int, Piece | Place], dict[int, DamageError]]:
        """Decode what was claimed, and hand it over or give it up, whatever happens."""
        if not mine:
            return {}, {}
        kept = {wanted[i].key: piece for i, piece in mine.items() if piece is not None}
        try:
            targets = {
                i: piece or places.get(i) or Piece(wanted[i].nbytes) for i, piece in mine.items()
            }
            # What is kept may be asked for by who proves always.
            trusted = frozenset() if self._always else frozenset(i for i in mine if mine[i] is None)
            wrong = self._read(chunks, targets, trusted)
        except BaseException:
            self._store.settle({}, kept)
            raise
        bad = {wanted[i].key for i in wrong}
        self._store.settle({key: kept[key] for key in kept if key not in bad}, kept)
        return {i: piece for i, piece in targets.items() if i not in wrong}, wrong

    def _read(
        self,
        chunks: Sequence[tuple[ChunkReader, int]],
        targets: Mapping[int, Piece | Place],
        trusted: frozenset[int],
    ) -> dict[int, DamageError]:
        """Decode chunks, all in one go where nothing is wrong.

        Args:
            chunks: Reader and number of each.
            targets: Where to, by position.
            trusted: Positions of those that need not be proven a second time.
        """
        jobs, which = [], []
        held: dict[int, tuple[ShardFile, int]] = {}  # so that its descriptor stays open
        for i, target in targets.items():
            reader, number = chunks[i]
            if (place := reader.locate(number)) is not None:
                file, offset, stored = place
                held[i] = file, reader.place(number)
                known = i in trusted and _is_proven(reader, number, file)
                crc = PROVEN if known else int(reader.crcs[number])
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


def _is_proven(reader: ChunkReader, number: int, file: ShardFile) -> bool:
    """Say whether a chunk was proven once. Blosc must not see any bytes but the right."""
    return reader.layout.codec is None and bool(file.proven[reader.place(number)])
