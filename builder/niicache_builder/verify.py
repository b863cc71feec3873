"""Prove that a cache is whole, or say what is not, to the case. Reads only."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.cache import Cache, open_cache
from niicache.errors import FormatError, Problem
from niicache.files import retired
from niicache.format.names import LOCK, RETIRED, ROOT, WORK
from niicache_builder.commit import placed
from niicache_builder.options import default_workers
from niicache_builder.progress import Progress, Silent
from niicache_builder.shard_damage import hint_for, shard_damage, shard_names

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What verification found.

    Attributes:
        quick: Whether the voxels were left unread.
        files: Files that the manifest names.
        nbytes: Bytes that were read.
        problems: Everything that is wrong; empty means whole.
        notes: What is no damage but worth a line.
    """

    quick: bool
    files: int
    nbytes: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def verify(
    path: str | Path, *, quick: bool = False, progress: Progress | None = None
) -> Verification:
    """Check every file of a cache against its manifest.

    Args:
        path: Folder of the cache.
        quick: Look at structure, presence, sizes and the digests of small files only, and leave
            the voxels unread.
        progress: Told of the bytes read.

    Raises:
        NotACacheError: There is no cache there.
        UncommittedError: A build was begun there and not finished.
    """
    try:
        cache = open_cache(path)
    except FormatError as error:
        problem = _manifest_problem(Path(path) / ROOT, error)
        return Verification(quick=quick, files=0, nbytes=0, problems=(problem,), notes=())
    shards = shard_names(cache)
    files = cache.manifest.files
    wrong = _misplaced(cache)
    to_read = [name for name in files if name not in wrong and not (quick and name in shards)]
    for name, digest in _digests(cache, to_read, progress or Silent()):
        if digest != files[name].sha256:
            wrong[name] = ("damaged", f"sha256 {digest:.16}", f"sha256 {files[name].sha256:.16}")
    problems: list[Problem] = []
    kept = 0
    for name, (code, got, expected) in wrong.items():
        if name in files and _intact(retired(cache.path, files[name]), files[name].sha256):
            kept += 1
        elif name in shards:
            problems += shard_damage(cache, shards[name], code, got, expected, deep=not quick)
        else:
            owner = name.split("/")[0]
            class_name = owner if owner in cache.classes else ""
            where = str(cache.path / name)
            problems.append(_problem(code, where, got, expected, class_name=class_name))
    return Verification(
        quick=quick,
        files=len(files) + 1,
        nbytes=sum(files[name].size for name in to_read),
        problems=tuple(problems),
        notes=_notes(cache, kept),
    )


def _misplaced(cache: Cache) -> dict[str, tuple[str, str, str]]:
    """Return path to (code, got, expected) of what the folders alone show to be wrong."""
    there = dict(_tree(cache.path))
    wrong: dict[str, tuple[str, str, str]] = {}
    root = there.pop(ROOT, None)
    if root is not None and stat.S_ISLNK(root.st_mode):
        wrong[ROOT] = ("link", "a symbolic link", "a file of the cache's own")
    for name, entry in cache.manifest.files.items():
        info = there.pop(name, None)
        if info is None:
            wrong[name] = ("missing", "no file", f"{entry.size:,} bytes")
        elif stat.S_ISLNK(info.st_mode):
            wrong[name] = ("link", "a symbolic link", "a file of the cache's own")
        elif not stat.S_ISREG(info.st_mode):
            wrong[name] = ("not-a-file", "something that is no file", f"{entry.size:,} bytes")
        elif info.st_size != entry.size:
            wrong[name] = ("resized", f"{info.st_size:,} bytes", f"{entry.size:,} bytes")
    waiting = placed(cache.path)
    for name in there.keys() - waiting:
        info = there[name]
        wrong[name] = ("unexpected", f"{info.st_size:,} bytes", "no such file in this cache")
    return wrong


def _tree(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file, and every link, below the cache, but for what builds leave to builds."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        if here == root:
            folders[:] = [name for name in folders if name not in {WORK, RETIRED}]
            names[:] = [name for name in names if name != LOCK]
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*names, *links):
            yield (here / name).relative_to(root).as_posix(), (here / name).lstat()


def _digests(cache: Cache, names: list[str], progress: Progress) -> Iterator[tuple[str, str]]:
    progress.begin("verify", sum(cache.manifest.files[name].size for name in names), "bytes")
    with ThreadPoolExecutor(default_workers(), thread_name_prefix="niicache-verify") as pool:
        digests = pool.map(_digest, (cache.path / name for name in names))
        for name, digest in zip(names, digests, strict=True):
            progress.advance(cache.manifest.files[name].size)
            yield name, digest
    progress.end()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"none: {error.strerror}"


def _intact(path: Path, sha256: str) -> bool:
    return path.is_file() and _digest(path) == sha256


def _notes(cache: Cache, kept: int) -> tuple[str, ...]:
    notes = []
    if (cache.path / WORK).is_dir():
        notes.append(
            "a rebuild was begun and not finished; the same build command goes on, once what it "
            "complained of is mended"
        )
    if kept:
        notes.append(f"{kept:,} files are read from {RETIRED}, where that rebuild put them")
    if cache.manifest.skipped:
        notes.append(f"{len(cache.manifest.skipped):,} cases were skipped; see skipped.csv")
    return tuple(notes)


def _manifest_problem(path: Path, error: FormatError) -> Problem:
    # What was said before open_cache put the path in front of it.
    inner = error.__cause__ if isinstance(error.__cause__, FormatError) else error
    return Problem(
        code="manifest-damaged",
        path=str(path),
        got=inner.reason,
        expected="the manifest of a cache",
        hint=inner.hint,
    )


def _problem(code: str, path: str, got: str, expected: str, *, class_name: str = "") -> Problem:
    return Problem(
        code=code, path=path, got=got, expected=expected, hint=hint_for(code), class_name=class_name
    )
