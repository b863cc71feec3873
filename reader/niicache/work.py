"""What is done to the samples of one batch: drawn for each, applied on the way from chunk to batch.

A case that lies decoded in memory is resampled straight into its place in the batch, which is also
where its dtype changes. Nothing is copied in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from niicache.augment.placing import Cases, place_cases
from niicache.augment.warp import STRAIGHT
from niicache.format.geometry import Box
from niicache.real import Seen
from niicache.sampling import sample_generator
from niicache.transform import note, put

if TYPE_CHECKING:
    from niicache.augment.plan import Plan
    from niicache.augment.warp import Line
    from niicache.augmentation import Augmentation
    from niicache.batch import PutCases
    from niicache.format.manifest import ArrayLayout
    from niicache.sampling import Draw
    from niicache.transform import Key


class SampleWork:
    """The work of an :class:`Augmentation` on one batch, for the thread that makes it.

    Attributes:
        out_shape: Of an image in the batch, ``(*spatial, channel)``.
    """

    def __init__(self, augmentation: Augmentation, key: Key) -> None:
        augmentation.rehearse()
        self.out_shape = augmentation.out_shape
        self._augmentation = augmentation
        self._compose = augmentation.compose
        self._key = key
        self._params: dict[int, Any] = {}
        self._plans: dict[int, tuple[Plan, Line]] = {}
        self._cases: dict[int, tuple[int, int]] = {}

    def draw(self, draw: Draw, slots: np.ndarray) -> None:
        """Draw the parameters of some samples.

        Args:
            draw: The samples.
            slots: (k,) int64, their places in the batch.
        """
        ours = self._augmentation
        samples = zip(draw.classes.tolist(), draw.rows.tolist(), slots.tolist(), strict=True)
        for number, row, slot in samples:
            self._cases[slot] = number, row
            try:
                rng = sample_generator(*self._key, slot)
                params = self._compose.draw(rng, ours.shape, ours.facts(number, row))
                line = self._compose.line(params) or STRAIGHT
                self._plans[slot] = self._compose.plan(params, ours.shape), line
                self._params[slot] = params
            except Exception as error:
                note(error, self._key, slot)
                raise

    def into(
        self, batch: np.ndarray, layout: ArrayLayout, what: Literal["image", "mask"]
    ) -> PutCases | None:
        """Return what puts cases from memory into their places of the batch; None to copy them.

        Args:
            batch: ``(batch, *spatial, channel)``.
            layout: How the cases are stored.
            what: They are.
        """
        if not self._compose.transforms:
            return None
        dtype = np.dtype(layout.dtype)

        def put_cases(addresses: np.ndarray, slots: np.ndarray) -> None:
            if not len(slots):
                return
            plans, lines = zip(*[self._plans[slot] for slot in slots.tolist()], strict=True)
            cases = Cases(addresses, dtype, layout.shape)
            place_cases(cases, batch, slots, plans, lines, what=what)

        return put_cases

    def seen(self, slot: int) -> Seen:
        """Return what the sample in a place shows, once it is there."""
        grid = self._augmentation.shape[:-1]
        return Seen(*self._cases[slot], Box((0,) * len(grid), grid), self._plans[slot][0])

    def finish(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Do in place what is left to do when every case is in its place."""
        for slot in range(len(images)):
            try:
                image, label = images[slot], labels[slot]
                made, mark = self._compose.finish(image, label, self._params[slot])
                if made is not image:
                    put(images, slot, made, "image")
                if mark is not label:
                    put(labels, slot, mark, "label")
            except Exception as error:
                note(error, self._key, slot)
                raise

    @property
    def pads(self) -> bool:
        """Whether it was told what padding is."""
        return self._augmentation.padding is not None

    def pad(self, images: np.ndarray) -> None:
        """Write padding where no real voxel lies, if it was told what it is; the last thing."""
        if self.pads:
            for slot, image in enumerate(images):
                self._augmentation.pad(image, self.seen(slot))


class PlainWork(SampleWork):
    """Nothing is done to whole cases, but it is known which they are."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.out_shape = shape
        self._cases = {}

    def draw(self, draw: Draw, slots: np.ndarray) -> None:
        """Note the samples."""
        samples = zip(draw.classes.tolist(), draw.rows.tolist(), strict=True)
        self._cases.update(zip(slots.tolist(), samples, strict=True))

    def into(
        self, batch: np.ndarray, layout: ArrayLayout, what: Literal["image", "mask"]
    ) -> PutCases | None:
        """Return None: they are copied."""
        del batch, layout, what
        copied: PutCases | None = None
        return copied

    def seen(self, slot: int) -> Seen:
        """Return that the sample is its case."""
        grid = self.out_shape[:-1]
        return Seen(*self._cases[slot], Box((0,) * len(grid), grid), None)

    def finish(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Do nothing."""

    @property
    def pads(self) -> bool:
        """Return False."""
        return False
