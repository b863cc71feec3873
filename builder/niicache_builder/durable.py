"""Files that are whole after a power loss or not there at all."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
    """
    partial = partial_name((path.parent if via is None else via) / path.name)
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
