"""What exactly is wrong with a shard: which chunks, hence which cases, and in what way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import CacheError
from niicache.format.codec import ChunkError, decode, stored_crc
from niicache.format.names import IMAGE, LABEL, shard_path
from niicache.format.shard import ABSENT, index_nbytes, unpack_index
from niicache_builder.damage import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache.cache import Cache
    from niicache.format.manifest import ArrayLayout, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardName:
    """Which shard a file is.

    Attributes:
        path: Below the cache's root.
        class_name: The class.
        array: ``"image"`` or ``"label"``.
        index: Number of the shard.
    """

    path: str
    class_name: str
    array: str
    index: int


def shard_names(cache: Cache) -> Mapping[str, ShardName]:
    """Return path to name of every shard of a cache."""
    names: dict[str, ShardName] = {}
    for array, layout in _layouts(cache.manifest.recipe).items():
        for entry in cache.manifest.classes:
            for index in range(-(-entry.slots // layout.shard_cases)):
                path = shard_path(entry.name, array, index, len(layout.chunk))
                names[path] = ShardName(path=path, class_name=entry.name, array=array, index=index)
    return names


class ShardDamage:
    """Looks into the shards of one cache that are not what the manifest says."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._layouts = _layouts(cache.manifest.recipe)

    def cases(self, shard: ShardName) -> str:
        """Return the cases of a shard, with commas, or its slots where their names are damaged."""
        size = self._layouts[shard.array].shard_cases
        return self._case_names(shard.class_name, shard.index * size, size)

    def look(self, shard: ShardName, finding: Finding) -> list[tuple[Finding, str]]:
        """Return what is wrong with a shard, each with the cases that it concerns.

        Args:
            shard: One of the cache's.
            finding: What is known already.

        Returns:
            One entry for the file, or one for each chunk where its index is sound.
        """
        whole = (finding, self.cases(shard))
        places = self._layouts[shard.array].shard_chunks
        try:
            data = (self._cache.path / shard.path).read_bytes()
            tail = data[-index_nbytes(places) :]
            index = unpack_index(tail, places, len(data)).tolist()
            return self._chunks(shard, data, index) or [whole]
        except OSError as error:
            return [(replace(finding, kind="unreadable", got=str(error.strerror)), whole[1])]
        except ChunkError as error:
            if finding.kind != "damaged":
                return [whole]  # too short or too long, so there is no index at its end
            zeros = not any(tail)
            got = "zeros in place of its index" if zeros else str(error)
            kind = replace(finding, kind="zero-filled" if zeros else "index-damaged", got=got)
            return [(kind, whole[1])]
        except CacheError:
            return [whole]  # its table of checksums is damaged too, and reported on its own

    def _chunks(
        self, shard: ShardName, data: bytes, index: list[list[int]]
    ) -> list[tuple[Finding, str]]:
        layout = self._layouts[shard.array]
        first = shard.index * layout.shard_chunks
        crcs = self._cache[shard.class_name].crcs(shard.array)
        crcs = crcs[first : first + layout.shard_chunks].tolist()
        out = np.empty(layout.chunk, layout.dtype)
        found = []
        for place, (crc, (offset, nbytes)) in enumerate(zip(crcs, index, strict=False)):
            chunk = None if offset == ABSENT else data[offset : offset + nbytes]
            expected = f"crc32c {crc:08x} in chunk {place}"
            finding = self._chunk(chunk, crc, layout, out, expected)
            if finding is not None:
                slot = (first + place) // layout.blocks * layout.chunk[0]
                found.append((finding, self._case_names(shard.class_name, slot, layout.chunk[0])))
        return found

    def _chunk(
        self, chunk: bytes | None, crc: int, layout: ArrayLayout, out: np.ndarray, expected: str
    ) -> Finding | None:
        if chunk is None:
            return Finding(kind="chunk-missing", got="no chunk", expected=expected)
        try:
            decode(chunk, layout.codec, out)
        except ChunkError as error:
            if chunk and not any(chunk):
                got = f"nothing but zeros, {len(chunk):,} bytes"
                return Finding(kind="zero-filled", got=got, expected=expected)
            return Finding(kind="chunk-damaged", got=str(error), expected=expected)
        stored = stored_crc(chunk)
        if stored == crc:
            return None
        if stored in self._places:
            got = f"a sound chunk of another place, {self._places[stored]}"
            return Finding(kind="chunk-swapped", got=got, expected=expected)
        got = f"a sound chunk of another build, crc32c {stored:08x}"
        return Finding(kind="replayed", got=got, expected=expected)

    @cached_property
    def _places(self) -> Mapping[int, str]:
        """crc32c to a place that it belongs to, of every chunk whose checksums can be read."""
        places: dict[int, str] = {}
        for view in self._cache:
            for array, layout in self._layouts.items():
                try:
                    crcs = view.crcs(array).tolist()
                except CacheError:
                    continue
                for number, crc in enumerate(crcs):
                    index, place = divmod(number, layout.shard_chunks)
                    path = shard_path(view.name, array, index, len(layout.chunk))
                    places.setdefault(crc, f"chunk {place} of {path}")
        return places

    def _case_names(self, class_name: str, first: int, count: int) -> str:
        try:
            names = self._cache[class_name].slot_names
        except CacheError:
            return f"slots {first} to {first + count - 1}"
        return ", ".join(name for name in names[first : first + count] if name)


def _layouts(recipe: Recipe) -> dict[str, ArrayLayout]:
    # As work.layouts_of, which brings along everything that reads sources.
    return {IMAGE: recipe.image} | ({} if recipe.label is None else {LABEL: recipe.label})
