"""What builds keep in a cache: their lock, their work, the files of the generation before."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from niicache.format.members import is_digest
from niicache.format.names import LOCK, RETIRED, WORK
from niicache_builder.damage import Finding
from niicache_builder.lock import HOLDER, begun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def strange_belongings(root: Path) -> Iterator[tuple[str, Finding]]:
    """Yield what no build has left, below the folder of a cache.

    What a build under way or interrupted keeps in ``.build`` is its own affair.
    """
    lock, work, retired = root / LOCK, root / WORK, root / RETIRED
    for path in (lock, work, retired):
        if path.is_symlink():
            yield path.name, _strange(path, "one of the cache's own")
    if not lock.is_symlink() and lock.exists() and not _is_empty(lock):
        yield LOCK, _strange(lock, "an empty file, which builds lock")
    if not begun(root):
        for path in _inside(work):
            if not path.name.startswith(HOLDER):  # who has only just come
                yield f"{WORK}/{path.name}", _strange(path, "nothing there without a build")
    for path in _inside(retired):
        if not (is_digest(path.name) and stat.S_ISREG(path.lstat().st_mode)):
            yield f"{RETIRED}/{path.name}", _strange(path, "files, called by their digests")


def _strange(path: Path, expected: str) -> Finding:
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        got = "a symbolic link"
    elif stat.S_ISDIR(info.st_mode):
        got = "a folder"
    else:
        got = f"{info.st_size:,} bytes"
    return Finding(kind="unexpected", got=got, expected=expected)


def _is_empty(path: Path) -> bool:
    info = path.lstat()
    return stat.S_ISREG(info.st_mode) and not info.st_size


def _inside(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where there is none, or a link to one."""
    is_there = folder.is_dir() and not folder.is_symlink()
    return sorted(folder.iterdir()) if is_there else []
