"""The way back: what was predicted on the padded grid of a cache, on the grid of its source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from niicache.cache import Cache, open_cache
from niicache.errors import DiskError, NoMemoryError, OptionError
from niicache.format.facts import CODES
from niicache_builder.durable import write_file
from niicache_builder.memory import memory_bytes
from niicache_builder.nifti_image import SUFFIXES, image_bytes, make_image
from niicache_builder.regrid import ungridded

if TYPE_CHECKING:
    from pathlib import Path

    from nibabel.nifti1 import Nifti1Image

    from niicache.format.geometry import Shape
    from niicache.format.grid import Grid


SHOWN_CASES = 5


def restore(cache: Cache | str | Path, case: tuple[str, str], array: np.ndarray) -> Nifti1Image:
    """Return an array on the padded grid as an image on the grid of the case's source.

    Padding is taken away, and what the build did to the grid is undone. Where it resampled,
    whole numbers become those of the nearest voxel, and floats are interpolated linearly. Where it
    did not, each voxel is that of the array, bit for bit. What it cropped away is 0.

    Args:
        cache: An open cache, or its path.
        case: (class, case), as in ``cache.cases``.
        array: ``(*spatial)`` or ``(*spatial, k)`` on the padded grid: a mask, or scores of k
            labels. bool becomes uint8, half precision float32.

    Returns:
        Of the source's spatial shape, affine and form codes (the affine stands in both forms); k
        numbers a voxel come after three spatial axes, where NIfTI readers look for them.

    Raises:
        OptionError: There is no such case, or the array is not on its grid.
        DamageError: Columns of the cache are missing or damaged.
        FormatError: They contradict each other.
        NoMemoryError: The source's grid takes more memory than this machine has.
    """
    cache = cache if isinstance(cache, Cache) else open_cache(cache)
    array = np.asarray(array)
    grid = cache.manifest.recipe.image.shape[:-1]
    if array.shape not in {grid, (*grid, *array.shape[-1:])}:
        raise OptionError(
            f"array: got shape {array.shape}, expected {grid} or {(*grid, 'k')}, the padded grid "
            f"of {cache.path}"
        )
    if not isinstance(case, tuple) or len(case) != len(("class", "case")):
        raise OptionError(f"case: got {case!r}, expected (class, case), as in cache.cases")
    view = cache[case[0]]
    if case[1] not in view:
        known = ", ".join(view.cases[:SHOWN_CASES])
        raise OptionError(
            f"case: class {case[0]!r} has no case {case[1]!r}, expected one such as {known}"
        )
    planes = array if array.ndim > len(grid) else array[..., np.newaxis]
    _check_memory(planes, view.grid(case[1]), case)
    voxels = ungridded(planes[view.box(case[1]).slices], view.grid(case[1]))
    affine = view.column("affine")[view.cases.index(case[1])]
    shaped = voxels.reshape(_nifti_shape(voxels.shape, len(grid)))
    return make_image(shaped, affine, _codes(cache, case))


def _check_memory(planes: np.ndarray, grid: Grid, case: tuple[str, str]) -> None:
    shape = (*grid.source, planes.shape[-1])
    needed, there = math.prod(shape) * planes.itemsize, memory_bytes()
    if needed > there:
        raise NoMemoryError(
            f"case: got {case[1]!r} on a grid of {shape}, {needed:,} bytes, expected at most the "
            f"{there:,} bytes of memory of this machine; restore fewer numbers a voxel"
        )


def _codes(cache: Cache, case: tuple[str, str]) -> tuple[int, int] | None:
    """Return sform_code and qform_code of the source; caches of before did not keep them."""
    if not set(CODES) <= set(cache.columns):
        return None
    view = cache[case[0]]
    at = view.cases.index(case[1])
    return int(view.column("sform_code")[at]), int(view.column("qform_code")[at])


def _nifti_shape(shape: Shape, axes: int) -> Shape:
    """Return a shape with channels, if there are several, after three spatial axes."""
    spatial, channels = shape[:axes], shape[axes:]
    if channels in {(), (1,)}:
        return spatial
    return (*spatial, *[1] * (3 - axes), *channels)


def _is_source(cache: Cache, class_name: str, target: Path) -> bool:
    """Tell whether a path ends as that of a source; where sources lie the cache does not know."""
    if class_name not in cache.classes:
        return False
    paths = [cache[class_name].column(name).ravel().tolist() for name in ("image", "label")]
    name = f"/{target.resolve().as_posix()}"
    return any(path and name.endswith(f"/{path}") for column in paths for path in column)


def restore_file(cache: Cache, case: tuple[str, str], array: Path, target: Path) -> Nifti1Image:
    """Restore the array of a .npy file, write the image, and return it.

    Args:
        cache: The open cache.
        case: (class, case).
        array: The .npy file. What it holds is never executed.
        target: .nii or .nii.gz, replaced if it is there.

    Raises:
        OptionError: The array cannot be read, or as for :func:`restore`.
        DiskError: The image cannot be written.
    """
    if not target.name.endswith(SUFFIXES):
        raise OptionError(f"{target}: got this name, expected one that ends with .nii or .nii.gz")
    if target.exists() and _is_source(cache, case[0], target):
        raise OptionError(
            f"{target}: got the name of a source of the cache, expected another; nothing was "
            "written"
        )
    if cache.path.resolve() in target.resolve().parents:
        raise OptionError(f"{target}: got a place in the cache, expected one elsewhere")
    try:
        voxels = np.load(array, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        got = error.strerror if isinstance(error, OSError) else "something else"
        raise OptionError(f"{array}: got {got}, expected an array that numpy.save wrote") from None
    if not isinstance(voxels, np.ndarray):
        raise OptionError(f"{array}: got several arrays, expected one, as numpy.save writes it")
    image = restore(cache, case, voxels)
    try:
        write_file(target, image_bytes(image, compressed=target.name.endswith(".gz")))
    except OSError as error:
        raise DiskError(f"{target}: cannot be written: {error.strerror or error}") from error
    return image
