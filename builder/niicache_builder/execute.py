"""Do the units of a plan, but for those that an interrupted run has finished."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from niicache.errors import DiskError, InterruptedBuildError, SourceError
from niicache.format.names import WORK
from niicache_builder.commit import clean_up_failed
from niicache_builder.durable import make_folder
from niicache_builder.executors import run_units
from niicache_builder.resume import adopt, finished

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from niicache_builder.plan import Plan
    from niicache_builder.progress import Progress
    from niicache_builder.record import UnitResult


def execute(
    plan: Plan, target: Path, workers: int, *, skip: bool, progress: Progress
) -> tuple[Mapping[str, UnitResult], int]:
    """Return the result of every unit to do, and how many an earlier run had finished.

    Args:
        plan: What is to be done.
        target: Folder of the cache, which is held.
        workers: Processes; 0 works in this one.
        skip: Leave out cases that fail.
        progress: Told how it goes.

    Raises:
        SourceError: Cases failed and may not be skipped.
        InterruptedBuildError: The user stopped it; finished shards are kept.
    """
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
def said_by(target: Path) -> Iterator[None]:
    """Say which cache an error of the file system befell, and how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedBuildError(
            f"{target}: stopped, and nothing lost; run the same command to go on"
        ) from None
    except OSError as error:
        places = " to ".join(str(one) for one in (error.filename, error.filename2) if one)
        where = f" ({places})" if places else ""
        raise DiskError(
            f"{target}: the file system refused: {error.strerror or error}{where}; nothing was "
            "committed, mend it and run the same command to go on"
        ) from error
