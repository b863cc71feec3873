"""Hold every path of a cache against its manifest: what folders, sizes and digests show."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from niicache.files import retired
from niicache.format.names import LOCK, RETIRED, ROOT, WORK
from niicache_builder.belongings import strange_belongings
from niicache_builder.commit import placed
from niicache_builder.damage import Finding, Kind
from niicache_builder.options import default_workers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from niicache.cache import Cache
    from niicache.format.manifest import FileEntry
    from niicache_builder.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found at the paths of a cache.

    Attributes:
        wrong: Path below the cache to what is wrong there.
        kept: Files that are elsewhere now, but intact in ``.retired``, where readers find them.
        nbytes: Bytes that were read.
    """

    wrong: Mapping[str, Finding]
    kept: frozenset[str]
    nbytes: int


def examine(cache: Cache, unread: Collection[str], progress: Progress) -> Examination:
    """Look at every file of a cache, and at everything that should not be there.

    Args:
        cache: The cache.
        unread: Files whose presence and size are enough.
        progress: Told of the bytes read.
    """
    files = cache.manifest.files
    wrong = _misplaced(cache)
    to_read = [name for name in files if name not in wrong and name not in unread]
    for name, digest in _digests(cache, to_read, progress):
        if isinstance(digest, OSError):
            wrong[name] = Finding(
                kind="unreadable", got=str(digest.strerror), expected=_in_bytes(files[name].size)
            )
        elif digest != files[name].sha256:
            wrong[name] = Finding(
                kind="damaged",
                got=f"sha256 {digest:.16}",
                expected=f"sha256 {files[name].sha256:.16}",
            )
    # Only what a commit under way may have replaced or taken away: elsewhere a copy is no excuse
    # for damage.
    waiting = placed(cache.path)
    kept = {
        name
        for name, one in wrong.items()
        if name in files
        and (name in waiting or (waiting and one.kind == "missing"))
        and is_kept(cache.path, files[name])
    }
    return Examination(
        wrong={name: wrong[name] for name in sorted(wrong) if name not in kept},
        kept=frozenset(kept),
        nbytes=sum(files[name].size for name in to_read),
    )


def _misplaced(cache: Cache) -> dict[str, Finding]:
    """Return what the folders alone show to be wrong."""
    there, folders = _tree(cache.path)
    wrong: dict[str, Finding] = {}
    root = there.pop(ROOT, None)
    if root is not None and stat.S_ISLNK(root.st_mode):
        wrong[ROOT] = _link()
    files = cache.manifest.files
    for name, entry in files.items():
        info = there.pop(name, None)
        finding = _missing(name in folders, entry) if info is None else _outside(info, entry)
        if finding is not None:
            wrong[name] = finding
    waiting = placed(cache.path)
    for name in there.keys() - waiting:
        got = _in_bytes(there[name].st_size)
        wrong[name] = Finding(kind="unexpected", got=got, expected="no such file in this cache")
    for name in _foreign_folders(folders - files.keys(), (*files, *waiting, *there)):
        got = "a folder with no file in it"
        wrong[name] = Finding(kind="unexpected", got=got, expected="no such folder in this cache")
    return wrong | dict(strange_belongings(cache.path))


def _missing(is_folder: bool, entry: FileEntry) -> Finding:  # noqa: FBT001 - one private caller
    if is_folder:
        return Finding(kind="not-a-file", got="a folder", expected=_in_bytes(entry.size))
    return Finding(kind="missing", got="no file", expected=_in_bytes(entry.size))


def _outside(info: os.stat_result, entry: FileEntry) -> Finding | None:
    """Return what is wrong with a file that nobody has opened yet."""
    if stat.S_ISLNK(info.st_mode):
        return _link()
    expected = _in_bytes(entry.size)
    if not stat.S_ISREG(info.st_mode):
        return Finding(kind="not-a-file", got="something that is no file", expected=expected)
    if info.st_size == entry.size:
        return None
    kind: Kind = "truncated" if info.st_size < entry.size else "extended"
    return Finding(kind=kind, got=_in_bytes(info.st_size), expected=expected)


def _link() -> Finding:
    return Finding(kind="link", got="a symbolic link", expected="a file of the cache's own")


def _in_bytes(size: int) -> str:
    return f"{size:,} bytes"


def _tree(root: Path) -> tuple[dict[str, os.stat_result], set[str]]:
    """Return every file and link, and every folder, but for what builds leave to builds."""
    files: dict[str, os.stat_result] = {}
    below: set[str] = set()
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        if here == root:
            folders[:] = [name for name in folders if name not in {WORK, RETIRED}]
            names[:] = [name for name in names if name != LOCK]
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*names, *links):
            files[(here / name).relative_to(root).as_posix()] = (here / name).lstat()
        below |= {(here / name).relative_to(root).as_posix() for name in folders}
    return files, below - files.keys()


def _foreign_folders(folders: set[str], files: Iterable[str]) -> list[str]:
    """Return the topmost folders that hold no file and that no file needs."""
    needed = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
    foreign = folders - needed
    return sorted(name for name in foreign if PurePosixPath(name).parent.as_posix() not in foreign)


def _digests(
    cache: Cache, names: list[str], progress: Progress
) -> Iterator[tuple[str, str | OSError]]:
    sizes = {name: cache.manifest.files[name].size for name in names}
    # The longest first: else one thread may begin with it when the others are done.
    order = sorted(names, key=sizes.__getitem__, reverse=True)
    progress.begin("verify", sum(sizes.values()), "bytes")
    with ThreadPoolExecutor(default_workers(), thread_name_prefix="niicache-verify") as pool:
        digests = pool.map(digest_of, (cache.path / name for name in order))
        for name, digest in zip(order, digests, strict=True):
            progress.advance(sizes[name])
            yield name, digest
    progress.end()


def digest_of(path: Path) -> str | OSError:
    """Return the sha256 of a file, or why it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error


def is_kept(root: Path, entry: FileEntry) -> bool:
    """Return whether ``.retired`` holds a file of this content, and leads nowhere else."""
    path = retired(root, entry)
    return not path.parent.is_symlink() and path.is_file() and digest_of(path) == entry.sha256
