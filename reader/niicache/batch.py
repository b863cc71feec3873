"""Draws become one filled batch: every chunk is decoded once, every case copied once.

A batch is made by the thread that asks for it, from end to end. Two batches at a time keep two
cores busy; two halves of one would meet twice a batch.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache.copying import copy_pieces, gather, gather_rows
from niicache.decoding import Decoder, Place
from niicache.errors import DamageError
from niicache.hot import GROUP_BYTES, SHARED
from niicache.memory import empty
from niicache.patches.regions import plan_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from niicache.errors import Problem
    from niicache.format.manifest import ArrayLayout
    from niicache.gathering import Gathering
    from niicache.hot import HotChunks
    from niicache.memory import Piece
    from niicache.patches.regions import Regions
    from niicache.shards import ShardFile

    PutCases = Callable[[np.ndarray, np.ndarray], None]
    """Puts cases into their places: (k,) int64 addresses of cases as stored, (k,) int64 places."""

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
        self._decoder = Decoder(store, always=self._always)

    def fill(
        self, gathering: Gathering, out: np.ndarray, put_cases: PutCases | None = None
    ) -> Mapping[int, DamageError]:
        """Fill the places of some samples.

        Args:
            gathering: Which.
            out: (batch, *shape), C-contiguous, of any dtype that the voxels convert to.
            put_cases: Puts cases into their places, from where they lie decoded; None to put
                them there as they are.

        Returns:
            What is wrong with chunks, by position in ``gathering.chunks``. The places of their
            samples may hold anything.
        """
        self._join()
        blocks = bool(gathering.chunks) and gathering.chunks[0][0].layout.blocks > 1
        if blocks and put_cases is not None:
            return self._put_blocks(gathering, put_cases)
        if blocks:
            return self._fill_blocks(gathering, out)
        return self._fill_cases(gathering, out, put_cases)

    def fill_regions(
        self, regions: Regions, boxes: Sequence[np.ndarray]
    ) -> Mapping[int, DamageError]:
        """Fill boxes with what lies in the chunks that they touch.

        Args:
            regions: Which; at least one box.
            boxes: ``(*spatial, channel)`` of each, C-contiguous, all of one dtype that the voxels
                convert to. What lies beyond the padded grid is left as it is.

        Returns:
            What is wrong with chunks, by position in ``regions.chunks``.
        """
        self._join()
        if not regions.chunks:
            return {}
        layout = regions.chunks[0][0].layout
        dtype, chunk = np.dtype(layout.dtype), layout.chunk

        def deliver(chunks: Mapping[int, Piece | Place]) -> None:
            begins = np.zeros(len(regions.chunks), np.int64)
            begins[list(chunks)] = [piece.begin for piece in chunks.values()]
            copy_pieces(begins, dtype, chunk, regions.pieces, boxes)

        return self._decoder.decode(regions.chunks, regions.again, {}, deliver)

    def close(self) -> None:
        """Give back the memory."""
        self.store.leave(self)
        self._joined = False

    def _join(self) -> None:
        if not self._joined:
            self._joined = True
            self.store.join(self, self._memory)

    def _fill_cases(
        self, gathering: Gathering, out: np.ndarray, put_cases: PutCases | None
    ) -> dict[int, DamageError]:
        flat = out.reshape(len(out), -1)
        which, rows, slots = gathering.which, gathering.rows, gathering.slots
        layout = gathering.chunks[0][0].layout
        inside, dtype = rows * layout.case_nbytes, np.dtype(layout.dtype)

        def copy(addresses: np.ndarray, slots: np.ndarray) -> None:
            gather(addresses, dtype, flat, slots)

        put = put_cases or copy

        def deliver(chunks: Mapping[int, Piece | Place]) -> None:
            begins = np.zeros(len(gathering.chunks), np.int64)
            begins[list(chunks)] = [chunk.begin for chunk in chunks.values()]
            here = np.flatnonzero(begins[which])
            put(begins[which[here]] + inside[here], slots[here])

        return self._decoder.decode(
            gathering.chunks,
            gathering.again,
            {} if put_cases else _own_places(gathering, flat),
            deliver,
            without=self._fill_direct(gathering, flat, put_cases),
        )

    def _put_blocks(self, gathering: Gathering, put_cases: PutCases) -> dict[int, DamageError]:
        """Put together the cases of one chunk after another, then let each be put in its place."""
        layout = gathering.chunks[0][0].layout
        damage: dict[int, DamageError] = {}
        for i in range(len(gathering.chunks)):
            one, slots = gathering.of_chunk(i)
            cases = empty((len(slots), *layout.shape), np.dtype(layout.dtype))
            if wrong := self._fill_blocks(one, cases):
                damage[i] = wrong[0]
                continue
            put_cases(_addresses(cases), slots)
        return damage

    def _fill_blocks(self, gathering: Gathering, out: np.ndarray) -> dict[int, DamageError]:
        """Put cases together from blocks, straight in their places."""
        found: defaultdict[int, list[Problem]] = defaultdict(list)
        blocks = gathering.chunks[0][0].layout.blocks
        for i, error in self.fill_regions(plan_cases(gathering), list(out)).items():
            found[i // blocks] += error.problems
        return {i: DamageError(problems) for i, problems in found.items()}

    def _fill_direct(
        self, gathering: Gathering, flat: np.ndarray, put_cases: PutCases | None
    ) -> frozenset[int]:
        """Read cases of proven, uncompressed chunks from the page cache; return which chunks."""
        layout = gathering.chunks[0][0].layout
        if layout.codec is not None or self._always:
            return frozenset()
        found = self._find_direct(gathering)
        if not found:
            return frozenset()
        picked = np.flatnonzero(np.isin(gathering.which, list(found)))
        case, dtype = layout.case_nbytes, np.dtype(layout.dtype)
        jobs = np.zeros((len(picked), 6), np.int64)
        chunks = gathering.which[picked].tolist()
        jobs[:, 0] = [found[i][0].fd for i in chunks]
        jobs[:, 1] = [found[i][1] for i in chunks] + gathering.rows[picked] * case
        jobs[:, 2] = case
        scratch, slots = self._decoder.scratch(case), gathering.slots[picked]
        if put_cases is None:
            sound = gather_rows(jobs, scratch, dtype, flat, slots)
        else:
            sound = self._put_direct(jobs, scratch, layout, slots, put_cases)
        return frozenset(found) - {i for i, ok in zip(chunks, sound, strict=True) if not ok}

    def _put_direct(
        self,
        jobs: np.ndarray,
        scratch: np.ndarray,
        layout: ArrayLayout,
        slots: np.ndarray,
        put_cases: PutCases,
    ) -> np.ndarray:
        """Read cases a group at a time, and let them be put; return which were read."""
        sound = np.zeros(len(jobs), np.bool_)
        count = max(1, GROUP_BYTES // layout.case_nbytes)
        cases = empty((min(count, len(jobs)), *layout.shape), np.dtype(layout.dtype))
        flat, addresses = cases.reshape(len(cases), -1), _addresses(cases)
        for start in range(0, len(jobs), count):
            some = jobs[start : start + count]
            places = np.arange(len(some))
            good = gather_rows(some, scratch, cases.dtype, flat, places)
            sound[start : start + count] = good
            put_cases(addresses[places[good]], slots[start : start + count][good])
        return sound

    def _find_direct(self, gathering: Gathering) -> dict[int, tuple[ShardFile, int, int]]:
        """Return where proven chunks lie that are not decoded in memory, by position."""
        found = {}
        for i, (reader, number) in enumerate(gathering.chunks):
            if self.store.holds(reader.key(number)):
                continue
            place = reader.locate(number)
            if place is not None and place[0].proven[reader.place(number)]:
                found[i] = place
        return found


def _addresses(cases: np.ndarray) -> np.ndarray:
    """Return the address of each of an array of cases, (k,) int64."""
    begin: int = cases.__array_interface__["data"][0]
    return begin + np.arange(len(cases)) * cases.strides[0]


def _own_places(gathering: Gathering, flat: np.ndarray) -> dict[int, Place]:
    """Return the places of chunks that can be decoded into the batch."""
    layout = gathering.chunks[0][0].layout
    if layout.chunk[0] > 1 or np.dtype(layout.dtype) != flat.dtype:
        return {}
    slots = dict(zip(gathering.which.tolist(), gathering.slots.tolist(), strict=True))
    return {chunk: Place(flat[slot]) for chunk, slot in slots.items()}
