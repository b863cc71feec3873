"""Files and folders that do not belong in a cache: taken out, one by one, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from niicache.format.names import LOCK
from niicache_builder.durable import sync_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from niicache_builder.damage import Finding


def in_the_way(root: Path, wrong: Mapping[str, Finding]) -> list[str]:
    """Return what does not belong and lies where a damaged file or its folder has to be."""
    foreign = [name for name, finding in wrong.items() if finding.kind == "unexpected"]
    needed: set[str] = set()
    for name in wrong.keys() - set(foreign):
        needed |= {name, *(parent.as_posix() for parent in PurePosixPath(name).parents)}
    folders = {name for name in needed & wrong.keys() if _is_folder(root / name)}
    within = [name for name in foreign if any(name.startswith(f"{one}/") for one in folders)]
    return sorted({*(needed & set(foreign)), *within})


def remove(root: Path, names: Iterable[str]) -> None:
    """Remove files, links and folders that hold no file; then the folders that this empties.

    The lock stays: it is held, and who came next would make and hold another one.

    Raises:
        OSError: The file system refused.
    """
    parents = set()
    for name in names:
        path = root / name
        if name == LOCK:
            continue
        if _is_folder(path):
            _remove_folders(path)
        else:
            path.unlink(missing_ok=True)
        parents |= {root / parent for parent in PurePosixPath(name).parents}
    # Of folders that are not empty, and so stay, the file system takes care.
    for folder in sorted(parents - {root}, key=lambda one: len(one.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    sync_folders(folder for folder in {root, *parents} if folder.is_dir())


def make_way(root: Path, names: Iterable[str]) -> None:
    """Remove folders without a file that stand in the place of files."""
    remove(root, [name for name in names if _is_folder(root / name)])


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove_folders(path: Path) -> None:
    for folder, _, _ in os.walk(path, topdown=False):
        Path(folder).rmdir()
