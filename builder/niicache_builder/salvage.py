"""What can be trusted, or made again from the manifest alone, of a damaged cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from niicache.files import read_file, retired
from niicache.format.codec import stored_crc
from niicache.format.columns import decode_column
from niicache.format.facts import CaseFacts
from niicache.format.names import (
    CACHEDIR_SIGNATURE,
    CACHEDIR_TAG,
    CASES,
    CHUNKS,
    README,
    SKIPPED,
    SPOTS,
)
from niicache.format.paths import small_shapes
from niicache.format.shard import ABSENT, index_nbytes, unpack_index
from niicache.small_arrays import spot_starts
from niicache_builder.assemble import README_TEXT
from niicache_builder.commit import entry_of
from niicache_builder.record import as_fact
from niicache_builder.report.skipped import skipped_csv
from niicache_builder.shard_damage import shard_names
from niicache_builder.spots import spot_dtype, spots_of
from niicache_builder.tables import ClassTable, metadata_files
from niicache_builder.work import layouts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from niicache.cache import Cache
    from niicache.format.manifest import ArrayLayout, ClassEntry, Manifest

Crcs = dict[tuple[str, str, int], tuple[int, ...]]
"""(class, array, shard) to the crc32c of its chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSalvage:
    """What is left of one class beside its shards.

    Attributes:
        name: The class.
        slots: Its slots.
        columns: Column to the facts of its slots, of those that are sound.
        crcs: Array to the crc32c of its chunks, where that table is sound.
        spots: Label value to where its voxels lie, of each slot; empty where none are kept, None
            where they are damaged.
        names: Every column that the class had.
    """

    name: str
    slots: int
    names: tuple[str, ...]
    columns: Mapping[str, list[Any]]
    crcs: Mapping[str, list[int]]
    spots: Sequence[Mapping[float, bytes]] | None

    @property
    def is_known(self) -> bool:
        """Whether every column is sound, and with them the spots."""
        return len(self.columns) == len(self.names) and self.spots is not None

    def facts(self, slot: int) -> CaseFacts | None:
        """Return what is known of the case in a slot, None where it is vacant."""
        if not self.columns["name"][slot]:
            return None
        return CaseFacts(**{name: self.columns[name][slot] for name in self.names})


def salvage(cache: Cache, damaged: Collection[str]) -> dict[str, ClassSalvage]:
    """Return what is left of each class.

    Args:
        cache: The cache.
        damaged: Paths of its files that are not sound.
    """
    shards = shard_names(cache)
    made = {} if all(path in shards for path in damaged) else made_again(cache.manifest)
    arrays = tuple(layouts_of(cache.manifest.recipe))
    small: dict[str, list[str]] = {}
    for path in cache.manifest.files:
        small.setdefault("/".join(path.split("/")[:3]), []).append(path)

    def sound(folder: str, names: tuple[str, ...]) -> dict[str, list[Any]]:
        found = ((name, _array(cache, made, small[f"{folder}/{name}"], damaged)) for name in names)
        return {name: values.tolist() for name, values in found if values is not None}

    return {
        entry.name: ClassSalvage(
            name=entry.name,
            slots=entry.slots,
            names=cache.columns,
            columns={
                name: [as_fact(name, value) for value in values]
                for name, values in sound(f"{entry.name}/{CASES}", cache.columns).items()
            },
            crcs=sound(f"{entry.name}/{CHUNKS}", arrays),
            spots=_spots(cache, made, small, entry, damaged),
        )
        for entry in cache.manifest.classes
    }


def _spots(
    cache: Cache,
    made: Mapping[str, bytes],
    small: Mapping[str, Sequence[str]],
    entry: ClassEntry,
    damaged: Collection[str],
) -> Sequence[Mapping[float, bytes]] | None:
    if cache.manifest.recipe.spots is None:
        return [{}] * entry.slots
    stop, voxel = (
        _array(cache, made, small[f"{entry.name}/{SPOTS}/{name}"], damaged)
        for name in ("stop", "voxel")
    )
    if stop is None or voxel is None:
        return None
    starts = spot_starts(stop)
    return [spots_of(row, voxel, cache.manifest.label_values) for row in starts]


def made_again(manifest: Manifest) -> dict[str, bytes]:
    """Return the small files that follow from the manifest alone, proven by its digests."""
    layouts = layouts_of(manifest.recipe)
    tables = [
        ClassTable(
            name=entry.name,
            facts=[None] * entry.slots,
            crcs={array: [0] * _chunks(entry.slots, layout) for array, layout in layouts.items()},
            spots=_as_many_spots(entry, manifest),
        )
        for entry in manifest.classes
    ]
    _, small = metadata_files(manifest.recipe, tables, manifest.label_values, manifest.columns)
    small |= {README: README_TEXT.encode(), CACHEDIR_TAG: CACHEDIR_SIGNATURE.encode()}
    if manifest.skipped:
        small[SKIPPED] = skipped_csv(manifest.skipped)
    return {
        path: data for path, data in small.items() if entry_of(data) == manifest.files.get(path)
    }


def _as_many_spots(entry: ClassEntry, manifest: Manifest) -> list[Mapping[float, bytes] | None]:
    """Return as many spots as a class has, whichever: the metadata of their array say no more."""
    nbytes = (entry.spots or 0) * spot_dtype(manifest.recipe.image.shape[:-1]).itemsize
    first = {value: bytes(nbytes) for value in manifest.label_values[-1:]}
    return [first, *[None] * (entry.slots - 1)]


def _chunks(slots: int, layout: ArrayLayout) -> int:
    return -(-slots // layout.chunk[0]) * layout.blocks


def _array(
    cache: Cache, made: Mapping[str, bytes], paths: Sequence[str], damaged: Collection[str]
) -> np.ndarray | None:
    """Return a small array, None where its values are damaged."""
    if any(path in damaged and path not in made for path in paths):
        return None
    files = cache.manifest.files
    class_name, folder, name, _ = paths[0].split("/", maxsplit=3)
    entry = next(one for one in cache.manifest.classes if one.name == class_name)
    dtype, shape = small_shapes(entry, cache.manifest)[f"{folder}/{name}"]
    found = {
        path.split("/", maxsplit=3)[3]: made.get(path) or read_file(cache.path, path, files[path])
        for path in paths
    }
    return decode_column(found, dtype, shape)


def _crcs_in(path: Path, layout: ArrayLayout) -> tuple[int, ...]:
    """Return the crc32c of each chunk of a sound shard, from the shard itself."""
    data = path.read_bytes()
    places = layout.shard_chunks
    extents = unpack_index(data[-index_nbytes(places) :], places, len(data)).tolist()
    return tuple(stored_crc(data[start : start + n]) for start, n in extents if start != ABSENT)


def sound_crcs(
    cache: Cache, left: Mapping[str, ClassSalvage], damaged: Collection[str], kept: Collection[str]
) -> Crcs:
    """Return the checksums of the chunks of every sound shard.

    Args:
        cache: The cache.
        left: What is left of its classes.
        damaged: Paths of files that are not sound.
        kept: Those that are sound, but in ``.retired``.
    """
    manifest = cache.manifest
    found: Crcs = {}
    for shard in shard_names(cache).values():
        if shard.path in damaged:
            continue
        layout = layouts_of(manifest.recipe)[shard.array]
        table = left[shard.class_name].crcs.get(shard.array)
        key = (shard.class_name, shard.array, shard.index)
        if table is None:
            entry = manifest.files[shard.path]
            path = retired(cache.path, entry) if shard.path in kept else cache.path / shard.path
            found[key] = _crcs_in(path, layout)
        else:
            first = shard.index * layout.shard_chunks
            found[key] = tuple(table[first : first + layout.shard_chunks])
    return found
