"""What happens to the disk under the state machine: files that spoil, and steps that end it all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any

from breaks.damage import files_of, flip, shards_of
from niicache.files import retired
from niicache.format.manifest import FileEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

STEPS = ("fsync", "replace", "link", "unlink", "rmdir", "mkdir")
"""Functions of ``os`` through which a build changes what is on disk or makes it last."""


class KilledError(BaseException):
    """Nothing reaches the disk from now on; no handler of the code under test knows it."""


@contextlib.contextmanager
def killed_at(number: int, mark: str) -> Iterator[None]:
    """Let the process be as good as dead from one step on.

    Args:
        number: The N-th step, from 1, of those that are about ``mark``.
        mark: Part of the step's name or path.
    """
    real = {name: getattr(os, name) for name in STEPS}
    seen = [0]

    def patched(name: str) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            seen[0] += seen[0] >= number or mark in f"{name} {arguments}"
            if seen[0] >= number:
                raise KilledError
            return real[name](*arguments, **options)

        return step

    try:
        for name in STEPS:
            setattr(os, name, patched(name))
        with contextlib.suppress(KilledError):
            yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _flip(path: Path, place: int) -> None:
    flip(path, place % (8 * path.stat().st_size))


def _truncate(path: Path, place: int) -> None:
    os.truncate(path, place % path.stat().st_size)


def _extend(path: Path, place: int) -> None:
    with path.open("ab") as file:
        file.write(bytes([place % 256]))


def _zero(path: Path, _: int) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _delete(path: Path, _: int) -> None:
    path.unlink()


def _folder(path: Path, _: int) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, _: int) -> None:
    path.unlink()
    os.mkfifo(path)


WAYS = {
    "flip": _flip,
    "truncate": _truncate,
    "extend": _extend,
    "zero": _zero,
    "delete": _delete,
    "pipe": _pipe,
    "folder": _folder,
}
"""How a file spoils."""


def spoil(cache: Path, way: str, place: int, *, only_shards: bool) -> set[str]:
    """Spoil a file of a cache, or exchange two of them; return their paths.

    Args:
        cache: The cache.
        way: One of :data:`WAYS`, ``swap`` or ``foreign``.
        place: Decides which file, and where in it.
        only_shards: Take one that holds voxels.
    """
    if way == "foreign":
        (cache / "foreign").write_bytes(b"who knows")
        return {"foreign"}
    names = [name for name in (shards_of if only_shards else files_of)(cache) if name != "foreign"]
    names = [name for name in names if (cache / name).stat().st_size]
    if not names:
        return set()
    one, other = names[place % len(names)], names[place // 7 % len(names)]
    if way == "swap":
        pair = [(cache / name).read_bytes() for name in (one, other)]
        for name, data in zip((other, one), pair, strict=True):
            (cache / name).write_bytes(data)
        return {one, other}
    WAYS[way](cache / one, place // 11)
    return {one}


def regular(path: Path) -> bytes | None:
    """Return the bytes of a file, None of what is no file of the cache's own."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def differing(cache: Path, files: Mapping[str, bytes]) -> set[str]:
    """Return the paths at which a cache does not hold the bytes that it should."""
    return {path for path, data in files.items() if regular(cache / path) != data}


def kept_aside(cache: Path, path: str, files: Mapping[str, bytes]) -> bool:
    """Return whether a rebuild has put the bytes of a file aside for readers."""
    return regular(retired(cache, entry_of(files[path]))) == files[path]


def entry_of(data: bytes) -> FileEntry:
    """Return what a manifest says of a file."""
    return FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())
