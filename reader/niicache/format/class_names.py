"""Which names a class may have: it becomes a folder of the cache. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

from niicache.format.names import CACHEDIR_TAG, README, ROOT, SKIPPED

# A class becomes a folder of the cache, beside these files (and Zarr reserves the first).
_TAKEN: Final = frozenset(name.lower() for name in (ROOT, README, CACHEDIR_TAG, SKIPPED))

CLASS_RULE: Final = "a name without / \\ and control characters that does not begin with . or __"


def class_fault(name: str) -> str:
    """Return what makes a class name unusable, or ""."""
    if not name:
        return "an empty name"
    if any(unicodedata.category(char) == "Cs" for char in name):
        return "a name that is not UTF-8"
    if name.startswith("__"):
        return f"{name!r}, which begins with __"
    if name.startswith("."):
        return f"{name!r}, which begins with a dot"
    if name.lower() in _TAKEN:
        return f"{name!r}, which is a file of every cache"
    bad = [char for char in name if char in "/\\" or unicodedata.category(char) == "Cc"]
    return f"{name!r}, with {bad[0]!r} in it" if bad else ""
