"""scan -> plan -> execute -> commit. Resuming is the same path with less to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from niicache_builder.assemble import assemble
from niicache_builder.commit import clean_up, commit
from niicache_builder.execute import execute, said_by
from niicache_builder.lock import hold
from niicache_builder.machine import check_disk, check_memory
from niicache_builder.moves import moves
from niicache_builder.options import BuildOptions, default_workers
from niicache_builder.plan import Plan, make_plan
from niicache_builder.previous import (
    check_same_source,
    open_target,
    read_previous,
    unchanged_cases,
)
from niicache_builder.progress import Progress, Silent
from niicache_builder.report.warned import warning_lines
from niicache_builder.scan import Scan, scan_source
from niicache_builder.workers import ready_workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.cache import Cache
    from niicache.errors import Problem
    from niicache.format.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build did.

    Attributes:
        plan: What it was to do.
        manifest: Of the cache that is in force now.
        written: Shards written by this run.
        resumed: Shards that an interrupted run had finished.
        changed: Whether anything was committed.
        warnings: What is odd about the cases in the cache, sorted.
    """

    plan: Plan
    manifest: Manifest
    written: int
    resumed: int
    changed: bool
    warnings: tuple[Problem, ...]


def plan_build(
    source: str | Path,
    target: str | Path,
    options: BuildOptions,
    *,
    progress: Progress | None = None,
) -> Plan:
    """Read headers and decide everything; writes nothing.

    Args:
        source: A folder in a known layout, or a CSV file.
        target: Folder of the cache, which may exist already.
        options: What the user says.
        progress: Told how it goes.

    Raises:
        SourceError: The source has problems that stop the build.
        OptionError: An option is not allowed, or does not go with the source.
        CacheError: Something else is at the target, or a cache of another source.
        NoMemoryError: A padded case takes more memory than this machine has.
    """
    target = Path(target).expanduser()
    found = scan_source(source, target, options, progress or Silent())
    return _plan(found, options, open_target(target))


def build(
    source: str | Path,
    target: str | Path,
    options: BuildOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Built:
    """Make a cache, or bring it up to date, or go on with an interrupted build.

    Args:
        source: A folder in a known layout, or a CSV file.
        target: Folder of the cache.
        options: What the user says; the defaults if None.
        progress: Told how it goes.

    Raises:
        SourceError: The source has problems; nothing was committed.
        OptionError: An option is not allowed, or does not go with the source.
        CacheError: Something else is at the target, or a cache of another source.
        NoMemoryError: A padded case takes more memory than this machine has.
        DiskError: There is too little room, or the file system refused.
        LockedError: Another build holds the target.
        InterruptedBuildError: The user stopped it; finished shards are kept.
    """
    options = options or BuildOptions()
    progress = progress or Silent()
    target = Path(target).expanduser()
    workers = default_workers() if options.workers is None else options.workers
    with said_by(target):
        if workers:
            ready_workers()
        # Everything that can be refused is refused before the target is touched.
        found = scan_source(source, target, options, progress)
        before = open_target(target)
        plan = _plan(found, options, before)
        for line in warning_lines(plan.warnings):
            progress.note(line)
        check_disk(plan, target)
        with hold(target):
            old = open_target(target)
            if _manifest(old) != _manifest(before):
                # Another build came in between: it may have seen a newer source than this one.
                found = scan_source(source, target, options, progress)
                plan = _plan(found, options, old)
            results, resumed = execute(
                plan, target, workers, skip=options.on_error == "skip", progress=progress
            )
            contents, doubtful = assemble(plan, target, results, old)
            changed = commit(target, contents, _manifest(old))
            clean_up(target)
    return Built(
        plan=plan,
        manifest=contents.manifest,
        written=len(results) - resumed,
        resumed=resumed,
        changed=changed,
        warnings=_of_those_held(sorted((*plan.warnings, *doubtful)), contents.manifest),
    )


def _of_those_held(warnings: Iterable[Problem], manifest: Manifest) -> tuple[Problem, ...]:
    out = {(entry.class_name, entry.case) for entry in manifest.skipped}
    return tuple(one for one in warnings if (one.class_name, one.case) not in out)


def _manifest(cache: Cache | None) -> Manifest | None:
    return None if cache is None else cache.manifest


def _plan(found: Scan, options: BuildOptions, old: Cache | None) -> Plan:
    if old is None:
        plan = make_plan(found, options)
    else:
        previous = read_previous(old)
        check_same_source(old, previous, found.layout)
        unchanged = unchanged_cases(found.cases, previous, old, found.layout.root)
        plan = make_plan(found, options, previous=previous, unchanged=unchanged)
    check_memory(plan)
    return replace(plan, warnings=tuple(sorted((*plan.warnings, *moves(old, plan)))))
