"""From finished units to a committed cache. Every step may be repeated after an interruption.

New shards wait in ``.build``. Each takes its place by a rename, after the file that it replaces
was linked into ``.retired``, where readers of the old generation find it. The root zarr.json
comes last: before it is renamed the old cache is in force, after it the new one. What a commit
will put in place is said in ``.build/placed.json`` first, so that nothing of it outlives a change
of mind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from niicache.errors import DiskError
from niicache.files import retired
from niicache.format.manifest import FileEntry, Manifest
from niicache.format.names import RETIRED, ROOT, WORK
from niicache.format.root import MOST_ROOT_BYTES, pack_root
from niicache.opening import read_below
from niicache_builder.durable import (
    NameMayGoError,
    make_folder,
    make_folders,
    sync_folder,
    sync_folders,
    write_file,
    write_files,
)
from niicache_builder.links import refuse_links
from niicache_builder.lock import HOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PLACED = "placed.json"


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


def commit(
    target: Path,
    contents: Contents,
    old: Manifest | None,
    *,
    damaged: frozenset[str] = frozenset(),
) -> bool:
    """Put a cache in force.

    Args:
        target: Folder of the cache.
        contents: What it shall be.
        old: Manifest of the cache that is in force, None for the first build.
        damaged: Paths of its files that are known to be damaged, and not worth keeping.

    Returns:
        Whether anything had to be written.

    Raises:
        OSError: The file system refused; the old cache is still in force.
        DiskError: It refused at the very end; the new cache is in force, but may be lost.
        DamageError: A folder of the cache is a link; nothing was changed.
    """
    root = pack_root(contents.document, contents.manifest)
    before = {} if old is None else dict(old.files)
    files = contents.manifest.files
    earlier = placed(target)
    refuse_links(target, _folders_of((*files, *before, *earlier)))
    fresh = {
        path: data
        for path, data in contents.small.items()
        if not _in_place(target / path, files[path])
    }
    gone = [path for path in sorted({*before, *earlier} - files.keys()) if _is_there(target / path)]
    # An interrupted commit may have made folders for files that it never put there.
    empty = sorted(earlier - files.keys())
    if not (fresh or gone or contents.staged) and _reads(target / ROOT) == root:
        _remove_empty_folders(target, empty)
        if earlier:
            sync_folder(target)  # whoever put it there may not have come so far
        return False
    work = target / WORK
    make_folder(work)
    _drop_old_generations(target, before)
    # Said before it is done, so that the next build can take back what this one may leave.
    write_file(work / PLACED, json.dumps(sorted({*earlier, *files})).encode())
    # A damaged copy would be in the way of a sound one.
    sound = [path for path in fresh if path in before and _in_place(target / path, before[path])]
    kept = [path for path in (*contents.staged, *sound, *gone) if path not in damaged]
    _keep_for_readers(target, kept, before)
    # What goes makes room first: a shard of a plane lies where one of a volume needs a folder.
    for path in gone:
        (target / path).unlink(missing_ok=True)
    _remove_empty_folders(target, (*gone, *empty))
    _put_in_place(target, contents.staged, fresh)
    _put_in_force(target, root)
    return True


def _put_in_place(target: Path, staged: Mapping[str, Path], fresh: Mapping[str, bytes]) -> None:
    make_folders((target / path).parent for path in (*staged, *fresh))
    for path, file in staged.items():
        file.replace(target / path)
    sync_folders((target / path).parent for path in staged)
    write_files({target / path: data for path, data in fresh.items()}, via=target / WORK)


def _put_in_force(target: Path, root: bytes) -> None:
    try:
        write_file(target / ROOT, root, via=target / WORK)
    except NameMayGoError as error:
        raise DiskError(
            f"{target}: the new cache is in force, but the file system refused to make that last: "
            f"{error.strerror or error}; a loss of power may bring the old one back. Mend it and "
            "run the same command again"
        ) from error


def placed(target: Path) -> frozenset[str]:
    """Return the paths at which an interrupted commit may have put files.

    They are about to be removed, so one that leads out of the cache is none.
    """
    try:
        paths = json.loads(read_below(target, f"{WORK}/{PLACED}", MOST_ROOT_BYTES))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    if not isinstance(paths, list):
        return frozenset()
    return frozenset(path for path in paths if isinstance(path, str) and _is_below(path))


def _is_below(path: str) -> bool:
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def entry_of(data: bytes) -> FileEntry:
    """Return the manifest's entry for a file of this content."""
    return FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def clean_up(target: Path) -> None:
    """Remove what only an unfinished build needs; last the name of the builder, who owns it all."""
    for file in (target / WORK).glob("*"):
        if file.name != HOLDER:
            with contextlib.suppress(OSError):  # the cache is in force, whatever stays here
                file.unlink()
    shutil.rmtree(target / WORK, ignore_errors=True)


def clean_up_failed(target: Path) -> None:
    """Remove what a failed build left, unless another one can go on from it."""
    kept = {file.name for file in (target / WORK).glob("*.json")} - {HOLDER}
    if not kept:
        clean_up(target)


def _in_place(path: Path, entry: FileEntry) -> bool:
    data = _reads(path)
    return data is not None and entry_of(data) == entry


def _reads(path: Path) -> bytes | None:
    """Return the bytes of a file; None of what is no file, such as a link or a pipe."""
    try:
        return path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else None
    except OSError:
        return None


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _keep_for_readers(target: Path, paths: Sequence[str], before: Mapping[str, FileEntry]) -> None:
    """Give files that are about to go a second name, for readers of the old generation."""
    old = {path: before[path] for path in paths if path in before}
    if not old:
        return
    make_folder(target / RETIRED)
    for path, entry in old.items():
        _keep(target / path, retired(target, entry), entry)
    # Before any of them goes: else a power loss could take both names.
    sync_folder(target / RETIRED)


def _keep(path: Path, name: Path, entry: FileEntry) -> None:
    try:
        info = path.lstat()
    except OSError:
        return
    if name.exists() or not stat.S_ISREG(info.st_mode) or info.st_size != entry.size:
        return
    try:
        os.link(path, name)
    except OSError:
        # No hard links on this file system. Readers find a moved file as well.
        path.replace(name)


def _drop_old_generations(target: Path, before: Mapping[str, FileEntry]) -> None:
    """Forget retired files, but for those of the cache that is in force.

    They are there when a commit was interrupted, and readers need them until it is repeated.
    """
    needed = {entry.sha256 for entry in before.values()}
    with contextlib.suppress(FileNotFoundError):
        for file in (target / RETIRED).iterdir():
            if file.name not in needed:
                file.unlink()


def _remove_empty_folders(target: Path, paths: Iterable[str]) -> None:
    for folder in sorted(_folders_of(paths), reverse=True):  # inner ones first
        with contextlib.suppress(OSError):  # one that is not empty, or was never made
            (target / folder).rmdir()


def _folders_of(paths: Iterable[str]) -> set[str]:
    """Return the folders below the cache that files lie in."""
    folders = {parent for path in paths for parent in PurePosixPath(path).parents}
    return {folder.as_posix() for folder in folders} - {"."}
