"""Files of a cache, read whole and only as the manifest knows them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from niicache.errors import DamageError, Problem
from niicache.format.names import RETIRED

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.format.manifest import FileEntry

REPAIR = "run `niicache verify` on the cache, then build it again from its sources"


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
        DamageError: Neither place holds the bytes.
    """
    got = "no file"
    for candidate in (root / path, retired(root, entry)):
        try:
            data = candidate.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            got = str(error)
            continue
        if len(data) == entry.size and hashlib.sha256(data).hexdigest() == entry.sha256:
            return data
        got = f"{len(data)} other bytes"
    raise DamageError([damage(root / path, got, f"{entry.size} bytes, sha256 {entry.sha256[:16]}")])


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
