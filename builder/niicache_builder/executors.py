"""Units of work on the processes of this machine."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from niicache.errors import WorkerDiedError
from niicache_builder.durable import SYNCS_AT_ONCE
from niicache_builder.interrupts import held_back
from niicache_builder.work import Staged, do_unit, seal
from niicache_builder.workers import deaf, ready_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from niicache.format.manifest import Recipe
    from niicache_builder.progress import Progress
    from niicache_builder.record import UnitResult
    from niicache_builder.unit import Unit

BEAT_SECONDS = 0.25
SHOWN_CASES = 3


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
        progress: Told of cases done, and several times a second that the work is alive.

    Raises:
        KeyboardInterrupt: The user stopped the build; units under way were given up.
        WorkerDiedError: A worker process was killed.
        OSError: A shard could not be written.
    """
    task = partial(do_unit, recipe=recipe, root=root, work=work, skip=skip)
    if workers == 0:
        for unit in units:
            yield seal(task(unit, advance=partial(progress.advance, 1)), work)
        return
    # The longest first: else one worker may begin with it when the others are done.
    longest = sorted(units, key=_size, reverse=True)
    with held_back() as ctrl_c:
        pool, shared, pending = _start(task, longest, workers)
        threads = ThreadPoolExecutor(SYNCS_AT_ONCE)
        # What comes after this needs it, it takes its time to load, and there is time now.
        threads.submit(import_module, "niicache_builder.tables")
        sealed: set[Future[UnitResult]] = set()
        seen = 0
        try:
            while pending or sealed:
                futures: list[Future[Any]] = [*pending, *sealed]
                wait(futures, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
                ctrl_c.check()
                # Read without its lock, which a worker that was killed may hold still.
                seen, before = shared.done.get_obj().value, seen
                progress.advance(seen - before)
                for done in [future for future in pending if future.done()]:
                    staged = _result_of(done, pending.pop(done), started=bool(shared.joined.value))
                    sealed.add(threads.submit(seal, staged, work))
                for whole in [future for future in sealed if future.done()]:
                    sealed.remove(whole)
                    yield whole.result()
        finally:
            shared.stop.value = 1
            pool.shutdown(wait=True, cancel_futures=True)
            threads.shutdown(wait=True)


def _size(unit: Unit) -> int:
    return unit.nbytes


def _start(
    task: partial[Staged], units: Sequence[Unit], workers: int
) -> tuple[ProcessPoolExecutor, _Shared, dict[Future[Staged], Unit]]:
    """Start the workers.

    Ctrl-C reaches every process of a terminal, but only the parent decides what it means.
    """
    context = ready_workers()
    # Before the block: the first of these starts multiprocessing's tracker, which unblocks SIGINT.
    shared = _Shared(
        done=context.Value("q", 0),
        joined=context.Value("q", 0),
        stop=context.Value("b", 0, lock=False),
    )
    with deaf():
        pool = ProcessPoolExecutor(min(workers, len(units)), context, _join, (shared,))
        pending = {pool.submit(_do_one, task, unit): unit for unit in units}
    return pool, shared, pending


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shared:
    """What the processes of a build have in common.

    Attributes:
        done: Cases done by all of them.
        joined: Workers that ever started.
        stop: 1 when what is under way shall be given up.
    """

    done: Any
    joined: Any
    stop: Any


class _StoppedError(Exception):
    """Ends a unit after the case that was under way when the build was stopped."""


_worker: dict[str, _Shared] = {}
"""Of a worker process: what it was started with. Shared memory can only be inherited."""


def _join(shared: _Shared) -> None:
    _worker["shared"] = shared
    with shared.joined.get_lock():
        shared.joined.value += 1
    threading.Thread(target=_die_with_the_parent, daemon=True).start()


def _die_with_the_parent() -> None:
    """End a worker whose parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do_one(task: partial[Staged], unit: Unit) -> Staged:
    shared = _worker["shared"]

    def advance() -> None:
        with shared.done.get_lock():
            shared.done.value += 1
        if shared.stop.value:
            raise _StoppedError

    return task(unit, advance=advance)


def _result_of(future: Future[Staged], unit: Unit, *, started: bool) -> Staged:
    try:
        return future.result()
    except BrokenProcessPool as error:
        if not started:
            raise WorkerDiedError(
                "no worker process could start; in a script put the call of build under "
                "`if __name__ == '__main__':`, or work in this process with workers=0"
            ) from error
        names = [case.files.name for case in unit.slots if case is not None]
        more = " ..." if len(names) > SHOWN_CASES else ""
        raise WorkerDiedError(
            "a worker process was killed, for want of memory most likely, near the cases "
            f"{', '.join(names[:SHOWN_CASES])}{more} of class {unit.class_name!r}; run the same "
            "command again with fewer --workers, finished shards are kept"
        ) from error
