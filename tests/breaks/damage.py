"""Every kind of damage that a cache may suffer, each at a place that a generator draws.

``damage(kind, rng, cache)`` does one of them to a sound cache and says what has to be found.
``flip(path, bit)`` is for whoever wants to try every bit; a second flip of it takes it back.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.cache import open_cache
from niicache.format.names import LOCK, RETIRED, ROOT, WORK
from niicache.format.shard import index_nbytes, pack_index, unpack_index

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

ALTERED = {"damaged", "chunk-damaged", "index-damaged"}
ZEROED = {"zero-filled", *ALTERED}
TRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done to a cache.

    Attributes:
        kind: One of :data:`KINDS`.
        found: Path to the codes of which verification has to give one, and to no other path.
        size_tells: Whether it shows without reading a byte.
    """

    kind: str
    found: dict[str, set[str]]
    size_tells: bool


def files_of(cache: Path) -> list[str]:
    """Return the paths of all files of a cache, sorted; not of what builds leave to builds."""
    return sorted(
        path.relative_to(cache).as_posix()
        for path in cache.rglob("*")
        if path.is_file() and path.relative_to(cache).parts[0] not in {LOCK, WORK, RETIRED}
    )


def shards_of(cache: Path) -> list[str]:
    """Return the paths of all shards of a cache, sorted."""
    return [p for p in files_of(cache) if p.split("/")[1:3] in (["image", "c"], ["label", "c"])]


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file, in place."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def damage(kind: str, rng: np.random.Generator, cache: Path, *, older: Path | None = None) -> Done:
    """Do one kind of damage to a sound cache.

    Args:
        kind: One of :data:`KINDS`.
        rng: Draws the place.
        cache: The cache, which is changed.
        older: A cache of another build of the same source, for ``replayed shard``.

    Raises:
        LookupError: The cache has no place where this kind would change a byte.
    """
    return _DOERS[kind](rng, cache, older or cache)


def _done(kind: str, found: dict[str, set[str]], *, size_tells: bool = True) -> Done:
    if ROOT in found and "link" not in found[ROOT]:
        gone = "missing" in found[ROOT]
        found = {ROOT: {"not-a-cache"} if gone else {"manifest-damaged"}}
        size_tells = True
    return Done(kind=kind, found=found, size_tells=size_tells)


def _one(rng: np.random.Generator, names: list[str]) -> str:
    if not names:
        raise LookupError("no file of that kind")
    return names[int(rng.integers(len(names)))]


def _is_shard(path: str) -> bool:
    return path.split("/")[1:3] in (["image", "c"], ["label", "c"])


def _flip(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    flip(cache / path, int(rng.integers(8 * (cache / path).stat().st_size)))
    return _done("flipped bit", {path: ALTERED | ZEROED}, size_tells=not _is_shard(path))


def _truncate(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    size = (cache / path).stat().st_size
    os.truncate(cache / path, int(rng.integers(size)))
    return _done("truncated", {path: {"truncated", "zero-filled"}})


def _extend(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    with (cache / path).open("ab") as file:
        file.write(rng.bytes(int(rng.integers(1, 5000))))
    return _done("extended", {path: {"extended"}})


def _zero(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    (cache / path).write_bytes(bytes((cache / path).stat().st_size))
    return _done("zeroed file", {path: {"zero-filled"}}, size_tells=not _is_shard(path))


def _zero_part(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    for _try in range(TRIES):
        path = _one(rng, files_of(cache))
        data = bytearray((cache / path).read_bytes())
        start, stop = sorted(rng.integers(0, len(data), 2, endpoint=True).tolist())
        if any(data[start:stop]):
            data[start:stop] = bytes(stop - start)
            (cache / path).write_bytes(data)
            return _done("zeroed part", {path: ZEROED}, size_tells=not _is_shard(path))
    raise LookupError("nothing but zeros")


def _swap_files(rng: np.random.Generator, cache: Path, _: Path, *, only_shards: bool) -> Done:
    names = shards_of(cache) if only_shards else sorted({*files_of(cache)} - {ROOT})
    for _try in range(TRIES):
        one, other = _one(rng, names), _one(rng, names)
        first, second = (cache / one).read_bytes(), (cache / other).read_bytes()
        if first != second:
            (cache / one).write_bytes(second)
            (cache / other).write_bytes(first)
            told = len(first) != len(second) or not (_is_shard(one) and _is_shard(other))
            kind = "swapped shards" if only_shards else "swapped files"
            return _done(kind, {one: {"swapped"}, other: {"swapped"}}, size_tells=told)
    raise LookupError("no two files that differ")


def _swap_shards(rng: np.random.Generator, cache: Path, older: Path) -> Done:
    return _swap_files(rng, cache, older, only_shards=True)


def _swap_any(rng: np.random.Generator, cache: Path, older: Path) -> Done:
    return _swap_files(rng, cache, older, only_shards=False)


def _places(cache: Path, path: str) -> int:
    recipe = open_cache(cache).manifest.recipe
    layout = recipe.image if path.split("/")[1] == "image" else recipe.label
    assert layout is not None
    return layout.shard_chunks


def _two_chunks(
    rng: np.random.Generator, cache: Path, *, of_one_size: bool
) -> tuple[str, list[tuple[int, int]], int, int]:
    """Return a shard, the extents of its chunks, and two of them that differ."""
    shards = shards_of(cache)
    for path in (shards[i] for i in rng.permutation(len(shards))):
        places, data = _places(cache, path), (cache / path).read_bytes()
        table = unpack_index(data[-index_nbytes(places) :], places, len(data))
        extents = [(int(start), int(n)) for start, n in table.tolist() if n <= len(data)]
        pairs = list(combinations(range(len(extents)), 2))
        for one, other in (pairs[i] for i in rng.permutation(len(pairs))):
            (a, n), (b, m) = extents[one], extents[other]
            if data[a : a + n] != data[b : b + m] and (n == m or not of_one_size):
                return path, extents, one, other
    raise LookupError("no two chunks that differ")


def _swap_bytes(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    """Exchange the bytes of two chunks of one size; the index is kept."""
    path, extents, one, other = _two_chunks(rng, cache, of_one_size=True)
    data = bytearray((cache / path).read_bytes())
    (a, n), (b, m) = extents[one], extents[other]
    data[a : a + n], data[b : b + m] = data[b : b + m], data[a : a + n]
    (cache / path).write_bytes(data)
    return _done("swapped chunks, index kept", {path: {"chunk-swapped"}}, size_tells=False)


def _swap_places(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    """Exchange two chunks in the index, and mend its checksum."""
    path, extents, one, other = _two_chunks(rng, cache, of_one_size=False)
    extents[one], extents[other] = extents[other], extents[one]
    data, places = (cache / path).read_bytes(), _places(cache, path)
    index = pack_index(extents, places)
    (cache / path).write_bytes(data[: -len(index)] + index)
    return _done("swapped chunks, index mended", {path: {"chunk-swapped"}}, size_tells=False)


def _replay(rng: np.random.Generator, cache: Path, older: Path) -> Done:
    names = [
        path
        for path in shards_of(cache)
        if (older / path).is_file() and (older / path).read_bytes() != (cache / path).read_bytes()
    ]
    path = _one(rng, names)
    told = (older / path).stat().st_size != (cache / path).stat().st_size
    shutil.copyfile(older / path, cache / path)
    return _done("replayed shard", {path: {"replayed"}}, size_tells=told)


def _delete(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    (cache / path).unlink()
    return _done("deleted file", {path: {"missing"}})


def _delete_folder(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    folder = _one(rng, _folders(cache))
    gone = [path for path in files_of(cache) if path.startswith(f"{folder}/")]
    shutil.rmtree(cache / folder)
    return _done("deleted folder", {path: {"missing"} for path in gone})


def _folders(cache: Path) -> list[str]:
    return sorted({Path(path).parent.as_posix() for path in files_of(cache)} - {"."})


def _add_file(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    folder = _one(rng, ["", *_folders(cache)])
    path = (Path(folder) / _new_name(rng)).as_posix()
    (cache / path).write_bytes(rng.bytes(int(rng.integers(0, 100))))
    return _done("added file", {path: {"unexpected"}})


def _add_folder(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    folder = _one(rng, ["", *_folders(cache)])
    path = (Path(folder) / _new_name(rng)).as_posix()
    (cache / path / "in" / "it").mkdir(parents=True)
    return _done("added folder", {path: {"unexpected"}})


def _new_name(rng: np.random.Generator) -> str:
    return _one(rng, ["9", "zarr.json.old", ".lock.old", "image.partial", "Thumbs.db"])


def _rename(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    (cache / path).rename(cache / f"{path}.old")
    return _done("renamed", {path: {"missing"}, f"{path}.old": {"unexpected"}})


def _link(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, files_of(cache))
    aside = cache.with_name(f"{cache.name} aside")
    shutil.move(cache / path, aside)
    (cache / path).symlink_to(aside)
    return _done("link in place of a file", {path: {"link"}})


def _folder_in_place(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, [name for name in files_of(cache) if name != ROOT])
    (cache / path).unlink()
    (cache / path).mkdir()
    return _done("folder in place of a file", {path: {"not-a-file"}})


def _pipe(rng: np.random.Generator, cache: Path, _: Path) -> Done:
    path = _one(rng, [name for name in files_of(cache) if name != ROOT])
    (cache / path).unlink()
    os.mkfifo(cache / path)
    return _done("pipe in place of a file", {path: {"not-a-file"}})


_DOERS: dict[str, Callable[[np.random.Generator, Path, Path], Done]] = {
    "flipped bit": _flip,
    "truncated": _truncate,
    "extended": _extend,
    "zeroed file": _zero,
    "zeroed part": _zero_part,
    "swapped shards": _swap_shards,
    "swapped files": _swap_any,
    "swapped chunks, index kept": _swap_bytes,
    "swapped chunks, index mended": _swap_places,
    "replayed shard": _replay,
    "deleted file": _delete,
    "deleted folder": _delete_folder,
    "added file": _add_file,
    "added folder": _add_folder,
    "renamed": _rename,
    "link in place of a file": _link,
    "folder in place of a file": _folder_in_place,
    "pipe in place of a file": _pipe,
}

KINDS = tuple(_DOERS)
