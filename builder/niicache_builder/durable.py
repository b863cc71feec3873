"""Files that are whole after a power loss or not there at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_file(path: Path, data: bytes, *, via: Path | None = None) -> None:
    """Write a file under a temporary name, make it durable, then give it its name.

    Args:
        path: The file.
        data: Its content.
        via: Folder for the temporary name, on the same file system; beside ``path`` if None.
    """
    partial = (path.parent if via is None else via) / f"{path.name}.partial"
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a rename survives only when its folder is synced."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, and make their names durable."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
