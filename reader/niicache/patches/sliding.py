"""A whole case predicted patch by patch: they overlap, and what they say is blended."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from niicache.augment.transform import Transform
from niicache.augmentation import augmentation_for
from niicache.cache import Cache, open_cache
from niicache.errors import OptionError
from niicache.format.geometry import Box
from niicache.loader import Loader
from niicache.options import byte_count, check_count, image_dtype
from niicache.patches.blending import Blend, check_overlap, starts
from niicache.patches.options import patch_shape
from niicache.patches.work import PatchWork
from niicache.sampling import Draw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from niicache.augmentation import Augmentation
    from niicache.format.geometry import Shape
    from niicache.normalising import Normalize
    from niicache.transform import Key

Predict = Callable[[np.ndarray], "np.ndarray"]
"""``(n, *patch, channel)`` to ``(n, *patch, k)``, such as ``model.predict_on_batch``."""

_KEY: Final = (0, 0, 0)
"""Nothing is drawn twice: a transform by chance acts alike on every patch of a place."""


class _Windows(NamedTuple):
    """What :class:`PatchWork` asks for boxes, where they are given and not drawn."""

    shape: Shape
    grid: Shape
    starts: Sequence[Shape]

    def boxes(self, draw: Draw, slots: np.ndarray, key: Key) -> list[Box]:
        """Return the boxes."""
        del draw, slots, key
        return [
            Box(start, tuple(a + n for a, n in zip(start, self.shape, strict=True)))
            for start in self.starts
        ]


def sliding_window(
    cache: Cache | str | Path,
    case: tuple[str, str],
    predict: Predict,
    *,
    patch: tuple[int, ...] | int,
    overlap: float = 0.5,
    batch_size: int = 1,
    normalize: Normalize | None = None,
    padding: float | None = None,
    transform: Transform | None = None,
    dtype: str = "float32",
    memory: int | str = 0,
) -> np.ndarray:
    """Predict a whole case by patches that overlap, weighted by a Gaussian about their middles.

    In memory are the result, one number a voxel beside it, and one batch. Only real voxels are
    covered; patches are padded where they are longer.

    Args:
        cache: An open cache, or its path.
        case: (class, case), as in ``cache.cases``.
        predict: Makes of patches ``(n, *patch, channel)`` what is to be blended, ``(n, *patch, k)``
            of a float dtype: scores or probabilities, not labels. The last batch may be short.
        patch: Spatial shape, in voxels.
        overlap: Share of a patch that its neighbour along an axis covers too, at least; 0 to
            below 1.
        batch_size: Patches that are predicted at once.
        normalize: The same as in training.
        padding: Likewise: what patches hold where no real voxel lies.
        transform: What else training does to intensities, always. It must not move voxels.
        dtype: Of the patches.
        memory: Decoded chunks that are kept, in bytes or as ``"1GiB"``; a chunk is decoded for
            each batch that needs it if they do not fit.

    Returns:
        ``(*spatial, k)`` float32, on the padded grid; 0 where no real voxel lies.

    Raises:
        OptionError: An argument is outside what is allowed, or predictions have another shape.
        DamageError: Chunks of the cache are missing or damaged.
    """
    cache = cache if isinstance(cache, Cache) else open_cache(cache)
    recipe = cache.manifest.recipe
    shape = patch_shape(patch, recipe.spatial_dims)
    if not callable(predict):
        raise OptionError(f"predict: got {predict!r}, expected a function of a batch of patches")
    check_count("batch_size", batch_size, 1)
    check_overlap(overlap)
    kind = image_dtype(dtype, stored=recipe.image.dtype)
    augmentation = _intensities(transform, (normalize, padding), cache, kind, shape)
    number, row = _find(cache, case)
    view = list(cache)[number]
    start, stop = (view.stored_column(f"box_{end}")[row].tolist() for end in ("start", "stop"))
    grid = recipe.image.shape[:-1]
    blend = Blend(grid, shape)
    loader = Loader(cache, dtype=kind, memory=byte_count("memory", memory), check="first")
    places = itertools.product(*map(starts, start, stop, shape, itertools.repeat(overlap)))
    try:
        while some := tuple(itertools.islice(places, batch_size)):
            # All are patches of one case.
            same = np.full(len(some), row), np.full(len(some), number)
            draw = Draw(rows=same[0], classes=same[1], again=np.ones(len(some), np.int64))
            work = PatchWork(augmentation, _Windows(shape, grid, some), _KEY)
            blend.add(some, predict(loader.load_images(draw, work)))
    finally:
        loader.close()
    return blend.result(Box(tuple(start), tuple(stop)))


def _find(cache: Cache, case: tuple[str, str]) -> tuple[int, int]:
    """Return the number of the class and the row of a case.

    Raises:
        OptionError: There is no such case.
    """
    if not isinstance(case, tuple) or len(case) != len(("class", "case")):
        raise OptionError(f"case: got {case!r}, expected (class, case), as in cache.cases")
    view = cache[case[0]]
    if case[1] not in view:
        raise OptionError(f"case: class {case[0]!r} has no case {case[1]!r}; see cache.cases")
    return view.number, int(view.rows[view.cases.index(case[1])])


def _intensities(
    transform: Transform | None,
    also: tuple[Normalize | None, float | None],
    cache: Cache,
    dtype: np.dtype,
    patch: Shape,
) -> Augmentation:
    """Return what is done to patches, ``normalize`` and ``padding`` too.

    Raises:
        OptionError: It is no transform of :mod:`niicache.augment`, or it moves voxels.
    """
    function = callable(transform) and not isinstance(transform, type | Transform)
    made = None if function else augmentation_for(transform, cache, dtype, patch, *also)
    if made is None or made.compose.moves:
        raise OptionError(
            f"transform: got {transform!r}, expected one of niicache.augment that moves no voxel, "
            "such as augment.ZScore(); what was moved cannot be put back"
        )
    return made
