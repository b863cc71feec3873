"""Units of work on the processes of this machine."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from niicache.errors import WorkerDiedError
from niicache_builder.attempt import TRIES, Attempt, after_death, near
from niicache_builder.crew import Worker, WorkerGoneError, end_all
from niicache_builder.durable import SYNCS_AT_ONCE
from niicache_builder.interrupts import held_back
from niicache_builder.work import Staged, do_unit, seal
from niicache_builder.workers import ready_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from niicache.format.manifest import Recipe
    from niicache_builder.progress import Progress
    from niicache_builder.record import UnitResult
    from niicache_builder.unit import Unit

BEAT_SECONDS = 0.25
CASE_SECONDS = 1.0
"""What the cases under way may take when the build ends; they are not worth a longer wait."""


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
        WorkerDiedError: Worker processes were killed, and no case is to blame.
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
        crew = _Crew(task, longest, workers, root, progress)
        threads = ThreadPoolExecutor(SYNCS_AT_ONCE)
        # What comes after this needs it, it takes its time to load, and there is time now.
        threads.submit(import_module, "niicache_builder.tables")
        sealed: set[Future[UnitResult]] = set()
        try:
            while crew.hand_out() or sealed:
                futures: list[Future[Any]] = [*crew.busy, *sealed]
                wait(futures, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
                ctrl_c.check()
                sealed |= {threads.submit(seal, staged, work) for staged in crew.collect()}
                for whole in [future for future in sealed if future.done()]:
                    sealed.remove(whole)
                    yield whole.result()
        finally:
            crew.end()
            threads.shutdown(wait=True)


def _size(unit: Unit) -> int:
    return unit.nbytes


class _Crew:
    """Workers, and the units that wait for one of them.

    Attributes:
        busy: What is under way. A thread each waits for the worker.
    """

    def __init__(
        self,
        task: partial[Staged],
        units: Sequence[Unit],
        workers: int,
        root: Path,
        progress: Progress,
    ) -> None:
        self.busy: dict[Future[Staged], tuple[Worker, Attempt]] = {}
        self._todo = deque(Attempt(unit=unit) for unit in units)
        self._progress = progress
        self._finished = self._shown = 0
        count = min(workers, len(units))
        context = ready_workers()
        self._stop = context.Value("b", 0, lock=False)
        self._start = partial(Worker, context, task, root, self._stop)
        self._threads = ThreadPoolExecutor(count)
        self._idle = [self._start() for _ in range(count)]
        self._ever_started = False
        self._deaths = 0

    def hand_out(self) -> bool:
        """Give units to idle workers; return whether any is under way."""
        while self._todo and self._idle and not self._waits():
            worker, attempt = self._idle.pop(), self._todo.popleft()
            self.busy[self._threads.submit(worker.do, attempt)] = worker, attempt
        return bool(self.busy)

    def _waits(self) -> bool:
        """Return whether the next unit, or one under way, is not to have others beside it."""
        under_way = [attempt for _, attempt in self.busy.values()]
        return bool(under_way) and (self._todo[0].alone or under_way[0].alone)

    def collect(self) -> list[Staged]:
        """Return what workers have done, and replace those that died.

        Raises:
            WorkerDiedError: They die again and again, and no case is to blame.
            OSError: A shard could not be written.
        """
        staged = []
        for future in [future for future in self.busy if future.done()]:
            worker, attempt = self.busy.pop(future)
            try:
                staged.append(future.result())
            except WorkerGoneError as error:
                self._replace(worker, attempt, error)
            else:
                self._finished += attempt.unit.cases
                self._idle.append(worker)
                self._ever_started = True
        # A unit that is done again does not count twice.
        under_way = sum(max(worker.done, 0) for worker, _ in self.busy.values())
        shown, self._shown = self._shown, max(self._shown, self._finished + under_way)
        self._progress.advance(self._shown - shown)
        return staged

    def _replace(self, worker: Worker, attempt: Attempt, error: WorkerGoneError) -> None:
        done = worker.done
        self._ever_started |= worker.started
        self._deaths += 1
        worker.dismiss()
        end_all([worker])
        if not self._ever_started and self._deaths > TRIES:
            raise WorkerDiedError(
                "no worker process could start; in a script put the call of build under "
                "`if __name__ == '__main__':`, or work in this process with workers=0"
            ) from error
        # Others first: it may have been for want of memory, and those need theirs too.
        self._todo.append(after_death(attempt, done))
        self._progress.note(
            f"a worker process was killed near {near(attempt.unit)}; their shard is done again"
        )
        self._idle.append(self._start())

    def end(self) -> None:
        """End the workers: each after the case that it is at, or before, if that hangs."""
        self._stop.value = 1
        late = wait(self.busy, timeout=CASE_SECONDS).not_done
        hung = [self.busy[future][0] for future in late]
        for worker in hung:
            worker.give_up()
        end_all(hung, patience=0)
        self._threads.shutdown(wait=True)
        workers = [*self._idle, *(worker for worker, _ in self.busy.values())]
        for worker in workers:
            worker.dismiss()
        end_all(workers)
