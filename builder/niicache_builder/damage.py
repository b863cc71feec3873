"""The kinds of damage that a cache can have, and what to do about each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "missing",  # no file at its place
    "unexpected",  # a file or folder that the manifest does not name
    "link",  # a symbolic link in place of a file
    "not-a-file",  # a folder, a pipe, ... in place of a file
    "unreadable",  # the file system refuses to read it
    "truncated",  # shorter than it was
    "extended",  # longer than it was
    "zero-filled",  # zeros in place of a file, an index or a chunk
    "swapped",  # it holds the bytes of another file of this cache
    "replayed",  # sound, but of another build
    "damaged",  # other bytes, of the right number
    "index-damaged",  # the same, in the index of a shard
    "chunk-damaged",  # the same, in a chunk
    "chunk-missing",  # the index of the shard says that there is no such chunk
    "chunk-swapped",  # a sound chunk of another place
    "manifest-damaged",  # the root zarr.json does not prove itself
]
"""Codes of the problems that verification finds. A file has one, or one for each damaged chunk."""

SourceKind = Literal["source-changed", "source-missing", "source-new"]
"""Codes of the differences between a whole cache and its sources."""

UNREAD: Final = frozenset[Kind]({"missing", "unexpected", "link", "not-a-file", "unreadable"})
"""What the folders alone show, and a look into the file cannot tell better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong at one path of a cache.

    Attributes:
        kind: In which way.
        got: The fact that was found.
        expected: The fact that disagrees with it.
    """

    kind: Kind
    got: str
    expected: str


def hint_for(kind: Kind) -> str:
    """Return what to do about a file of a cache that has a problem."""
    if kind == "unexpected":
        return "delete it, nothing in the cache depends on it"
    repair = "run `niicache repair` with the sources"
    again = "run the same build again, which writes what is missing"
    return f"{repair}; or {again}" if kind == "missing" else f"{repair}; or delete it and {again}"
