"""Training batches: an exact share of each class in every one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from niicache.augmentation import apply_to_batch, check_batch_transform
from niicache.epochs import EpochSequence
from niicache.errors import OptionError
from niicache.identity import describe
from niicache.loader import class_rows
from niicache.losses import Losses
from niicache.mixing import sampler_score
from niicache.options import (
    check_count,
    check_flag,
    check_one_of,
    class_weights,
)
from niicache.patches.options import patch_sampler
from niicache.patches.patch import Patch
from niicache.sampling import Sampler
from niicache.sequence import MEMORY
from niicache.spares import Spares

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from niicache.augment import BatchTransform, Transform
    from niicache.batch import Check
    from niicache.cache import Cache
    from niicache.patches.foreground import Foreground
    from niicache.patches.patch import Reading
    from niicache.patches.sampler import PatchSampler
    from niicache.sampling import Draw
    from niicache.sequence import Collate
    from niicache.transform import Function

OnDamage = Literal["raise", "skip"]

DAMAGE_LIMIT = 100


class BalancedSequence(EpochSequence):
    """Batches that hold an exact share of each class, for ``model.fit`` and as a plain sequence.

    ``sequence[step]`` is a pure function of the arguments, of :attr:`epoch` and of the step. One
    pass of ``fit`` is one epoch; give validation a Sequence of its own, because ``evaluate`` and
    ``predict`` end passes too. To shorten an epoch use ``steps``, not ``steps_per_epoch`` of
    ``fit``, which leaves batches over for the next one.

    x is ``(batch, *spatial, channel)``. y is the mask ``(batch, *spatial, channel)`` in its
    stored dtype, the vector ``(batch, k)``, or the class one-hot ``(batch, classes)``.

    Attributes:
        epoch: Number of the epoch that ``sequence[step]`` gives now. It goes up by one whenever
            Keras ends a pass; set it to go on with a later epoch.
    """

    def __init__(
        self,
        cache: Cache | str | Path,
        batch_size: int,
        *,
        weights: Sequence[float] | dict[str, float] | None = None,
        steps: int | Literal["longest", "shortest", "total"] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        replacement: bool = False,
        mix: int | Literal["all"] = 4,
        patch: tuple[int, ...] | None = None,
        foreground: Foreground | float | None = None,
        transform: Transform | Function | None = None,
        batch_transform: BatchTransform | None = None,
        collate_fn: Collate | None = None,
        dtype: str = "float32",
        input_name: str | None = None,
        workers: int | None = None,
        memory: int | str = MEMORY,
        check: Check = "first",
        on_damage: OnDamage = "raise",
        damage_limit: int = DAMAGE_LIMIT,
    ) -> None:
        """Plan the batches; voxels are read when they are asked for.

        Args:
            cache: An open cache, or its path.
            batch_size: Samples in a batch.
            weights: Share of each class, relative, in the order of ``cache.classes`` or by name;
                equal if None. 0 leaves a class out.
            steps: Batches in an epoch: a number, or enough to show every case of the class that
                needs most of them ("longest", as None) or fewest ("shortest"), or as many samples
                as there are cases ("total").
            seed: Everything that is drawn follows from it.
            shuffle: False gives the stored order, the same in every epoch.
            replacement: Draw each case independently, instead of each once before any twice.
            mix: Chunks whose cases are shuffled together: 1 is fastest, "all" a full shuffle;
                :attr:`mixing` says how near it comes.
            patch: Spatial shape of a box of each case, drawn anew each time, in voxels; whole cases
                if None. It lies in the real voxels, each place as likely; it is padded where it
                is longer than they are. :meth:`patches` says where.
            foreground: Share of the samples of a batch, 0 to 1, whose patch holds a voxel of the
                mask's foreground; a :class:`niicache.Foreground` says more. For caches that were
                built with ``--patch``.
            transform: On each sample, in the thread that prepares the batch. One of
                :mod:`niicache.augment`, which resamples cases on their way into the batch and may
                change their shape; or a function ``(image, label, rng) -> (image, label)``: the
                image comes in ``dtype`` and both keep their shapes; the arrays may be changed in
                place. ``rng`` belongs to this sample of this batch.
            batch_transform: On each batch after that: ``augment.MixUp`` or ``augment.CutMix``.
            collate_fn: ``(images, labels) -> batch`` as Keras shall get it; ``(x, y)`` if None.
            dtype: Of the images. One-hot labels have it too, vectors if it is float32 or float64;
                masks keep theirs.
            input_name: Name of the model's input: x becomes ``{input_name: x}``.
            workers: Threads that prepare batches; the CPUs of this process, at most 4, if None.
                Keras is told at least 2.
            memory: Decoded chunks that may be kept, in bytes or as ``"4GiB"``. One budget for all
                Sequences of the process, the largest that any of them allows.
            check: Uncompressed chunks are proven when they are "first" read and taken from the
                page cache after, or "always". Compressed ones are always proven.
            on_damage: "raise" an error, or "skip" damaged cases: others of the class take their
                place, and :attr:`damaged` lists them.
            damage_limit: Damaged cases that are skipped, before an error is raised all the same.

        Raises:
            OptionError: An argument is outside what is allowed.
            CacheError: The cache cannot be opened.
        """
        check_flag("shuffle", shuffle)
        check_flag("replacement", replacement)
        check_one_of("on_damage", on_damage, ("raise", "skip"))
        check_count("damage_limit", damage_limit, 0)
        super().__init__(
            cache,
            transform=transform,
            collate_fn=collate_fn,
            dtype=dtype,
            input_name=input_name,
            workers=workers,
            memory=memory,
            check=check,
            patches=partial(patch_sampler, patch=patch, foreground=foreground, size=batch_size),
        )
        self._sampler = Sampler(
            class_rows(self.cache),
            batch_size,
            weights=class_weights(weights, self.cache.classes),
            steps=steps,
            seed=seed,
            shuffle=shuffle,
            replacement=replacement,
            mix=mix,
        )
        self._seed = seed
        recipe, shape = self.cache.manifest.recipe, self._out_shape
        check_batch_transform(batch_transform, shape, recipe, self._dtype)
        self._batch_transform = batch_transform
        self._losses = None if on_damage == "raise" else Losses(damage_limit)
        self._count_passes(self._sampler.steps)

    @property
    def mixing(self) -> float:
        """How near the order of cases comes to a full shuffle: 0 is a fixed order, 1 is one."""
        return sampler_score(self._sampler)

    @property
    def damaged(self) -> tuple[tuple[str, str], ...]:
        """(class, case) of each case that was met damaged and skipped, sorted."""
        return () if self._losses is None else self._losses.cases

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._sampler.steps

    def _samples(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        draw = self._sampler.draw(epoch, step)
        spares = self._spares()
        load = self._loader.load if spares is None else partial(spares.load, epoch=epoch, step=step)
        key = (self._seed, epoch, step)
        images, labels = self._transformed(draw, load, key)
        if self._batch_transform is not None:
            return apply_to_batch(self._batch_transform, images, labels, key)
        return images, labels

    def cases(self, epoch: int, step: int) -> tuple[tuple[str, str], ...]:
        """Return (class, case) of each sample of a batch, in its order. Reads no voxel.

        With ``on_damage="skip"`` these are the cases that stand in, once the batch was made.

        Raises:
            IndexError: The epoch has no such batch.
        """
        return self._loader.names(self._settled(epoch, step))

    def patches(self, epoch: int, step: int) -> tuple[Patch, ...]:
        """Return where each patch of a batch lies, and where real voxels are in it.

        Reads no voxel. As :meth:`cases` where cases are damaged.

        Raises:
            OptionError: Batches are of whole cases.
            IndexError: The epoch has no such batch.
        """
        draw = self._settled(epoch, step)
        sampler = self._patch_sampler()
        boxes = sampler.boxes(draw, np.arange(len(draw.rows)), (self._seed, epoch, step))
        return tuple(map(Patch, self._loader.names(draw), boxes, sampler.valid(draw, boxes)))

    def reading(self, epoch: int, step: int) -> Reading:
        """Return how many bytes a batch of patches decodes, and how many of them it delivers.

        Raises:
            OptionError: Batches are of whole cases.
            IndexError: The epoch has no such batch.
        """
        self._patch_sampler()
        draw = self._settled(epoch, step)
        return self._loader.reading(draw, self._work((self._seed, epoch, step)))

    def _patch_sampler(self) -> PatchSampler:
        if self._patches is None:
            raise OptionError("patch: got None, expected a shape; batches are of whole cases")
        return self._patches

    def _settled(self, epoch: int, step: int) -> Draw:
        """Return the draw of a batch, others in place of cases that are known to be damaged."""
        draw = self._sampler.draw(epoch, step)
        spares = self._spares()
        return draw if spares is None else spares.settled(draw, epoch, step)

    def _stream(self) -> dict[str, Any]:
        ours = () if self._augmentation is None else self._augmentation.compose.transforms
        transforms = [*ours, *filter(None, [self._batch_transform])]
        made = describe(self.cache.manifest, self._sampler, self._dtype.name, transforms)
        return made if self._patches is None else {**made, **self._patches.describe()}

    def __repr__(self) -> str:
        return f"<niicache.BalancedSequence {str(self.cache.path)!r} {self._sampler!r}>"

    def _spares(self) -> Spares | None:
        if self._losses is None:
            return None
        return Spares(self._loader, self._losses, self._sampler.classes, self._seed)
