"""What every Keras Sequence of a cache has. The module that brings Keras in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.ahead import ahead, usual_threads
from niicache.augment.transform import Transform
from niicache.augmentation import augmentation_for
from niicache.cache import Cache, open_cache
from niicache.errors import BackendError
from niicache.loader import Loader
from niicache.options import (
    byte_count,
    check_collate,
    check_count,
    check_one_of,
    check_reach,
    image_dtype,
)
from niicache.patches.work import PatchWork
from niicache.transform import apply_transform
from niicache.unmoved import left_in_place, may_move
from niicache.work import PlainWork, SampleWork

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.batch import Check
    from niicache.normalising import Normalize
    from niicache.patches.sampler import PatchSampler
    from niicache.sampling import Draw
    from niicache.transform import Function, Key
    from niicache.weighting import VoxelWeights

try:
    import keras
except ImportError as error:
    raise BackendError(
        "niicache.BalancedSequence needs Keras with a backend, and importing it failed: "
        f"{error}. Install one: pip install 'niicache[tensorflow]' (or jax, or torch, and set "
        "KERAS_BACKEND)"
    ) from error

Collate = Callable[..., Any]
Load = Callable[..., tuple[np.ndarray, np.ndarray]]  # Loader.load, or that of Spares

MEMORY = 256 * 1024 * 1024


class CacheSequence(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Batches from a cache, for ``model.fit`` and as a plain sequence.

    A batch is made by the thread that asks for it; Keras asks with ``workers`` threads, and so
    does ``for x, y in sequence``. It is a pure function of its number: it may be asked for in any
    order, from any thread, again and again.

    Attributes:
        cache: The open cache.
    """

    _weights: VoxelWeights | None

    def __init__(
        self,
        cache: Cache | str | Path,
        *,
        normalize: Normalize | None,
        padding: float | None,
        transform: Transform | Function | None,
        collate_fn: Collate | None,
        dtype: str,
        input_name: str | None,
        workers: int | None,
        memory: int | str,
        check: Check,
        patches: Callable[[Cache], PatchSampler | None] = lambda _: None,
    ) -> None:
        workers = usual_threads() if workers is None else workers
        check_count("workers", workers, 1)
        check_one_of("check", check, ("first", "always"))
        check_collate(collate_fn, input_name)
        self._kept: tuple[int, Check] = byte_count("memory", memory), check
        # With one worker Keras reads in a thread of TensorFlow's, which hangs when Python exits.
        kept = max(2, workers)
        super().__init__(workers=kept, use_multiprocessing=False, max_queue_size=2 * kept)
        self._threads = workers
        self.cache = cache if isinstance(cache, Cache) else open_cache(cache)
        self._dtype = image_dtype(dtype, stored=self.cache.manifest.recipe.image.dtype)
        check_reach(self._dtype, self.cache)
        self._collate = collate_fn
        self._input_name = input_name
        self._function = None if isinstance(transform, Transform) else transform
        self._patches = patches(self.cache)
        shape = None if self._patches is None else self._patches.shape
        self._augmentation = augmentation_for(
            transform, self.cache, self._dtype, shape, normalize, padding
        )
        self._loader = self._load_with()

    @property
    def epoch(self) -> int:
        """Number of the epoch that ``sequence[step]`` gives now."""
        return 0

    @abstractmethod
    def __len__(self) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def _samples(self, epoch: int, step: int) -> tuple[np.ndarray, ...]:
        """Return images, labels and perhaps weights of a batch of any epoch, transformed."""

    def batch(self, epoch: int, step: int) -> Any:
        """Return ``(x, y)`` and perhaps weights, or what ``collate_fn`` makes of them."""
        images, *others = self._samples(epoch, step)
        if self._collate is not None:
            return self._collate(images, *others)
        return ({self._input_name: images} if self._input_name else images), *others

    def peek(
        self, *, step: int = 0, epoch: int | None = None, columns: int | None = None
    ) -> np.ndarray:
        """Return a picture of a batch as the model gets it, before ``collate_fn``.

        A tile a sample, all on one scale of grey, with the outlines of masks; of a volume one
        plane. ``matplotlib.pyplot.imshow(sequence.peek())`` shows it.

        Args:
            step: Of the batch.
            epoch: Of the batch; the current one if None.
            columns: Tiles side by side; as many as make the picture about square if None.

        Returns:
            (height, width, 3) uint8, red, green and blue.

        Raises:
            OptionError: An argument is outside what is allowed.
            IndexError: The epoch has no such batch.
            DamageError: Chunks of the cache are missing or damaged.
        """
        from niicache.montage import montage

        epoch = self.epoch if epoch is None else epoch
        for name, value, least in (("step", step, 0), ("epoch", epoch, 0), ("columns", columns, 1)):
            if value is not None:
                check_count(name, value, least)
        images, labels, *_ = self._samples(epoch, step)
        return montage(images, labels, columns=columns)

    def __getitem__(self, step: int) -> Any:
        """Return batch ``step`` of the current epoch.

        Raises:
            IndexError: The epoch has no such batch.
            DamageError: A chunk of the cache is missing or damaged.
        """
        return self.batch(*self._place(step))

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of the current epoch, prepared ahead by ``workers`` threads."""
        return self.batches()

    def batches(self, epoch: int | None = None, *, epochs: int = 1) -> Iterator[Any]:
        """Yield the batches of whole epochs in order, prepared ahead by ``workers`` threads.

        For loops without Keras. Does not change :attr:`epoch`.

        Args:
            epoch: The first epoch; the current one if None.
            epochs: How many.

        Raises:
            DamageError: A chunk of the cache is missing or damaged.
        """
        first, steps = self.epoch if epoch is None else epoch, len(self)
        check_count("epoch", first, 0)
        check_count("epochs", epochs, 0)
        places = ((e, s) for e in range(first, first + epochs) for s in range(steps))
        return ahead(lambda place: self.batch(*place), places, threads=self._threads)

    def close(self) -> None:
        """Give back memory and open files. The Sequence can still be used after.

        After ``fit`` TensorFlow holds on to a Sequence for as long as the process lives; who
        trains with many caches in one process closes each when it is done.
        """
        self._loader.close()
        self.cache.close()

    @property
    def label_weights(self) -> dict[float, float]:
        """Label to the weight of its voxels; nothing without ``sample_weight``, or with "valid"."""
        return {} if self._weights is None else self._weights.table

    def _transformed(self, draw: Draw, load: Load, key: Key) -> tuple[np.ndarray, ...]:
        """Return the images and labels of a draw, transformed, and their weights if asked for."""
        work = self._work(key)
        images, labels = load(draw) if work is None else load(draw, work)
        follows = self._weights is not None or (work is not None and work.pads)
        movable = self._loader.has_masks and may_move(self._function, self._augmentation)
        with left_in_place(labels, asked=follows and movable):
            if work is not None:
                work.finish(images, labels)
            if self._function is not None:
                apply_transform(self._function, images, labels, key=key)
        if work is None:
            return images, labels
        work.pad(images)
        weights = () if self._weights is None else (self._weights.of(labels, work),)
        return images, labels, *weights

    def _work(self, key: Key) -> SampleWork | None:
        """Return what is done to the samples of a batch; None if they are whole cases as stored."""
        if self._augmentation is None:
            return None if self._weights is None else PlainWork(self._out_shape)
        if self._patches is None:
            return SampleWork(self._augmentation, key)
        return PatchWork(self._augmentation, self._patches, key)

    @property
    def _out_shape(self) -> tuple[int, ...]:
        """Shape of an image in a batch."""
        plain = self.cache.manifest.recipe.image.shape
        return plain if self._augmentation is None else self._augmentation.out_shape

    def _place(self, step: int) -> tuple[int, int]:
        """Return epoch and step of what Keras calls batch ``step``."""
        return self.epoch, step

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_loader"]
        state["cache"] = (self.cache.path, self.cache.manifest)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Not opened anew: the rows that the sampler knows are those of this generation.
        self.cache = Cache(*state["cache"])
        self._loader = self._load_with()

    def _load_with(self) -> Loader:
        memory, check = self._kept
        return Loader(self.cache, dtype=self._dtype, memory=memory, check=check)
