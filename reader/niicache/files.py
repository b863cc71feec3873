"""Files of a cache, read whole and only as the manifest knows them."""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

from niicache.errors import CacheError, DamageError, FormatError, Problem
from niicache.format.names import RETIRED, ROOT
from niicache.format.root import MOST_ROOT_BYTES, unpack_root
from niicache.opening import read_below

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from niicache.format.manifest import FileEntry

REPAIR = "run `niicache verify` on the cache, then `niicache repair` with its sources"


def retired(root: Path, entry: FileEntry) -> Path:
    """Return where a file is kept after a rebuild replaced it, for readers that are still open."""
    return root / RETIRED / entry.sha256


def read_file(root: Path, path: str, entry: FileEntry) -> bytes:
    """Return the bytes of a file, proven to be those of this manifest.

    A rebuild may have replaced the file since the manifest was read; then the retired copy is
    used, so that an open cache stays one generation.

    Args:
        root: Folder of the cache.
        path: Path of the file below it.
        entry: Size and digest that the manifest holds for it.

    Raises:
        DamageError: Neither place holds the bytes; its cause is what the file system said.
    """
    got, refused = "no file", None
    for candidate in (path, f"{RETIRED}/{entry.sha256}"):
        try:
            data = read_below(root, candidate, entry.size)
        except FileNotFoundError:
            continue
        except OSError as error:
            got, refused = error.strerror or str(error), error
            continue
        if len(data) == entry.size and hashlib.sha256(data).hexdigest() == entry.sha256:
            return data
        got = f"{len(data)} other bytes" if len(data) <= entry.size else "more bytes"
    problem = damage(root / path, got, f"{entry.size} bytes, sha256 {entry.sha256[:16]}")
    raise DamageError([problem]) from refused


def damage(path: Path, got: str, expected: str, *, class_name: str = "", case: str = "") -> Problem:
    """Return the problem of a file that is not what the manifest says."""
    return Problem(
        code="damaged",
        path=str(path),
        got=got,
        expected=expected,
        hint=REPAIR,
        class_name=class_name,
        case=case,
    )


def check_generation(root: Path, files: Mapping[str, FileEntry]) -> None:
    """Tell a cache that was rebuilt under its reader from a damaged one.

    Args:
        root: Folder of the cache.
        files: Those of the manifest that the reader holds.

    Raises:
        CacheError: Another manifest is in force now, and what this one needs is gone.
    """
    try:
        now = unpack_root(read_below(root, ROOT, MOST_ROOT_BYTES))
    except (OSError, FormatError):
        return
    if now.files != files:
        raise CacheError(
            f"{root}: the cache was rebuilt more than once since it was opened, and what it held "
            "then is gone; open it again"
        )


def check_files_left(error: Exception) -> None:
    """Tell a process that has too many files open from a damaged cache.

    Raises:
        CacheError: The process has no file descriptor left.
    """
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        raise CacheError(
            f"{error.strerror}: this process cannot open more files; raise `ulimit -n`"
        ) from error
