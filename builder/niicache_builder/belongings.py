"""What builds keep in a cache: their lock, their work, the files of the generation before."""

from __future__ import annotations

import os
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
    links = {name for name in (LOCK, WORK, RETIRED) if (root / name).is_symlink()}
    for name in sorted(links):
        yield name, _strange("a symbolic link", "one of the cache's own")
    if LOCK not in links and not _is_lock(root / LOCK):
        yield LOCK, _strange("something else", "an empty file, which builds lock")
    if WORK not in links and not begun(root):
        for entry in _entries(root / WORK):
            if not entry.name.startswith(HOLDER):  # who has only just come
                yield f"{WORK}/{entry.name}", _strange("something", "no such file without a build")
    if RETIRED not in links:
        for entry in _entries(root / RETIRED):
            if not (is_digest(entry.name) and entry.is_file(follow_symlinks=False)):
                yield (
                    f"{RETIRED}/{entry.name}",
                    _strange("something", "files called by their digests"),
                )


def _strange(got: str, expected: str) -> Finding:
    return Finding(kind="unexpected", got=got, expected=expected)


def _is_lock(path: Path) -> bool:
    """Say whether there is an empty file, or nothing."""
    try:
        info = path.lstat()
    except OSError:
        return True
    return stat.S_ISREG(info.st_mode) and not info.st_size


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
