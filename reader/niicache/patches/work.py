"""The work on the patches of one batch: draw, read the box that each needs, resample it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from niicache.augment.placing import Cases, place_cases
from niicache.augment.warp import STRAIGHT
from niicache.format.geometry import within
from niicache.hot import GROUP_BYTES
from niicache.memory import empty
from niicache.patches.patch import Reading
from niicache.patches.regions import plan_regions
from niicache.patches.source import seen_from, source_box
from niicache.work import SampleWork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from niicache.augmentation import Augmentation
    from niicache.batch import Filler
    from niicache.chunks import ChunkReader
    from niicache.errors import Problem
    from niicache.format.geometry import Box, Shape
    from niicache.format.manifest import ArrayLayout
    from niicache.real import Seen
    from niicache.sampling import Draw
    from niicache.transform import Key


class Boxes(Protocol):
    """What says where patches lie."""

    @property
    def shape(self) -> Shape:
        """Of a patch, one number a spatial axis."""

    @property
    def grid(self) -> Shape:
        """Spatial shape of a padded case."""

    def boxes(self, draw: Draw, slots: np.ndarray, key: Key) -> list[Box]:
        """Return the patch of each sample, in voxels of the padded grid; it may reach beyond."""


class PatchWork(SampleWork):
    """Patches in place of whole cases, for the thread that makes the batch.

    A transform sees a patch as its image, and what lies around it in the case as what lies around
    an image: what is turned into view is read, not filled.
    """

    def __init__(self, augmentation: Augmentation, sampler: Boxes, key: Key) -> None:
        super().__init__(augmentation, key)
        self._sampler = sampler
        self._boxes: dict[int, Box] = {}

    def draw(self, draw: Draw, slots: np.ndarray) -> None:
        """Draw patches, and the parameters of their transforms."""
        super().draw(draw, slots)
        patches = self._sampler.boxes(draw, slots, self._key)
        for slot, patch in zip(slots.tolist(), patches, strict=True):
            plan, line = self._plans[slot]
            box = source_box(plan, patch, self._sampler.grid)
            self._boxes[slot] = box
            self._plans[slot] = seen_from(plan, patch, box), line

    def seen(self, slot: int) -> Seen:
        """Return what the sample in a place shows, of the box that was read for it."""
        return super().seen(slot)._replace(box=self._boxes[slot])

    def fill(
        self,
        filler: Filler,
        readers: Sequence[ChunkReader],
        draw: Draw,
        slots: np.ndarray,
        out: np.ndarray,
        what: Literal["image", "mask"],
    ) -> tuple[list[Problem], np.ndarray]:
        """Fill the places of some samples of a batch.

        Args:
            filler: Reads chunks.
            readers: One array a class.
            draw: The samples, which :meth:`draw` was told of.
            slots: (k,) int64, where they go.
            out: ``(batch, *spatial, channel)``.
            what: They are.

        Returns:
            What is wrong, and (k,) bool, which of the samples could not be read for it.
        """
        layout = readers[0].layout
        problems: list[Problem] = []
        lost = np.zeros(len(slots), np.bool_)
        for straight, group in self._groups(draw, slots, layout, what):
            boxes = [self._boxes[int(slot)] for slot in slots[group]]
            regions = plan_regions(
                readers, draw.classes[group], draw.rows[group], draw.again[group], boxes
            )
            shapes = [(*box.shape, layout.shape[-1]) for box in boxes]
            arrays = (
                [out[slot] for slot in slots[group]]
                if straight
                else [empty(shape, np.dtype(layout.dtype)) for shape in shapes]
            )
            for array, box in zip(arrays, boxes, strict=True):
                if not within(box, layout.shape[:-1]):
                    array[...] = layout.fill
            damage = filler.fill_regions(regions, arrays)
            problems += [one for error in damage.values() for one in error.problems]
            bad = np.array([not damage.keys().isdisjoint(one) for one in regions.samples])
            lost[group] = bad
            if not straight:
                for i in np.flatnonzero(~bad).tolist():
                    self._place(arrays[i], out, int(slots[group[i]]), what)
        return problems, lost

    def reading(self, readers: Sequence[ChunkReader], draw: Draw) -> Reading:
        """Return what it costs to read the patches of one array."""
        layout = readers[0].layout
        boxes = [self._boxes[slot] for slot in range(len(draw.rows))]
        regions = plan_regions(readers, draw.classes, draw.rows, draw.again, boxes)
        voxels = len(boxes) * int(np.prod(self._sampler.shape)) * layout.shape[-1]
        return Reading(regions.decoded_nbytes, voxels * np.dtype(layout.dtype).itemsize)

    def _groups(
        self,
        draw: Draw,
        slots: np.ndarray,
        layout: ArrayLayout,
        what: Literal["image", "mask"],
    ) -> Iterator[tuple[bool, np.ndarray]]:
        """Yield samples by position: those that go into the batch as they lie, then others.

        Neighbours in the arrays come together, a bounded number of bytes at a time.
        """
        straight = np.array([self._is_straight(s, what) for s in slots.tolist()])
        if straight.any():
            yield True, np.flatnonzero(straight)
        group: list[int] = []
        nbytes = 0
        for i in np.lexsort((draw.rows, draw.classes)).tolist():
            if straight[i]:
                continue
            size = int(np.prod(self._boxes[int(slots[i])].shape)) * layout.shape[-1]
            if group and nbytes + size * np.dtype(layout.dtype).itemsize > GROUP_BYTES:
                yield False, np.array(group)
                group, nbytes = [], 0
            group.append(i)
            nbytes += size * np.dtype(layout.dtype).itemsize
        if group:
            yield False, np.array(group)

    def _is_straight(self, slot: int, what: Literal["image", "mask"]) -> bool:
        plan, line = self._plans[slot]
        plain = what == "mask" or line == STRAIGHT
        return plain and plan.is_identity(self._boxes[slot].shape)

    def _place(
        self, box: np.ndarray, out: np.ndarray, slot: int, what: Literal["image", "mask"]
    ) -> None:
        plan, line = self._plans[slot]
        begin = np.array([box.__array_interface__["data"][0]])
        cases = Cases(begin, box.dtype, box.shape)
        place_cases(cases, out, np.array([slot]), [plan], [line], what=what)
