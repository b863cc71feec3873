"""A draw becomes images and labels. Everything that a Sequence does to voxels, without Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from niicache import forks
from niicache.batch import Filler
from niicache.errors import DamageError, NoMemoryError
from niicache.gathering import plan_gathering
from niicache.losses import needed_for
from niicache.memory import empty
from niicache.patches.patch import Reading
from niicache.patches.work import PatchWork
from niicache.sampling import ClassRows
from niicache.vectors import Vectors, are_small

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.batch import Check
    from niicache.cache import Cache
    from niicache.chunks import ChunkReader
    from niicache.errors import Problem
    from niicache.format.manifest import ArrayLayout
    from niicache.sampling import Draw
    from niicache.work import SampleWork

    Half: TypeAlias = tuple[
        Literal["image", "mask", "vector"], list[ChunkReader], np.ndarray, ArrayLayout
    ]


def class_rows(
    cache: Cache, *, by_name: bool = False, keep: Sequence[np.ndarray] | None = None
) -> list[ClassRows]:
    """Return where the cases of each class lie.

    Args:
        cache: The open cache.
        by_name: In the order of their names instead of the stored one.
        keep: Which rows count, (slots,) bool of each class; all if None.
    """
    found = []
    for view in cache:
        rows = view.rows if by_name else view.occupied
        if keep is not None:
            rows = rows[keep[view.number][rows]]
        found.append(ClassRows(name=view.name, rows=rows, chunk=view.image.layout.chunk[0]))
    return found


class Loader:
    """Loads the samples of draws from a cache. Thread-safe.

    Attributes:
        cache: The open cache.
        dtype: Of the images.
    """

    def __init__(self, cache: Cache, *, dtype: np.dtype, memory: int, check: Check) -> None:
        """Read the checksums of the chunks, and no voxel.

        Args:
            cache: The open cache.
            dtype: Of the images.
            memory: Bytes of decoded chunks that the process may keep.
            check: When the crc32c of an uncompressed chunk is looked at.
        """
        self.cache = cache
        self.dtype = dtype
        self._images: list[ChunkReader] = [view.image for view in cache]
        self._labels: list[ChunkReader] = [v.label for v in cache if v.label is not None]
        self._vectors = None
        if cache.manifest.recipe.label_kind == "vector" and are_small(self._labels):
            self._vectors = Vectors(self._labels)
        self._filler = Filler(memory=memory, check=check)

    @property
    def has_masks(self) -> bool:
        """Whether labels are masks."""
        return self.cache.manifest.recipe.label_kind == "mask"

    def load(self, draw: Draw, work: SampleWork | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the images and labels of a draw.

        Args:
            draw: The samples.
            work: How they are augmented; None for as they are.

        Returns:
            Images ``(batch, *spatial, channel)`` and labels: masks ``(batch, *spatial, channel)``
            in their stored dtype, vectors ``(batch, k)``, or classes one-hot ``(batch, classes)``.

        Raises:
            DamageError: Chunks are missing or damaged; carries the problem of each.
        """
        images, labels = self.empty(draw, work)
        problems, lost = self.fill(draw, np.arange(len(draw.rows)), images, labels, work)
        if problems:
            raise DamageError(needed_for(problems, self.names(draw, lost)))
        return images, labels

    def load_images(self, draw: Draw, work: SampleWork) -> np.ndarray:
        """Return the images of a draw alone, worked on.

        Raises:
            DamageError: Chunks are missing or damaged; carries the problem of each.
        """
        forks.enter()
        self._filler.store.tick()
        slots = np.arange(len(draw.rows))
        images = empty((len(slots), *work.out_shape), self.dtype)
        work.draw(draw, slots)
        half: Half = ("image", self._images, images, self.cache.manifest.recipe.image)
        problems, lost = self._fill_half(draw, slots, half, work)
        if problems:
            raise DamageError(needed_for(problems, self.names(draw, lost)))
        work.finish(images, np.zeros((len(slots), 0), np.float32))
        work.pad(images)
        return images

    def empty(self, draw: Draw, work: SampleWork | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return images to be filled and labels, of which the one-hot ones are done.

        Raises:
            NoMemoryError: There is no memory for a batch of them.
        """
        try:
            return self._empty(draw, work)
        except MemoryError as error:
            what = f"{len(draw.rows):,} images of {self.cache.manifest.recipe.image.shape}"
            raise NoMemoryError(f"no memory for a batch of {what}; give a smaller one") from error

    def _empty(self, draw: Draw, work: SampleWork | None) -> tuple[np.ndarray, np.ndarray]:
        recipe, count = self.cache.manifest.recipe, len(draw.rows)
        image = recipe.image.shape if work is None else work.out_shape
        images = empty((count, *image), self.dtype)
        if recipe.label is None:
            return images, np.eye(len(self.cache), dtype=self.dtype)[draw.classes]
        # Vectors are numbers to be learned: 2049 is not one in half precision.
        keeps = recipe.label_kind == "mask" or self.dtype.name not in {"float32", "float64"}
        dtype = recipe.label.dtype if keeps else self.dtype
        mask = recipe.label_kind == "mask"
        label = (*image[:-1], recipe.label.shape[-1]) if mask else recipe.label.shape
        return images, empty((count, *label), np.dtype(dtype))

    def fill(
        self,
        draw: Draw,
        slots: np.ndarray,
        images: np.ndarray,
        labels: np.ndarray,
        work: SampleWork | None = None,
    ) -> tuple[list[Problem], np.ndarray]:
        """Fill the places of some samples of a batch.

        Args:
            draw: The samples.
            slots: (k,) int64, where they go.
            images: The batch.
            labels: The batch.
            work: How samples are augmented; None for as they are.

        Returns:
            What is wrong, and (k,) bool, which of the samples could not be read for it.
        """
        forks.enter()
        self._filler.store.tick()
        problems: list[Problem] = []
        lost = np.zeros(len(slots), np.bool_)
        if work is not None:
            work.draw(draw, slots)
        recipe = self.cache.manifest.recipe
        halves: list[Half] = [("image", self._images, images, recipe.image)]
        if self._vectors is not None:
            problems, lost = self._vectors.fill(draw.classes, draw.rows, labels, slots)
        elif recipe.label is not None:
            what: Literal["mask", "vector"] = "mask" if recipe.label_kind == "mask" else "vector"
            halves.append((what, self._labels, labels, recipe.label))
        for half in halves:
            wrong, bad = self._fill_half(draw, slots, half, work)
            problems += wrong
            lost |= bad
        return problems, lost

    def _fill_half(
        self, draw: Draw, slots: np.ndarray, half: Half, work: SampleWork | None
    ) -> tuple[list[Problem], np.ndarray]:
        """Fill images, or labels."""
        what, readers, out, layout = half
        put_cases = None
        if work is not None and what != "vector":
            if isinstance(work, PatchWork):
                return work.fill(self._filler, readers, draw, slots, out, what)
            put_cases = work.into(out, layout, what)
        plan = plan_gathering(readers, draw.classes, draw.rows, draw.again, slots)
        damage = self._filler.fill(plan, out, put_cases)
        wrong = [one for error in damage.values() for one in error.problems]
        return wrong, np.isin(plan.which, list(damage))

    def reading(self, draw: Draw, work: SampleWork | None) -> Reading:
        """Return what it costs to read patches, images and masks, where none is in memory."""
        assert isinstance(work, PatchWork)  # noqa: S101 - whole cases are read whole
        work.draw(draw, np.arange(len(draw.rows)))
        halves = [self._images, *([self._labels] if self.has_masks else [])]
        parts = [work.reading(readers, draw) for readers in halves]
        return Reading(sum(one.decoded for one in parts), sum(one.useful for one in parts))

    def names(self, draw: Draw, which: np.ndarray | None = None) -> tuple[tuple[str, str], ...]:
        """Return (class, case) of samples, in their order; of ``which`` alone, if given."""
        views = tuple(self.cache)
        here = slice(None) if which is None else which
        pairs = zip(draw.classes[here].tolist(), draw.rows[here].tolist(), strict=True)
        return tuple((views[k].name, views[k].slot_names[row]) for k, row in pairs)

    def close(self) -> None:
        """Give back the memory; the loader can still be used after."""
        self._filler.close()
