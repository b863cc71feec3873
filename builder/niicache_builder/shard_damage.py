"""What exactly is wrong with a shard: which chunks, hence which cases, and in what way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import CacheError, Problem
from niicache.format.codec import ChunkError, decode, stored_crc
from niicache.format.names import shard_path
from niicache.format.shard import ABSENT, index_nbytes, unpack_index
from niicache_builder.resume import is_file_of
from niicache_builder.work import layouts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache.cache import Cache
    from niicache.format.manifest import ArrayLayout


def hint_for(code: str) -> str:
    """Return what to do about a file of a cache that has a problem."""
    if code == "unexpected":
        return "delete it, nothing in the cache depends on it"
    again = "run the same build again, which writes what is missing"
    return again if code == "missing" else f"delete it and {again}"


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
    for array, layout in layouts_of(cache.manifest.recipe).items():
        for entry in cache.manifest.classes:
            for index in range(-(-entry.slots // layout.shard_cases)):
                path = shard_path(entry.name, array, index, len(layout.chunk))
                names[path] = ShardName(path=path, class_name=entry.name, array=array, index=index)
    return names


def shard_damage(
    cache: Cache, shard: ShardName, code: str, got: str, expected: str, *, deep: bool
) -> list[Problem]:
    """Return what is wrong with a shard that is not what the manifest says.

    Args:
        cache: The cache.
        shard: One of its shards.
        code: What is known already: ``missing``, ``resized``, ``damaged``, ``link``, ...
        got: The fact found.
        expected: The fact that disagrees.
        deep: Read the file, to tell which chunks are concerned and how.

    Returns:
        One problem for the file, or one for each chunk where only some are damaged.
    """
    layout = layouts_of(cache.manifest.recipe)[shard.array]
    size = layout.shard_cases
    whole = _case_names(cache, shard.class_name, shard.index * size, size)
    file = _problem(cache, shard, code, got, expected, whole)
    if not deep or code not in {"damaged", "resized"}:
        return [file]
    try:
        twin = _twin(cache, shard)
        if twin:
            return [_problem(cache, shard, "swapped", f"the bytes of {twin}", "its own", whole)]
        return _inside(cache, shard, layout, file) or [file]
    except OSError as error:
        return [replace(file, code="unreadable", got=str(error.strerror))]
    except ChunkError as error:
        return [replace(file, code="index-damaged", got=str(error))]
    except CacheError:
        return [file]  # its table of checksums is damaged too, and reported on its own


def _inside(cache: Cache, shard: ShardName, layout: ArrayLayout, file: Problem) -> list[Problem]:
    data = (cache.path / shard.path).read_bytes()
    if data and not any(data):
        return [replace(file, code="zero-filled", got="nothing but zeros")]
    return _chunk_damage(cache, shard, layout, data)


def _chunk_damage(
    cache: Cache, shard: ShardName, layout: ArrayLayout, data: bytes
) -> list[Problem]:
    places = layout.shard_chunks
    index = unpack_index(data[-index_nbytes(places) :], places, len(data)).tolist()
    crcs = cache[shard.class_name].crcs(shard.array)[shard.index * places :][:places].tolist()
    out = np.empty(layout.chunk, layout.dtype)
    problems = []
    for place, (crc, (offset, nbytes)) in enumerate(zip(crcs, index, strict=False)):
        first = shard.index * layout.shard_cases + place // layout.blocks * layout.chunk[0]
        cases = _case_names(cache, shard.class_name, first, layout.chunk[0])
        expected = f"crc32c {crc:08x} in chunk {place}"
        if offset == ABSENT:
            problems.append(_problem(cache, shard, "chunk-missing", "no chunk", expected, cases))
            continue
        chunk = data[offset : offset + nbytes]
        try:
            decode(chunk, layout.codec, out)
        except ChunkError as error:
            problems.append(_problem(cache, shard, "chunk-damaged", str(error), expected, cases))
            continue
        if stored_crc(chunk) != crc:
            got = f"a sound chunk of another place or build, crc32c {stored_crc(chunk):08x}"
            problems.append(_problem(cache, shard, "chunk-foreign", got, expected, cases))
    return problems


def _twin(cache: Cache, shard: ShardName) -> str:
    """Return the file of this cache whose bytes a shard has, if there is one."""
    file = cache.path / shard.path
    size = file.stat().st_size
    equal = {p: entry for p, entry in cache.manifest.files.items() if entry.size == size}
    return next((p for p, entry in equal.items() if is_file_of(file, entry)), "")


def _case_names(cache: Cache, class_name: str, first: int, count: int) -> str:
    try:
        names = cache[class_name].slot_names
    except CacheError:
        return f"slots {first} to {first + count - 1}"
    return ", ".join(name for name in names[first : first + count] if name)


def _problem(
    cache: Cache, shard: ShardName, code: str, got: str, expected: str, cases: str
) -> Problem:
    return Problem(
        code=code,
        path=str(cache.path / shard.path),
        got=got,
        expected=expected,
        hint=hint_for(code),
        class_name=shard.class_name,
        case=cases,
    )
