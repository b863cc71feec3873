"""Which files a cache of a recipe has: exactly these, so no path is ever taken on trust. Pure."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from niicache.format.facts import columns_of
from niicache.format.names import (
    CACHEDIR_TAG,
    CASES,
    CHUNKS,
    IMAGE,
    LABEL,
    README,
    ROOT,
    SKIPPED,
    SPOTS,
    shard_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache.format.geometry import Shape
    from niicache.format.manifest import ArrayLayout, ClassEntry, Manifest, Recipe

BESIDE = (README, CACHEDIR_TAG, SKIPPED)
"""Files that a cache may have beside its arrays."""

ITEM_BYTES = {"uint32": 4, "uint64": 8, "int64": 8, "float64": 8}

METADATA_BYTES = 2**20
STRING_BYTES = 2**16
"""Most bytes of metadata, and of one text in a column of strings, on average."""


def layouts(recipe: Recipe) -> dict[str, ArrayLayout]:
    """Return the layout of each array that a class has."""
    found = {IMAGE: recipe.image}
    return found if recipe.label is None else {**found, LABEL: recipe.label}


def spot_dtype(grid: Shape) -> str:
    """Return the dtype of flat positions in a padded grid."""
    return "uint32" if math.prod(grid) < 2**32 else "uint64"


def shard_count(slots: int, layout: ArrayLayout) -> int:
    """Return how many shards hold so many slots."""
    return -(-slots // layout.shard_cases)


def chunk_total(slots: int, layout: ArrayLayout) -> int:
    """Return how many chunks hold so many slots."""
    return -(-slots // layout.chunk[0]) * layout.blocks


def shards_of(entry: ClassEntry, recipe: Recipe) -> Iterator[tuple[str, ArrayLayout]]:
    """Yield path and layout of every shard of a class."""
    for array, layout in layouts(recipe).items():
        for index in range(shard_count(entry.slots, layout)):
            yield shard_path(entry.name, array, index, len(layout.chunk)), layout


def small_shapes(entry: ClassEntry, manifest: Manifest) -> dict[str, tuple[str, Shape]]:
    """Return dtype and shape of each small array of a class, by its path below the class."""
    recipe = manifest.recipe
    found: dict[str, tuple[str, Shape]] = {
        f"{CHUNKS}/{array}": ("uint32", (chunk_total(entry.slots, layout),))
        for array, layout in layouts(recipe).items()
    }
    for column in columns_of(manifest.columns):
        item = column.shape(
            files=recipe.image_files,
            axes=recipe.spatial_dims,
            channels=recipe.image.shape[-1],
            label_values=len(manifest.label_values),
        )
        found[f"{CASES}/{column.name}"] = (column.dtype, (entry.slots, *item))
    if recipe.spots is not None and entry.spots is not None:
        values = len(manifest.label_values)
        found[f"{SPOTS}/stop"] = ("int64", (entry.slots, values))
        found[f"{SPOTS}/voxel"] = (spot_dtype(recipe.image.shape[:-1]), (entry.spots,))
    return found


def small_files(entry: ClassEntry, manifest: Manifest) -> Iterator[tuple[str, int]]:
    """Yield path and most bytes of every file of a class that is no shard."""
    arrays = (f"/{array}" for array in layouts(manifest.recipe))
    spots = () if manifest.recipe.spots is None else (f"/{SPOTS}",)
    groups = ("", f"/{CASES}", f"/{CHUNKS}", *spots, *arrays)
    for group in groups:
        yield f"{entry.name}{group}/{ROOT}", METADATA_BYTES
    for path, (dtype, shape) in small_shapes(entry, manifest).items():
        yield f"{entry.name}/{path}/{ROOT}", METADATA_BYTES
        if all(shape):
            zeros = itertools.repeat("0", len(shape))
            yield f"{entry.name}/{path}/{'/'.join(('c', *zeros))}", _most_bytes(dtype, shape)


def _most_bytes(dtype: str, shape: Shape) -> int:
    """Return what a column takes at most on disk; zstd adds little to what it cannot compress."""
    nbytes = most_decoded(dtype, shape)
    return nbytes + nbytes // 128 + 1024


def most_decoded(dtype: str, shape: Shape) -> int:
    """Return what the chunk of a column takes at most when it is decompressed."""
    if dtype == "string":
        return 4 + math.prod(shape) * STRING_BYTES
    return math.prod(shape) * ITEM_BYTES[dtype]
