"""Files that are whole after a power loss or not there at all."""

from __future__ import annotations

import itertools
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from niicache_builder.interrupts import held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

SYNCS_AT_ONCE = 8


class NameMayGoError(OSError):
    """A file has its name, but the file system refused to make that last."""


def partial_name(path: Path) -> Path:
    """Return a name beside a file that no other process writes to.

    A worker whose parent was killed may still be at work on the same file as the next build.
    """
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")


def write_file(path: Path, data: bytes, *, via: Path | None = None) -> None:
    """Write a file under a temporary name, make it durable, then give it its name.

    Args:
        path: The file.
        data: Its content.
        via: Folder for the temporary name, on the same file system; beside ``path`` if None.

    Raises:
        NameMayGoError: It was refused when all but the last was done.
        OSError: It was refused before that.
    """
    partial = partial_name((path.parent if via is None else via) / path.name)
    _write(partial, data)
    partial.replace(path)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise NameMayGoError(error.errno, error.strerror, str(path.parent)) from error


def settle(partial: Path, path: Path) -> None:
    """Make a file that was written under a temporary name durable, then give it its name."""
    _sync(partial)
    partial.replace(path)
    sync_folder(path.parent)


def write_files(files: Mapping[Path, bytes], *, via: Path) -> None:
    """Do the same with many files, none of which has to come before another.

    Args:
        files: Path to content. The folders are there.
        via: Folder for the temporary names, on the same file system.
    """
    partials = {path: partial_name(via / path.name) for path in files}
    _all_at_once(lambda path: _write(partials[path], files[path]), files)
    for path, partial in partials.items():
        partial.replace(path)
    sync_folders(path.parent for path in files)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _all_at_once(action: Callable[[Path], None], paths: Iterable[Path]) -> None:
    """Do what mostly waits for the disk to many paths: it writes down several syncs in one go."""
    every = list(paths)
    with held_back():
        try:
            with ThreadPoolExecutor(SYNCS_AT_ONCE) as threads:
                for done in [threads.submit(action, path) for path in every]:
                    done.result()
        except RuntimeError:  # too little address space for one more thread: without, then
            for path in every:
                action(path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a rename survives only when its folder is synced."""
    _sync(path)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folders(paths: Iterable[Path]) -> None:
    """Make the names in many folders durable, each folder once."""
    _all_at_once(sync_folder, dict.fromkeys(paths))


def make_folder(path: Path) -> None:
    """Make a folder and its parents, and make their names durable."""
    make_folders([path])


def make_folders(paths: Iterable[Path]) -> None:
    """Make folders and their parents, and make their names durable."""
    missing = {
        folder
        for path in paths
        for folder in itertools.takewhile(lambda one: not one.is_dir(), (path, *path.parents))
    }
    for folder in sorted(missing):  # parents first
        folder.mkdir(exist_ok=True)
    sync_folders(folder.parent for folder in missing)
