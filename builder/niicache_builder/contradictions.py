"""Files that are what the manifest says and yet contradict it: no builder wrote such a cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from niicache.case_grid import read_grid
from niicache.errors import DamageError, FormatError, Problem
from niicache.files import read_file
from niicache.format.array_checks import group_problems, voxel_array_problems
from niicache.format.facts import CROPPED
from niicache.format.grid import is_prepared
from niicache.format.names import CASES, CHUNKS, LABEL, ROOT, SPOTS, shard_path
from niicache.format.paths import layouts, small_shapes
from niicache.format.root import REBUILD
from niicache_builder.options import default_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from niicache.cache import Cache
    from niicache.chunks import ChunkReader
    from niicache.format.manifest import ClassEntry
    from niicache.view import ClassView

CODE = "contradicts"


_LOOKS: Final[dict[str, Callable[[ClassView, str], object]]] = {
    CASES: lambda view, name: view.stored_column(name),
    CHUNKS: lambda view, name: view.crcs(name),
    SPOTS: lambda view, _: view.spots(),
}


def contradictions(cache: Cache, *, wrong: Collection[str], deep: bool) -> list[Problem]:
    """Return what is wrong with files whose digests hold.

    Args:
        cache: The cache.
        wrong: Files that are known not to be what the manifest says, and are not looked at.
        deep: Decode every chunk too.
    """
    problems: list[Problem] = []
    for view, entry in zip(cache, cache.manifest.classes, strict=True):
        for name, look in _metadata(cache, entry).items():
            if name not in wrong:
                data = read_file(cache.path, name, cache.manifest.files[name])
                problems += [_problem(cache, name, fault, entry.name) for fault in look(data)]
        odd = list(_columns(cache, view, entry, wrong))
        # Grids are reckoned again case by case, which takes as long as reading small cases.
        problems += odd or (_grids(cache, view, wrong) if deep else ())
    if deep:
        shards = [shard for view in cache for shard in _sound_shards(cache, view, wrong)]
        with ThreadPoolExecutor(default_workers(), thread_name_prefix="niicache-verify") as pool:
            for found in pool.map(_decode, shards):
                problems += found
    return problems


def _metadata(cache: Cache, entry: ClassEntry) -> dict[str, Callable[[bytes], list[str]]]:
    """Return what finds fault with each group, and with each array of voxels, by path."""
    found: dict[str, Callable[[bytes], list[str]]] = {
        f"{entry.name}{group}/{ROOT}": group_problems
        for group in ("", f"/{CASES}", f"/{CHUNKS}", f"/{SPOTS}")
        if f"{entry.name}{group}/{ROOT}" in cache.manifest.files
    }
    for array, layout in layouts(cache.manifest.recipe).items():
        look = partial(voxel_array_problems, layout=layout, slots=entry.slots)
        found[f"{entry.name}/{array}/{ROOT}"] = look
    return found


def _columns(
    cache: Cache, view: ClassView, entry: ClassEntry, wrong: Collection[str]
) -> Iterator[Problem]:
    for array in small_shapes(entry, cache.manifest):
        folder, _, name = array.partition("/")
        # Spots are looked at together, and cannot be where one of their files is damaged.
        looked = SPOTS if folder == SPOTS else array
        if any(path.startswith(f"{view.name}/{looked}/") for path in wrong):
            continue
        try:
            _LOOKS[folder](view, name)
        except FormatError as error:
            yield _problem(cache, f"{view.name}/{array}", error.reason, view.name)


def _grids(cache: Cache, view: ClassView, wrong: Collection[str]) -> Iterator[Problem]:
    """Yield the cases whose valid box is not what becomes of the grid of their source."""
    names = ["name", "source_shape", "affine", "box_start", "box_stop"]
    names += [name for name in CROPPED if name in cache.columns]
    if any(path.startswith(f"{view.name}/{CASES}/{name}/") for path in wrong for name in names):
        return
    columns = {name: view.column(name) for name in names}
    recipe = cache.manifest.recipe
    shapes = columns["box_stop"] - columns["box_start"]
    same = (shapes == columns["source_shape"][:, :-1]).all(axis=1)
    rows = range(len(view)) if is_prepared(recipe) else np.flatnonzero(~same).tolist()
    for at in rows:
        try:
            read_grid(columns.__getitem__, recipe, at)
        except FormatError as error:
            yield _problem(cache, f"{view.name}/{CASES}/box_stop", error.reason, view.name)


def _sound_shards(
    cache: Cache, view: ClassView, wrong: Collection[str]
) -> Iterator[tuple[ChunkReader, range]]:
    """Yield the chunks of each shard that is what the manifest says."""
    for array, layout in layouts(cache.manifest.recipe).items():
        try:
            reader = view.label if array == LABEL else view.image
        except (DamageError, FormatError):
            continue  # its checksums are no better, and reported on their own
        assert reader is not None  # noqa: S101 - the recipe has its layout
        places = layout.shard_chunks
        for first in range(0, len(reader), places):
            path = shard_path(view.name, array, first // places, len(layout.chunk))
            if path not in wrong:
                yield reader, range(first, min(first + places, len(reader)))


def _decode(shard: tuple[ChunkReader, range]) -> list[Problem]:
    """Decode the chunks of a shard and return what is wrong with them."""
    reader, numbers = shard
    out = reader.empty()
    problems: list[Problem] = []
    for number in numbers:
        try:
            reader.read(number, out)
        except DamageError as error:
            problems += error.problems
    return problems


def _problem(cache: Cache, name: str, fault: str, class_name: str) -> Problem:
    return Problem(
        code=CODE,
        path=str(cache.path / name),
        got=fault,
        expected="what the manifest says",
        hint=REBUILD,
        class_name=class_name,
    )
