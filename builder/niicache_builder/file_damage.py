"""What became of a file that has other bytes than the manifest says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from niicache.format.names import RETIRED
from niicache_builder.damage import Finding
from niicache_builder.examine import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from niicache.cache import Cache
    from niicache.format.manifest import FileEntry

PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Suspects:
    """Where the bytes of a damaged file may come from.

    Attributes:
        files: sha256 to path of every file of the cache.
        retired: sha256 of what earlier builds left for open readers.
    """

    files: Mapping[str, str]
    retired: frozenset[str]


def suspects_of(cache: Cache) -> Suspects:
    """Return where the bytes of a damaged file may come from."""
    folder = cache.path / RETIRED
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    files = {entry.sha256: path for path, entry in cache.manifest.files.items()}
    return Suspects(files, frozenset(names))


def file_damage(path: Path, entry: FileEntry, finding: Finding, suspects: Suspects) -> Finding:
    """Return what is wrong with a file, told better by its bytes where they tell.

    Args:
        path: A file that is not what the manifest says.
        entry: What it says.
        finding: What size and digest showed.
        suspects: Where its bytes may come from.
    """
    digest = digest_of(path)
    if isinstance(digest, OSError):
        return replace(finding, kind="unreadable", got=str(digest.strerror))
    if digest == entry.sha256:
        return finding  # mended meanwhile, or a bad read that did not last
    return _of_elsewhere(digest, suspects) or _by_content(path, entry, finding)


def _of_elsewhere(digest: str, suspects: Suspects) -> Finding | None:
    if digest in suspects.files:
        got = f"the bytes of {suspects.files[digest]}"
        return Finding(kind="swapped", got=got, expected="its own")
    if digest in suspects.retired:
        return Finding(kind="replayed", got="a file of an earlier build", expected="its own bytes")
    return None


def _by_content(path: Path, entry: FileEntry, finding: Finding) -> Finding:
    size = path.stat().st_size
    if size and _is_zeros(path):
        return replace(finding, kind="zero-filled", got=f"nothing but zeros, {size:,} bytes")
    if finding.kind == "extended" and _begins_with(path, entry):
        return replace(finding, got=f"its own bytes and {size - entry.size:,} more")
    return finding


def _is_zeros(path: Path) -> bool:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if piece.count(0) != len(piece):
                return False
    return True


def _begins_with(path: Path, entry: FileEntry) -> bool:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(entry.size)).hexdigest() == entry.sha256


def origin(path: Path, cache: Cache, missing: frozenset[str]) -> str:
    """Return which missing file a file that should not be there holds the bytes of, or ""."""
    size = path.lstat().st_size
    files = cache.manifest.files
    alike = {files[name].sha256: name for name in missing if files[name].size == size}
    if not alike or path.is_symlink() or not path.is_file():
        return ""
    return alike.get(str(digest_of(path)), "")
