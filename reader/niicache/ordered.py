"""Batches for evaluation and prediction: every case once, as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from niicache.loader import class_rows
from niicache.options import check_count, check_one_of
from niicache.ordering import Ordering
from niicache.selection import Selection
from niicache.sequence import MEMORY, CacheSequence
from niicache.weighting import voxel_weights

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from niicache.augment import Transform
    from niicache.batch import Check
    from niicache.cache import Cache
    from niicache.normalising import Normalize
    from niicache.selection import Where
    from niicache.sequence import Collate
    from niicache.transform import Function
    from niicache.weighting import SampleWeight


class OrderedSequence(CacheSequence):
    """Every case of a cache once, in natural order, for ``evaluate`` and ``predict``.

    Class after class, the cases of each by name: ``zip(sequence.all_cases,
    model.predict(sequence))`` puts names to predictions. The last batch may be short. Nothing is
    shuffled or balanced, and every pass is the same.

    x and y are as those of :class:`niicache.BalancedSequence`.
    """

    def __init__(
        self,
        cache: Cache | str | Path,
        batch_size: int,
        *,
        split: str | None = None,
        fold: tuple[int, int] | None = None,
        where: Where | None = None,
        order: Literal["name", "stored"] = "name",
        normalize: Normalize | None = None,
        padding: float | None = None,
        transform: Transform | Function | None = None,
        sample_weight: SampleWeight | None = None,
        collate_fn: Collate | None = None,
        dtype: str = "float32",
        input_name: str | None = None,
        workers: int | None = None,
        memory: int | str = MEMORY,
        check: Check = "first",
    ) -> None:
        """Put the cases in order; voxels are read when they are asked for.

        Args:
            cache: An open cache, or its path.
            batch_size: Samples in a batch; the last one has what is left.
            split: As that of :class:`niicache.BalancedSequence`, as ``fold`` and ``where``.
            fold: With ``split="val"`` its k-th fold, with "train" the others.
            where: Columns to what is asked of them.
            order: Of the cases of a class: by "name", or as "stored", which decodes each chunk
                once even where a class is larger than ``memory``. :meth:`cases` has the names.
            normalize: As that of :class:`niicache.BalancedSequence`.
            padding: Likewise: what images hold where no real voxel lies.
            transform: As that of :class:`niicache.BalancedSequence`, for what evaluation shares
                with training: scales of intensity, crops. It draws the same in every pass.
            sample_weight: As that of :class:`niicache.BalancedSequence`; to weigh as in training
                give ``train.label_weights``.
            collate_fn: ``(images, labels) -> batch`` as Keras shall get it; ``(x, y)`` if None.
                It gets the weights too, if there are.
            dtype: Of the images. One-hot labels have it too, vectors if it is float32 or float64;
                masks keep theirs.
            input_name: Name of the model's input: x becomes ``{input_name: x}``.
            workers: Threads that prepare batches; the CPUs of this process, at most 4, if None.
            memory: Decoded chunks that may be kept, in bytes or as ``"4GiB"``. One budget for all
                Sequences of the process, the largest that any of them allows.
            check: Uncompressed chunks are proven when they are "first" read and taken from the
                page cache after, or "always". Compressed ones are always proven.

        Raises:
            OptionError: An argument is outside what is allowed.
            CacheError: The cache cannot be opened.
        """
        check_count("batch_size", batch_size, 1)
        check_one_of("order", order, ("name", "stored"))
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
        )
        self._order = order
        selection = Selection(split=split, fold=fold, where=where)
        rows = class_rows(self.cache, by_name=order == "name", keep=selection.keep(self.cache))
        selection.check_filled(rows)
        sizes = [len(one.rows) for one in rows]
        self._weights = voxel_weights(self.cache, sample_weight, rows, sizes)
        self._ordering = Ordering(rows, batch_size)

    @property
    def all_cases(self) -> tuple[tuple[str, str], ...]:
        """(class, case) of every sample of a pass, in its order: those of predictions."""
        return tuple(case for step in range(len(self)) for case in self.cases(step))

    def __len__(self) -> int:
        """Batches in a pass."""
        return self._ordering.steps

    def _samples(self, epoch: int, step: int) -> tuple[np.ndarray, ...]:
        del epoch  # every pass is the same
        return self._transformed(self._ordering.draw(step), self._loader.load, (0, 0, step))

    def cases(self, step: int) -> tuple[tuple[str, str], ...]:
        """Return (class, case) of each sample of a batch, in its order. Reads no voxel.

        Raises:
            IndexError: There is no such batch.
        """
        return self._loader.names(self._ordering.draw(step))

    def __repr__(self) -> str:
        return (
            f"<niicache.OrderedSequence {str(self.cache.path)!r} {len(self)} batches of "
            f"{self._ordering.batch_size}, order {self._order!r}>"
        )
