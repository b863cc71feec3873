"""From finished units to a committed cache. Every step may be repeated after an interruption.

New shards wait in ``.build``. Each takes its place by a rename, after the file that it replaces
was linked into ``.retired``, where readers of the old generation find it. The root zarr.json
comes last: before it is renamed the old cache is in force, after it the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.files import retired
from niicache.format.manifest import FileEntry, Manifest
from niicache.format.names import RETIRED, ROOT, WORK
from niicache.format.root import pack_root
from niicache_builder.durable import make_folder, sync_folder, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A cache to be.

    Attributes:
        manifest: With an entry for every file.
        document: Metadata of the root group.
        small: Path to bytes of every file that is no shard.
        staged: Path to the staged file of every new shard.
    """

    manifest: Manifest
    document: dict[str, object]
    small: Mapping[str, bytes]
    staged: Mapping[str, Path]


def commit(target: Path, contents: Contents, old: Manifest | None) -> bool:
    """Put a cache in force.

    Args:
        target: Folder of the cache.
        contents: What it shall be.
        old: Manifest of the cache that is in force, None for the first build.

    Returns:
        Whether anything had to be written.

    Raises:
        OSError: The file system refused; the old cache is still in force.
    """
    root = pack_root(contents.document, contents.manifest)
    before = {} if old is None else dict(old.files)
    fresh = {
        path: data
        for path, data in contents.small.items()
        if not _in_place(target / path, contents.manifest.files[path])
    }
    gone = [path for path in before if path not in contents.manifest.files]
    if not (fresh or gone or contents.staged) and _reads(target / ROOT) == root:
        return False
    work = target / WORK
    make_folder(work)
    _drop_old_generations(target, before)
    for path, staged in contents.staged.items():
        _make_room(target, path, before)
        staged.replace(target / path)
        sync_folder((target / path).parent)
    for path, data in fresh.items():
        _make_room(target, path, before)
        write_file(target / path, data, via=work)
    for path in gone:
        _make_room(target, path, before)
        (target / path).unlink(missing_ok=True)
        _remove_empty_folders(target, path)
    write_file(target / ROOT, root, via=work)
    return True


def entry_of(data: bytes) -> FileEntry:
    """Return the manifest's entry for a file of this content."""
    return FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def clean_up(target: Path) -> None:
    """Remove what only an unfinished build needs."""
    shutil.rmtree(target / WORK, ignore_errors=True)


def _in_place(path: Path, entry: FileEntry) -> bool:
    data = _reads(path)
    return data is not None and entry_of(data) == entry


def _reads(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _make_room(target: Path, path: str, before: Mapping[str, FileEntry]) -> None:
    """Make the folder of a file, and keep what is there now for readers that are open."""
    make_folder((target / path).parent)
    entry = before.get(path)
    if entry is None:
        return
    keep = retired(target, entry)
    make_folder(keep.parent)
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.link(target / path, keep)


def _drop_old_generations(target: Path, before: Mapping[str, FileEntry]) -> None:
    """Forget retired files, but for those of the cache that is in force.

    They are there when a commit was interrupted, and readers need them until it is repeated.
    """
    needed = {entry.sha256 for entry in before.values()}
    with contextlib.suppress(FileNotFoundError):
        for file in (target / RETIRED).iterdir():
            if file.name not in needed:
                file.unlink()


def _remove_empty_folders(target: Path, path: str) -> None:
    for folder in list(Path(path).parents)[:-1]:
        try:
            (target / folder).rmdir()
        except OSError:
            return
