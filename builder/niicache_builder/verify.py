"""Prove that a cache is whole, or say what is not, to the case. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.cache import open_cache
from niicache.errors import FormatError, OptionError, Problem
from niicache.format.names import RETIRED, ROOT, WORK
from niicache_builder.contradictions import contradictions
from niicache_builder.damage import UNREAD, hint_for
from niicache_builder.examine import Examination, examine
from niicache_builder.file_damage import file_damage, origin, suspects_of
from niicache_builder.progress import Progress, Silent
from niicache_builder.shard_damage import ShardDamage, ShardName, shard_names
from niicache_builder.subset import part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache.cache import Cache
    from niicache_builder.damage import Finding
    from niicache_builder.file_damage import Suspects


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What verification found.

    Attributes:
        quick: Whether the voxels were left unread.
        subset: Which part of the shards was read, (1, 1) for all of them.
        files: Files that the manifest names.
        nbytes: Bytes of the cache that were read.
        problems: Everything that is wrong with the cache; empty means whole, as far as it was read.
        stale: Where the sources are not those that the cache was made of; empty if not asked for.
        notes: What is no damage but worth a line.
    """

    quick: bool
    subset: tuple[int, int] = (1, 1)
    files: int
    nbytes: int
    problems: tuple[Problem, ...]
    stale: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def verify(
    path: str | Path,
    *,
    quick: bool = False,
    subset: tuple[int, int] = (1, 1),
    source: str | Path | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check every file of a cache against its manifest.

    Args:
        path: Folder of the cache.
        quick: Look at structure, presence, sizes and the digests of small files only, and leave
            the voxels unread.
        subset: ``(k, n)`` reads the voxels of the k-th of n parts of the shards, k from 1.
        source: What the cache was built from: also say which cases have other sources now.
        progress: Told of the bytes read.

    Raises:
        NotACacheError: There is no cache there.
        UncommittedError: A build was begun there and not finished.
        OptionError: There is no such part, or it goes with ``quick``.
        SourceError: The source is not one.
    """
    _check(quick=quick, subset=subset)
    progress = progress or Silent()
    try:
        cache = open_cache(path)
    except FormatError as error:
        problem = _manifest_problem(Path(path) / ROOT, error)
        return Verification(quick=quick, subset=subset, files=0, nbytes=0, problems=(problem,))
    shards = shard_names(cache)
    unread = {n for n, shard in shards.items() if quick or not part(shard, subset)}
    found = examine(cache, unread, progress)
    stale: tuple[Problem, ...] = ()
    if source is not None:
        from niicache_builder.stale import stale_cases  # brings along all that reads sources

        stale = stale_cases(cache, Path(source), progress)
    problems = list(problems_of(cache, found, deep=not quick))
    problems += contradictions(cache, wrong={*found.wrong, *unread}, deep=not quick)
    return Verification(
        quick=quick,
        subset=subset,
        files=len(cache.manifest.files) + 1,
        nbytes=found.nbytes,
        problems=tuple(problems),
        stale=stale,
        notes=_notes(cache, len(found.kept)),
    )


def _check(*, quick: bool, subset: tuple[int, int]) -> None:
    number, parts = subset
    if not 1 <= number <= parts:
        raise OptionError(f"subset: got {number}/{parts}, expected k/n with k from 1 to n")
    if quick and parts > 1:
        raise OptionError("subset: got one beside quick, which reads no voxels; give one of both")


def problems_of(cache: Cache, found: Examination, *, deep: bool) -> Iterator[Problem]:
    """Yield what is wrong as problems, each with its class and cases.

    Args:
        cache: The cache.
        found: What is wrong with it.
        deep: Read the shards that are, to tell which chunks are concerned and how.
    """
    shards = shard_names(cache)
    inside, suspects = ShardDamage(cache), suspects_of(cache)
    missing = frozenset(name for name, one in found.wrong.items() if one.kind == "missing")
    for name, first in found.wrong.items():
        shard = shards.get(name)
        finding = first
        if name in cache.manifest.files and (deep or shard is None):
            finding = _looked_into(cache, name, first, suspects)
        elif deep and first.kind == "unexpected":
            finding = _traced(cache, name, first, missing)
        owner = name.split("/")[0]
        class_name = owner if owner in cache.classes else ""
        for one, cases in _told(inside, shard, finding, deep=deep):
            yield Problem(
                code=one.kind,
                path=str(cache.path / name),
                got=one.got,
                expected=one.expected,
                hint=hint_for(one.kind),
                class_name=class_name,
                case=cases,
            )


def _told(
    inside: ShardDamage, shard: ShardName | None, finding: Finding, *, deep: bool
) -> list[tuple[Finding, str]]:
    if shard is None:
        return [(finding, "")]
    if deep and finding.kind in {"damaged", "truncated", "extended", "replayed"}:
        return inside.look(shard, finding)
    return [(finding, inside.cases(shard))]


def _looked_into(cache: Cache, name: str, finding: Finding, suspects: Suspects) -> Finding:
    if finding.kind in UNREAD:
        return finding
    entry = cache.manifest.files[name]
    return file_damage(cache.path / name, entry, finding, suspects)


def _traced(cache: Cache, name: str, finding: Finding, missing: frozenset[str]) -> Finding:
    """Say of a file that should not be there whether it is one that is missing elsewhere."""
    of = origin(cache.path / name, cache, missing)
    return replace(finding, got=f"{finding.got}, those of {of}") if of else finding


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
        code="link" if path.is_symlink() else "manifest-damaged",
        path=str(path),
        got=inner.reason,
        expected="the manifest of a cache",
        hint=inner.hint,
    )
