"""scan -> plan -> execute -> commit. Resuming is the same path with less to do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.errors import (
    DiskError,
    InterruptedBuildError,
    SourceError,
)
from niicache.format.names import WORK
from niicache_builder.assemble import assemble
from niicache_builder.commit import clean_up, clean_up_failed, commit
from niicache_builder.durable import make_folder
from niicache_builder.executors import run_units
from niicache_builder.lock import hold
from niicache_builder.machine import check_disk, check_memory
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
from niicache_builder.resume import adopt, finished
from niicache_builder.scan import Scan, scan_source
from niicache_builder.workers import ready_workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from niicache.cache import Cache
    from niicache.errors import Problem
    from niicache.format.manifest import Manifest
    from niicache_builder.record import UnitResult


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
        source: Folder of class folders, or a CSV file.
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
        source: Folder of class folders, or a CSV file.
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
    with _said_by(target):
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
            results, resumed = _execute(
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
    return plan


def _execute(
    plan: Plan, target: Path, workers: int, *, skip: bool, progress: Progress
) -> tuple[Mapping[str, UnitResult], int]:
    """Return the result of every unit to do, and how many an earlier run had finished."""
    work = target / WORK
    results: dict[str, UnitResult] = {}
    adopt(plan.todo, work)
    for unit in plan.todo:
        result = finished(unit, plan, target)
        if result is not None and (skip or not result.failures):
            results[unit.id] = result
    resumed = len(results)
    todo = [unit for unit in plan.todo if unit.id not in results]
    if not todo:
        return results, resumed
    make_folder(work)
    progress.begin("build", sum(unit.cases for unit in todo), "cases")
    try:
        for result in run_units(
            todo,
            plan.recipe,
            plan.scan.layout.root,
            work,
            workers=workers,
            skip=skip,
            progress=progress,
        ):
            results[result.id] = result
    except KeyboardInterrupt:
        raise InterruptedBuildError(
            f"stopped with {len(results)} of {len(plan.todo)} shards finished and nothing lost; "
            "run the same command to go on"
        ) from None
    finally:
        progress.end()
    failures = [problem for result in results.values() for problem in result.failures]
    if failures and not skip:
        clean_up_failed(target)
        raise SourceError(sorted(failures))
    return results, resumed


@contextlib.contextmanager
def _said_by(target: Path) -> Iterator[None]:
    """Say which cache an error of the file system befell, and how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedBuildError(
            f"{target}: stopped, and nothing lost; run the same command to go on"
        ) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise DiskError(
            f"{target}: the file system refused: {error.strerror or error}{where}; nothing was "
            "committed, mend it and run the same command to go on"
        ) from error
