"""Units of work on the processes of this machine."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from niicache.errors import NiicacheError
from niicache_builder.work import do_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from niicache.format.manifest import Recipe
    from niicache_builder.plan import Unit
    from niicache_builder.progress import Progress
    from niicache_builder.record import UnitResult

BEAT_SECONDS = 1.0


class WorkerDiedError(NiicacheError):
    """A worker process was killed from outside, by the system for want of memory most often."""

    code = "worker-died"


def run_units(
    units: Sequence[Unit],
    recipe: Recipe,
    root: Path,
    work: Path,
    *,
    workers: int,
    skip: bool,
    progress: Progress,
) -> Iterator[UnitResult]:
    """Yield the results of units as they are finished.

    Args:
        units: What to do.
        recipe: How voxels become bytes.
        root: What the paths of the sources are relative to.
        work: Folder of the build.
        workers: Processes; 0 works in this one.
        skip: Leave out cases that fail.
        progress: Told of cases done, and at least every second that the work is alive.

    Raises:
        WorkerDiedError: A worker process was killed.
        OSError: A shard could not be written.
    """
    if workers == 0:
        for unit in units:
            result = do_unit(unit, recipe, root, work, skip=skip)
            progress.advance(unit.cases)
            yield result
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(units)), context, _leave_ctrl_c_to_the_parent)
    pending = {pool.submit(do_unit, unit, recipe, root, work, skip=skip): unit for unit in units}
    try:
        while pending:
            done, _ = wait(pending, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
            progress.advance(0)
            for future in done:
                unit = pending.pop(future)
                result = _result_of(future, unit)
                progress.advance(unit.cases)
                yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result_of(future: Future[UnitResult], unit: Unit) -> UnitResult:
    try:
        return future.result()
    except BrokenProcessPool as error:
        names = [case.files.name for case in unit.slots if case is not None]
        raise WorkerDiedError(
            "a worker process was killed, for want of memory most likely, near the cases "
            f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''} of class "  # noqa: PLR2004 - three names are enough to look at
            f"{unit.class_name!r}; run the same command again with fewer --workers, finished "
            "shards are kept"
        ) from error


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
