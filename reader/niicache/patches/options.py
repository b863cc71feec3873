"""From what the user says of patches to what draws them: checks, and columns of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import OptionError
from niicache.patches.foreground import Foreground, check_share
from niicache.patches.sampler import PatchSampler, Spots
from niicache.real import Extents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.cache import Cache
    from niicache.format.geometry import Shape


def patch_shape(patch: object, axes: int) -> Shape:
    """Return the spatial shape of a patch.

    Args:
        patch: What the user said; one number is that of every axis.
        axes: Spatial axes of the cache.

    Raises:
        OptionError: It is no shape of that many axes.
    """
    if isinstance(patch, int | np.integer) and not isinstance(patch, bool):
        patch = (patch,) * axes
    sizes = tuple(patch) if isinstance(patch, tuple | list) else ()
    sound = [isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in sizes]
    if len(sizes) != axes or not all(sound):
        example = (64, 64) if axes == len(("x", "y")) else (128, 128, 128)
        raise OptionError(
            f"patch: got {patch!r}, expected {axes} positive whole numbers of voxels, one a "
            f"spatial axis, such as {example}"
        )
    return tuple(map(int, sizes))


def patch_sampler(
    cache: Cache,
    *,
    patch: Sequence[int] | int | None,
    foreground: Foreground | float | None,
    size: int,
) -> PatchSampler | None:
    """Return what draws patches from a cache, None for whole cases.

    Args:
        cache: The open cache.
        patch: Spatial shape; None for whole cases.
        foreground: How many hold foreground: a share, or more than that.
        size: Samples in a batch.

    Raises:
        OptionError: An option is not allowed, or the cache has no foreground to draw from.
        DamageError: Columns of the cache are missing or damaged.
    """
    if patch is None:
        if foreground is not None:
            raise OptionError(
                f"foreground: got {foreground!r} without patch, expected both; whole cases hold "
                "all of their foreground"
            )
        return None
    recipe = cache.manifest.recipe
    shape = patch_shape(patch, recipe.spatial_dims)
    extents = [Extents(v.stored_column("box_start"), v.stored_column("box_stop")) for v in cache]
    grid = recipe.image.shape[:-1]
    if foreground is None:
        return PatchSampler(shape=shape, grid=grid, batch_size=size, extents=extents)
    if not isinstance(foreground, Foreground):
        check_share("foreground", foreground)
        foreground = Foreground(share=foreground)
    if foreground.exact and foreground.share and foreground.forced(size) == size:
        raise OptionError(
            f"foreground: got a share of {foreground.share:g} of batches of {size}, expected one "
            "that makes a whole sample; give a larger share or batch, or "
            f"Foreground(share={foreground.share:g}, exact=False), which meets it on average"
        )
    if recipe.spots is None or not cache.manifest.label_values:
        raise OptionError(
            f"foreground: got {foreground!r} for a cache without coordinates of the foreground; "
            f"build it again with --patch {','.join(map(str, shape))} from images with masks of at "
            "most 256 values"
        )
    return PatchSampler(
        shape=shape,
        grid=grid,
        batch_size=size,
        extents=extents,
        spots=[Spots(*view.spots()) for view in cache],
        foreground=foreground,
        weights=_weights(foreground, cache.manifest.label_values),
    )


def _weights(foreground: Foreground, values: Sequence[float]) -> np.ndarray:
    """Return how often each of the label values is drawn.

    Raises:
        OptionError: A weight is given for a value that no mask holds.
    """
    if foreground.weights is None:
        return np.array([float(value != 0) for value in values])
    if foreground.weights.get(0):
        raise OptionError(
            f"foreground.weights: got {foreground.weights[0]:g} for 0, expected none: 0 is the "
            "background, which any patch may hold"
        )
    unknown = set(foreground.weights) - set(values)
    if unknown:
        raise OptionError(
            f"foreground.weights: got label values {', '.join(f'{v:g}' for v in sorted(unknown))}, "
            f"expected some of {', '.join(f'{v:g}' for v in values)}, which the masks hold"
        )
    return np.array([float(foreground.weights.get(value, 0)) for value in values])
