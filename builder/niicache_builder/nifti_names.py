"""Names of NIfTI files; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX = re.compile(r"\.(nii|hdr|img)(\.gz)?\Z", re.IGNORECASE)
_HALVES = {"hdr": "img", "img": "hdr", "HDR": "IMG", "IMG": "HDR", "Hdr": "Img", "Img": "Hdr"}


def stem(name: str) -> str | None:
    """Return a file name without its NIfTI suffix (in any case), None where it has none."""
    found = _SUFFIX.search(name)
    return name[: found.start()] if found else None


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that an image is made of: ``(path,)``, or .hdr then .img of a pair.

    Names only, from either half of a pair; nothing is looked up. Both halves are gzipped or none.
    """
    found = _SUFFIX.search(path.name)
    if not found or found[1].lower() == "nii":
        return (path,)
    other = _HALVES.get(found[1]) or _HALVES[found[1].lower()]
    half = path.with_name(f"{path.name[: found.start()]}.{other}{found[2] or ''}")
    return (path, half) if found[1].lower() == "hdr" else (half, path)
