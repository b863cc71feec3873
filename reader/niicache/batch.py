"""Draws become one filled batch: every chunk is decoded once, every case copied once.

A batch is made by the thread that asks for it, from end to end. Two batches at a time keep two
cores busy; two halves of one would meet twice a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache.decoding import Decoder, Place
from niicache.errors import DamageError
from niicache.format.geometry import chunk_boxes
from niicache.hot import SHARED
from niicache.kernels import gather, gather_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache.format.geometry import Box
    from niicache.gathering import Gathering
    from niicache.hot import HotChunks
    from niicache.memory import Piece

Check = Literal["first", "always"]


class Filler:
    """Fills batches in the calling thread. Thread-safe; threads share what they decode."""

    def __init__(self, *, memory: int, check: Check = "first", store: HotChunks = SHARED) -> None:
        """Make a filler.

        Args:
            memory: Bytes of decoded chunks that the process may keep.
            check: When the crc32c of an uncompressed chunk is looked at. Compressed ones are
                proven whenever they are read, because blosc must not see any other bytes.
            store: What keeps them.
        """
        self.store = store
        self._memory = memory
        self._always = check == "always"
        self._joined = False
        self._decoder = Decoder(store)

    def fill(self, gathering: Gathering, out: np.ndarray) -> Mapping[int, DamageError]:
        """Fill the places of some samples.

        Args:
            gathering: Which.
            out: (batch, *shape), C-contiguous, of any dtype that the voxels convert to.

        Returns:
            What is wrong with chunks, by position in ``gathering.chunks``. The places of their
            samples may hold anything.
        """
        if not self._joined:
            self._joined = True
            self.store.join(self, self._memory)
        if gathering.chunks and gathering.chunks[0][0].layout.blocks > 1:
            return self._fill_blocks(gathering, out)
        return self._fill_cases(gathering, out)

    def close(self) -> None:
        """Give back the memory."""
        self.store.leave(self)
        self._joined = False

    def _fill_cases(self, gathering: Gathering, out: np.ndarray) -> dict[int, DamageError]:
        flat = out.reshape(len(out), -1)
        which, rows, slots = gathering.which, gathering.rows, gathering.slots
        first = gathering.chunks[0][0]
        inside, dtype = rows * first.case_nbytes, np.dtype(first.layout.dtype)

        def deliver(chunks: Mapping[int, Piece | Place]) -> None:
            begins = np.zeros(len(gathering.chunks), np.int64)
            begins[list(chunks)] = [chunk.begin for chunk in chunks.values()]
            here = np.flatnonzero(begins[which])
            gather(begins[which[here]] + inside[here], dtype, flat, slots[here])

        return self._decoder.decode(
            gathering.chunks,
            gathering.again,
            _own_places(gathering, flat),
            deliver,
            without=self._fill_direct(gathering, flat),
        )

    def _fill_blocks(self, gathering: Gathering, out: np.ndarray) -> dict[int, DamageError]:
        layout = gathering.chunks[0][0].layout
        samples = list(zip(gathering.which, gathering.rows, gathering.slots, strict=True))
        damage: dict[int, DamageError] = {}
        for number, box in enumerate(chunk_boxes(layout.shape, layout.chunk[1:])):
            inside = tuple(slice(0, n) for n in box.shape)

            def deliver(
                chunks: Mapping[int, Piece | Place],
                box: Box = box,
                inside: tuple[slice, ...] = inside,
            ) -> None:
                for which, row, slot in samples:
                    if which in chunks:
                        block = chunks[which].array.view(layout.dtype).reshape(layout.chunk)
                        out[(slot, *box.slices)] = block[(row, *inside)]

            blocks = [(reader, n * layout.blocks + number) for reader, n in gathering.chunks]
            wrong = self._decoder.decode(blocks, gathering.again, {}, deliver)
            for i, error in wrong.items():
                before = damage[i].problems if i in damage else ()
                damage[i] = DamageError([*before, *error.problems])
        return damage

    def _fill_direct(self, gathering: Gathering, flat: np.ndarray) -> frozenset[int]:
        """Read cases of proven, uncompressed chunks from the page cache; return which chunks."""
        layout = gathering.chunks[0][0].layout
        if layout.codec is not None or self._always or "float16" in {layout.dtype, str(flat.dtype)}:
            return frozenset()
        found = {}
        for i, (reader, number) in enumerate(gathering.chunks):
            if self.store.holds(reader.key(number)):
                continue
            place = reader.locate(number)
            if place is not None and place[0].proven[reader.place(number)]:
                found[i] = place
        if not found:
            return frozenset()
        picked = np.isin(gathering.which, list(found))
        case = layout.case_nbytes
        jobs = np.zeros((int(picked.sum()), 6), np.int64)
        chunks = gathering.which[picked].tolist()
        jobs[:, 0] = [found[i][0].fd for i in chunks]
        jobs[:, 1] = [found[i][1] for i in chunks] + gathering.rows[picked] * case
        jobs[:, 2] = case
        sound = gather_rows(
            jobs, self._decoder.scratch(case), np.dtype(layout.dtype), flat, gathering.slots[picked]
        )
        return frozenset(found) - {i for i, ok in zip(chunks, sound, strict=True) if not ok}


def _own_places(gathering: Gathering, flat: np.ndarray) -> dict[int, Place]:
    """Return the places of chunks that can be decoded into the batch."""
    layout = gathering.chunks[0][0].layout
    if layout.chunk[0] > 1 or np.dtype(layout.dtype) != flat.dtype:
        return {}
    slots = dict(zip(gathering.which.tolist(), gathering.slots.tolist(), strict=True))
    return {chunk: Place(flat[slot]) for chunk, slot in slots.items()}
