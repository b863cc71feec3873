"""The Keras Sequence. The only module that imports keras."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from niicache.batch import Filler, plan_picks
from niicache.cache import Cache, open_cache
from niicache.errors import BackendError, OptionError
from niicache.format.manifest import canonical
from niicache.options import check_count, check_reach, class_weights, image_dtype
from niicache.passes import Passes, asked_to_shuffle
from niicache.sampling import ClassRows, Draw, Sampler
from niicache.transform import Transform, apply_transform

if TYPE_CHECKING:
    from pathlib import Path

try:
    import keras
except ImportError as error:
    raise BackendError(
        "niicache.BalancedSequence needs Keras with a backend, and importing it failed: "
        f"{error}. Install one: pip install 'niicache[tensorflow]' (or jax, or torch, and set "
        "KERAS_BACKEND)"
    ) from error

Collate = Callable[[np.ndarray, np.ndarray], Any]

MEMORY = 256 * 1024 * 1024


class BalancedSequence(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Batches that hold an exact share of each class, for ``model.fit`` and as a plain sequence.

    ``sequence[step]`` is a pure function of the arguments, of :attr:`epoch` and of the step: it
    may be called in any order, from any thread, again and again. One pass of ``fit`` is one
    epoch; give validation a Sequence of its own, because ``evaluate`` and ``predict`` end passes
    too. To shorten an epoch use ``steps``, not ``steps_per_epoch`` of ``fit``, which leaves batches
    over for the next one; to go on with epoch n set :attr:`epoch` beside ``initial_epoch``.

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
        transform: Transform | None = None,
        collate_fn: Collate | None = None,
        dtype: str = "float32",
        input_name: str | None = None,
        workers: int | None = None,
        mix: int | Literal["all"] = 4,
        memory: int = MEMORY,
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
            transform: ``(image, label, rng) -> (image, label)`` on each sample, in the worker
                threads. The image comes in ``dtype`` and both keep their shapes; the arrays may be
                changed in place. ``rng`` belongs to this sample of this batch.
            collate_fn: ``(images, labels) -> batch`` as Keras shall get it; ``(x, y)`` if None.
            dtype: Of the images. One-hot labels have it too, vectors if it is float32 or float64;
                masks keep theirs.
            input_name: Name of the model's input: x becomes ``{input_name: x}``.
            workers: Threads that prepare batches; the CPUs of this process, at most 4, if None.
            mix: Chunks whose cases are shuffled together: 1 is fastest, "all" a full shuffle.
            memory: Bytes of decoded chunks to keep between batches.

        Raises:
            OptionError: An argument is outside what is allowed.
            CacheError: The cache cannot be opened.
        """
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        workers = min(4, cpus or 1) if workers is None else workers
        check_count("workers", workers, 1)
        check_count("memory", memory, 0)
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=2 * workers)
        self.cache = cache if isinstance(cache, Cache) else open_cache(cache)
        self._dtype = image_dtype(dtype, stored=self.cache.manifest.recipe.image.dtype)
        check_reach(self._dtype, self.cache)
        self._sampler = Sampler(
            [
                ClassRows(name=view.name, rows=np.sort(view.rows), chunk=view.image.layout.chunk[0])
                for view in self.cache
            ],
            batch_size,
            weights=class_weights(weights, self.cache.classes),
            steps=steps,
            seed=seed,
            shuffle=shuffle,
            replacement=replacement,
            mix=mix,
        )
        for view in self.cache:
            view.label  # noqa: B018 - its checksums are read now, not in the first batch
        self._seed = seed
        self._batch_size = batch_size
        if collate_fn is not None and input_name is not None:
            raise OptionError(
                f"input_name: got {input_name!r} beside collate_fn, expected one of the two; "
                "name the input in what collate_fn returns"
            )
        self._transform = transform
        self._collate = collate_fn
        self._input_name = input_name
        self._threads = (workers, memory)
        self._filler = Filler(workers=workers, memory=memory)
        self._passes = Passes(self._sampler.steps)
        self._resumed = False

    @property
    def epoch(self) -> int:
        """Number of the epoch that ``sequence[step]`` gives now, from 0."""
        return self._passes.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        check_count("epoch", value, 0)
        self._passes.open(value)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._sampler.steps

    @property
    def num_batches(self) -> Any:
        """Keras: batches in a pass. After :meth:`resume` an array, see ``Passes.length``."""
        return self._passes.length if self._resumed else len(self)

    def __getitem__(self, step: int) -> Any:
        """Return batch ``step`` of the current epoch.

        Raises:
            IndexError: The epoch has no such batch.
            DamageError: A chunk of the cache is missing or damaged.
        """
        return self.batch(*self._passes.at(step))

    def batch(self, epoch: int, step: int) -> Any:
        """Return batch ``step`` of any epoch: ``(x, y)``, or what ``collate_fn`` makes of them.

        Raises:
            IndexError: The epoch has no such batch.
            DamageError: A chunk of the cache is missing or damaged.
        """
        draw = self._sampler.draw(epoch, step)
        images, labels = self._read(draw)
        if self._transform is not None:
            key = (self._seed, epoch, step)
            apply_transform(self._transform, images, labels, key=key, filler=self._filler)
        if self._collate is not None:
            return self._collate(images, labels)
        return ({self._input_name: images} if self._input_name else images), labels

    def cases(self, epoch: int, step: int) -> tuple[tuple[str, str], ...]:
        """Return (class, case) of each sample of a batch, in its order. Reads no voxel.

        Raises:
            IndexError: The epoch has no such batch.
        """
        draw = self._sampler.draw(epoch, step)
        views = tuple(self.cache)
        pairs = zip(draw.classes.tolist(), draw.rows.tolist(), strict=True)
        return tuple((views[k].name, views[k].slot_names[row]) for k, row in pairs)

    def resume(self, run: str | Path) -> keras.callbacks.Callback:
        """Return a callback with which a restarted ``fit`` goes on with the batch that is next.

        Where training stands is told by the step that the optimizer of the restored model has
        counted, so weights and position cannot be out of step. Beside it give ``fit`` what saves
        and restores the model: ``BackupAndRestore``, in the list before this one, or
        ``ModelCheckpoint`` and what you load yourself before ``fit``, with its optimizer. Epochs
        have the numbers that Keras gives them; leave out ``initial_epoch`` in a restart. ``fit``
        must be given ``shuffle=False``, and a validation Sequence should not shuffle.

        The logs of the epoch that was broken off are means of the batches after the restart. A
        checkpoint after the last batch of an epoch goes on with the next one. Random streams of
        layers, which Keras does not save, go on too, where each batch draws equally often. A
        transform and a collate_fn are the only parts of the stream that are not compared.

        Args:
            run: Folder that keeps the record of this run, made if there is none. A new run needs
                a new one.

        Raises:
            OptionError: The run was begun with other options or another cache; the message names
                each difference.
        """
        from niicache.resume import Resume

        self._resumed = True
        return Resume(run, self._passes, self._stream())

    def on_epoch_begin(self) -> None:
        """Keras: a pass starts. With several workers its first batches are already under way."""
        self._passes.begin()

    def on_epoch_end(self) -> None:
        """Keras: a pass ended. Also called once before the first, which does not count."""
        self._passes.end(shuffled=asked_to_shuffle(self))

    def close(self) -> None:
        """End the threads and forget decoded chunks. The Sequence can still be used after."""
        self._filler.close()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_filler"]
        state["cache"] = (self.cache.path, self.cache.manifest)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Not opened anew: the rows that the sampler knows are those of this generation.
        self.cache = Cache(*state["cache"])
        workers, memory = self._threads
        self._filler = Filler(workers=workers, memory=memory)

    def __repr__(self) -> str:
        return f"<niicache.BalancedSequence {str(self.cache.path)!r} {self._sampler!r}>"

    def _stream(self) -> dict[str, Any]:
        """Return everything that the batches depend on, by name; no code that a user wrote."""
        sampler = self._sampler
        names = ("batch_size", "steps", "seed", "shuffle", "replacement", "mix")
        return {
            "cache": hashlib.sha256(canonical(self.cache.manifest.to_json())).hexdigest(),
            "classes": self.cache.classes,
            "weights": [float(weight) for weight in sampler.weights],
            **{name: getattr(sampler, name) for name in names},
            "dtype": self._dtype.name,
        }

    def _read(self, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        recipe = self.cache.manifest.recipe
        images = np.empty((self._batch_size, *recipe.image.shape), self._dtype)
        readers = [view.image for view in self.cache]
        picks = plan_picks(readers, draw.classes, draw.rows, images)
        if recipe.label is None:
            labels = np.eye(len(self.cache), dtype=self._dtype)[draw.classes]
        else:
            # Vectors are numbers to be learned: 2049 is not one in half precision.
            keeps = recipe.label_kind == "mask" or self._dtype.name not in {"float32", "float64"}
            dtype = recipe.label.dtype if keeps else self._dtype
            labels = np.empty((self._batch_size, *recipe.label.shape), dtype)
            masks = [view.label for view in self.cache if view.label is not None]
            picks += plan_picks(masks, draw.classes, draw.rows, labels)
        self._filler.fill(picks)
        return images, labels
