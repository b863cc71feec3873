"""What a repair does not do, though it could: each would make something else of the cache."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from niicache.cache import Cache, open_cache
from niicache.errors import CacheError, Problem, SourceError
from niicache.format.names import CASES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from niicache.format.manifest import Manifest
    from niicache_builder.reread import Sources
    from niicache_builder.salvage import ClassSalvage

PROOF: Final = {"name", "image_hash", "label_hash"}
"""Columns that prove the sources of a shard of which no key does, because it lacks a case."""


def check_classes(manifest: Manifest, lost: Collection[Problem]) -> None:
    """Refuse to take the last case of a class: the classes after it would get other numbers.

    Args:
        manifest: Of the cache.
        lost: A problem of each case that is to be left out.

    Raises:
        SourceError: A class would be left without a case.
    """
    counts = Counter(name for name, _ in {(one.class_name, one.case) for one in lost})
    empty = {one.name for one in manifest.classes if counts[one.name] == one.cases}
    refused = [
        replace(one, hint=f"bring one back: class {one.class_name!r} would have no case left")
        for one in lost
        if one.class_name in empty
    ]
    if refused:
        raise SourceError(sorted(refused))


def check_proof(cache: Cache, left: Mapping[str, ClassSalvage], sources: Sources) -> None:
    """Refuse to leave cases out where it cannot be told whether those beside them are the same.

    Raises:
        SourceError: Hashes of sources are damaged, and without every case no key proves a shard.
    """
    unproven = {name for name, _ in sources.lost if not left[name].columns.keys() >= PROOF}
    problems = [
        Problem(
            code="case-untold",
            path=str(cache.path / name / CASES),
            got="damaged hashes of the sources, and a source that is gone or has changed",
            expected="one of both",
            hint="bring the source back, or delete the cache and build it again",
            class_name=name,
        )
        for name in sorted(unproven)
    ]
    if problems:
        raise SourceError(problems)


def check_same(cache: Cache) -> None:
    """Refuse to mend what another build has replaced since it was looked at.

    Raises:
        CacheError: Another manifest is in force.
    """
    now: Manifest = open_cache(cache.path).manifest
    if now != cache.manifest:
        raise CacheError(f"{cache.path}: another build came in between; run the same command again")
