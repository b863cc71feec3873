"""Transforms of a Sequence: what they have to know, and whether they fit its cache."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache import augment
from niicache.augment.batch_transform import BatchTransform
from niicache.augment.compose import Compose
from niicache.augment.transform import Facts, Transform
from niicache.errors import OptionError
from niicache.normalising import scale_for
from niicache.options import check_callable, check_padding
from niicache.real import RealVoxels
from niicache.rehearsal import rehearse
from niicache.sampling import sample_generator

if TYPE_CHECKING:
    from niicache.cache import Cache
    from niicache.format.manifest import Recipe
    from niicache.normalising import Normalize
    from niicache.real import Seen
    from niicache.transform import Key


class _Luck(np.random.Generator):
    """A generator that always draws one number: by 0 all acts that has a probability."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self._number = number

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Return the number, as often as asked for."""
        return super().random(size, dtype, out) * 0 + self._number


class Augmentation:
    """A transform of single samples and what it has to know of the cases. Thread-safe.

    Attributes:
        compose: The transform.
        shape: Of the cases, ``(*spatial, channel)``.
        out_shape: Of the samples.
        padding: What stands in the end where no real voxel is; None for what came of it.
    """

    def __init__(
        self,
        transform: Transform,
        cache: Cache,
        shape: tuple[int, ...],
        dtype: np.dtype,
        padding: float | None = None,
    ) -> None:
        """Plan what comes of cases of a shape.

        Args:
            transform: Of :mod:`niicache.augment`.
            cache: The open cache.
            shape: Of the cases, ``(*spatial, channel)``.
            dtype: Of the images of a batch.
            padding: As the attribute.

        Raises:
            OptionError: The transform does not fit cases of this shape.
            DamageError: What it asks about the cases cannot be read.
        """
        self.compose = Compose(transform)
        self.shape = shape
        self.padding = padding
        self._real = None if padding is None else RealVoxels(cache)
        self.out_shape = self.compose.out_shape(shape)
        views, names = tuple(cache), sorted(self.compose.asks)
        lacking = [name for name in names if name not in cache.columns]
        if lacking:
            raise OptionError(
                f"transform: got one that asks for {', '.join(lacking)} of each case, which "
                f"{cache.path} does not hold, because an older niicache began it; build it anew, "
                "into another folder"
            )
        self._columns = {name: [view.stored_column(name) for view in views] for name in names}
        self._first = next((k, int(one.occupied[0])) for k, one in enumerate(views) if len(one))
        self.drawn_by(0.0)  # so that what fits no case is said at once, however seldom it acts
        self._recipe, self._dtype, self._rehearsed = cache.manifest.recipe, dtype, False

    def rehearse(self) -> None:
        """Compile what batches may need, once; see :mod:`niicache.rehearsal`."""
        if not self._rehearsed:
            rehearse(self.compose, self.shape, self._recipe, self._dtype, self.drawn_by)
            self._rehearsed = True

    def drawn_by(self, luck: float) -> tuple[Any, ...]:
        """Return parameters for the first case.

        Args:
            luck: What every random number from 0 to 1 is: by 0 all acts that has a probability.
        """
        return self.compose.draw(_Luck(luck), self.shape, self.facts(*self._first))

    def facts(self, number: int, row: int) -> Facts | None:
        """Return what the transform asks about the case in a row of a class."""
        if not self._columns:
            return None
        columns = self._columns.items()
        return Facts(**{name: tuple(column[number][row].tolist()) for name, column in columns})

    def pad(self, image: np.ndarray, seen: Seen) -> None:
        """Write padding into an image ``(*spatial, channel)``, if it was told what it is."""
        if self._real is not None:
            image[~self._real.of(seen)] = self.padding


def apply_to_batch(
    transform: BatchTransform,
    images: np.ndarray,
    labels: np.ndarray,
    *weights: np.ndarray,
    key: Key,
) -> tuple[np.ndarray, ...]:
    """Transform a whole batch, with a generator that none of its samples has.

    Args:
        transform: What to do.
        images: ``(batch, *spatial, channel)``.
        labels: ``(batch, ...)``.
        weights: ``(batch, *spatial)``, or none. They go where the voxels of masks go.
        key: Of the batch.
    """

    def done(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return transform(images, labels, sample_generator(*key, len(images)))

    moved = (done(images[..., :0], one[..., None])[1][..., 0] for one in weights)
    return (*done(images, labels), *moved)


def check_batch_transform(
    transform: object, image: tuple[int, ...], recipe: Recipe, dtype: np.dtype
) -> None:
    """Refuse what is no transform of whole batches, or of no batches such as these.

    Args:
        transform: What was given.
        image: Shape of a sample, ``(*spatial, channel)``.
        recipe: Of the cache.
        dtype: Of the images.

    Raises:
        OptionError: It is neither that nor None.
    """
    if transform is None:
        return
    if not isinstance(transform, BatchTransform):
        raise OptionError(
            f"batch_transform: got {transform!r}, expected augment.MixUp() or augment.CutMix(); "
            "transforms of samples go to transform, functions of batches to collate_fn"
        )
    ones = (1,) * (len(image) - 1)
    masks = recipe.label is not None and recipe.label_kind == "mask"
    labels = np.zeros((2, *ones, 1), np.uint8) if masks else np.zeros((2, 1), np.float32)
    # On a batch of next to nothing, which it refuses for what it would refuse any.
    transform(np.zeros((2, *ones, image[-1]), dtype), labels, _Luck(0.0))


def augmentation_for(
    transform: object,
    cache: Cache,
    dtype: np.dtype,
    patch: tuple[int, ...] | None = None,
    normalize: Normalize | None = None,
    padding: float | None = None,
) -> Augmentation | None:
    """Return how a Sequence augments; None where whole cases go to a function, or stay as they are.

    Args:
        transform: What was given.
        cache: The open cache.
        dtype: Of the images.
        patch: Spatial shape of the patches; None for whole cases.
        normalize: Which scale comes first.
        padding: What stands in the end where no real voxel is; None for what came of it.

    Raises:
        OptionError: It is no transform, or fits neither the cases nor the dtype of the images.
    """
    _check_kind(transform)
    check_padding(padding, dtype)
    scale = scale_for(normalize, dtype)
    if scale is not None:
        transform = Compose(scale, *([transform] if isinstance(transform, Transform) else []))
    if not isinstance(transform, Transform) and patch is None and padding is None:
        return None
    recipe = cache.manifest.recipe
    shape = recipe.image.shape if patch is None else (*patch, recipe.image.shape[-1])
    if not isinstance(transform, Transform):
        return Augmentation(Compose(), cache, shape, dtype, padding)
    if dtype.name not in {"float32", "float64"}:
        raise OptionError(
            f"dtype: got {dtype.name!r} with a transform of niicache.augment, expected 'float32' "
            "or 'float64'; convert the whole batch in collate_fn"
        )
    made = Augmentation(transform, cache, shape, dtype, padding)
    if recipe.label is not None and recipe.label_kind == "mask":
        made.compose.check_mask(np.dtype(recipe.label.dtype))
    return made


def _check_kind(transform: object) -> None:
    if transform is None or isinstance(transform, Transform):
        return
    if isinstance(transform, BatchTransform):
        advice = "give it as batch_transform"
    elif isinstance(transform, list | tuple):
        advice = "put them together: augment.Compose(*transforms)"
    elif isinstance(transform, type):
        advice = f"make one: {transform.__name__}(...)"
    elif isinstance(transform, FunctionType) and transform.__module__.startswith(augment.__name__):
        advice = f"call it: augment.{transform.__name__}()"
    elif not callable(transform):
        advice = "see help(niicache.augment)"
    else:
        check_callable("transform", transform, "image", "label", "rng")
        return
    raise OptionError(
        f"transform: got {transform!r}, expected a transform of niicache.augment or a function "
        f"(image, label, rng) -> (image, label); {advice}"
    )
