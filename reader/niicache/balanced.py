"""Training batches: an exact share of each class in every one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from niicache.augmentation import apply_to_batch, check_batch_transform
from niicache.drawn import DrawnSequence
from niicache.identity import describe
from niicache.loader import class_rows
from niicache.losses import Losses
from niicache.options import (
    check_count,
    check_flag,
    check_one_of,
    class_weights,
)
from niicache.patches.options import patch_sampler
from niicache.sampling import Sampler
from niicache.selection import Selection
from niicache.sequence import MEMORY
from niicache.weighting import voxel_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from niicache.augment import BatchTransform, Transform
    from niicache.batch import Check
    from niicache.cache import Cache
    from niicache.normalising import Normalize
    from niicache.patches.foreground import Foreground
    from niicache.selection import Where
    from niicache.sequence import Collate
    from niicache.transform import Function
    from niicache.weighting import SampleWeight

OnDamage = Literal["raise", "skip"]

DAMAGE_LIMIT = 100


class BalancedSequence(DrawnSequence):
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
        split: str | None = None,
        fold: tuple[int, int] | None = None,
        where: Where | None = None,
        weights: Sequence[float] | dict[str, float] | None = None,
        steps: int | Literal["longest", "shortest", "total"] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        replacement: bool = False,
        mix: int | Literal["all"] = 4,
        patch: tuple[int, ...] | int | None = None,
        foreground: Foreground | float | None = None,
        normalize: Normalize | None = None,
        padding: float | None = None,
        transform: Transform | Function | None = None,
        batch_transform: BatchTransform | None = None,
        sample_weight: SampleWeight | None = None,
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
            split: Draw from a split that ``niicache build --split`` named, such as "train".
            fold: (k, n), beside ``split="train"`` or ``"val"``: the k-th of n folds, from 0, is
                "val" and the others are "train". Folds are made of the splits "train" and "val",
                or of all cases of a cache without splits.
            where: Draw from cases whose columns are as asked: ``{"group": ["a", "b"], "spacing":
                lambda mm: max(mm) < 2}``. A function gets the value, a tuple where it is several;
                a list or a set holds those that are allowed; anything else is the only one.
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
            normalize: Scale of the images, before ``transform`` and per channel: "zscore" or
                "minmax" by what the cache knows of each case; ("window", low, high) in the units
                of the voxels, or ("percentile", 0.5, 99.5) of each case, cut and scaled to 0 to
                1; ("zscore", "nonzero") goes by the voxels that are not 0. Padding does not count,
                and is scaled along unless ``padding`` says more.
            padding: What images hold in the end where no real voxel lies: in the padding, and in
                what a transform fills with a constant. None for what came of it.
            transform: On each sample, in the thread that prepares the batch. One of
                :mod:`niicache.augment`, which resamples cases on their way into the batch and may
                change their shape; or a function ``(image, label, rng) -> (image, label)``: the
                image comes in ``dtype`` and both keep their shapes; the arrays may be changed in
                place. ``rng`` belongs to this sample of this batch.
            batch_transform: On each batch after that: ``augment.MixUp`` or ``augment.CutMix``.
            sample_weight: Weights ``(batch, *spatial)`` of the voxels of masks, delivered third:
                "balanced", every label counts for as much and a real voxel for 1 on average;
                "valid", 1; or your own, ``{label: weight}``. Padding, and what a transform
                fills, weighs 0. A function of your own may not move masks beside it.
            collate_fn: ``(images, labels) -> batch`` as Keras shall get it; ``(x, y)`` if None.
                It gets the weights too, if there are.
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
            normalize=normalize,
            padding=padding,
            transform=transform,
            collate_fn=collate_fn,
            dtype=dtype,
            input_name=input_name,
            workers=workers,
            memory=memory,
            check=check,
            patches=partial(patch_sampler, patch=patch, foreground=foreground, size=batch_size),
        )
        selection = Selection(split=split, fold=fold, where=where)
        rows = class_rows(self.cache, keep=selection.keep(self.cache))
        shares = class_weights(weights, self.cache.classes)
        selection.check_filled(rows, [1] * len(rows) if shares is None else shares)
        self._sampler = Sampler(
            rows,
            batch_size,
            weights=shares,
            steps=steps,
            seed=seed,
            shuffle=shuffle,
            replacement=replacement,
            mix=mix,
        )
        exact = [float(share) for share in self._sampler.shares.exact]
        self._weights = voxel_weights(self.cache, sample_weight, rows, exact)
        self._seed = seed
        self._selected = selection.describe(rows)
        recipe, shape = self.cache.manifest.recipe, self._out_shape
        check_batch_transform(batch_transform, shape, recipe, self._dtype)
        self._batch_transform = batch_transform
        self._losses = None if on_damage == "raise" else Losses(damage_limit)
        self._count_passes(self._sampler.steps)

    def _samples(self, epoch: int, step: int) -> tuple[np.ndarray, ...]:
        draw = self._sampler.draw(epoch, step)
        spares = self._spares()
        load = self._loader.load if spares is None else partial(spares.load, epoch=epoch, step=step)
        key = (self._seed, epoch, step)
        batch = self._transformed(draw, load, key)
        if self._batch_transform is not None:
            return apply_to_batch(self._batch_transform, *batch, key=key)
        return batch

    def _stream(self) -> dict[str, Any]:
        ours = () if self._augmentation is None else self._augmentation.compose.transforms
        transforms = [*ours, *filter(None, [self._batch_transform])]
        made = describe(self.cache.manifest, self._sampler, self._dtype.name, transforms)
        made |= self._selected
        made |= {} if self._weights is None else self._weights.describe()
        padding = None if self._augmentation is None else self._augmentation.padding
        made |= {} if padding is None else {"padding": float(padding)}
        return made if self._patches is None else {**made, **self._patches.describe()}

    def __repr__(self) -> str:
        return f"<niicache.BalancedSequence {str(self.cache.path)!r} {self._sampler!r}>"
