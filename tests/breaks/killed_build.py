"""SIGKILL of a build and all its workers at random instants, until it is done all the same."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from breaks.tiny import SHARDS_OF_2, TASKS, Task, said_by, same_tree, words
from breaks.warm import Done, scratch, start
from niicache_builder.record import load_result

KILLS = 5
WORKERS = (0, 2)
ID_DIGITS = 64


def once(seed: int, folder: Path) -> None:
    """Kill a build five times, a first one or a rebuild, and let it finish after that.

    Raises:
        AssertionError: A kill cost more than a shard a worker, left something between two caches,
            or the build did not end as one that nobody disturbed.
    """
    rng = np.random.default_rng(seed)
    task, workers = TASKS[seed % len(TASKS)], WORKERS[seed // len(TASKS) % len(WORKERS)]
    target = folder / "cache"
    kills = 0
    done = None
    while kills < KILLS or done is None:
        if not target.exists():
            task.begin(target)
        instant = rng.uniform(0, duration(task, workers)) if kills < KILLS else None
        where = f"seed {seed}, kill {kills} after {instant} s of {task}, {workers} workers"
        staged, recorded = _staged(target), _recorded(target)
        done = _build(task, target, workers, instant)
        lost = _staged(target) - staged - _recorded(target)
        assert len(lost) <= max(workers, 1), f"{where}: {len(lost)} shards have to be done again"
        committed = task.is_in_force(target, done=done is not None)
        if done is None:
            kills += 1
            assert committed or recorded <= _recorded(target), f"{where}: finished shards are gone"
            continue
        said = json.loads(done.out)
        resumed = said["shards_resumed"]
        assert not said["changed"] or resumed == len(recorded), f"{where}: resumed {resumed}"
        same_tree(target, task.after())
        shutil.rmtree(target)


@cache
def duration(task: Task, workers: int) -> float:
    """Return the seconds that it takes when nobody disturbs it."""
    return min(_undisturbed(task, workers) for _ in range(2))


def _undisturbed(task: Task, workers: int) -> float:
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        target = Path(folder) / "timed"
        task.begin(target)
        begun = time.monotonic()
        _build(task, target, workers, None)
        return time.monotonic() - begun


def _build(task: Task, target: Path, workers: int, instant: float | None) -> Done | None:
    """Build, and kill it at an instant; return None where it was still at work."""
    build = start(*words(task.source(), target, workers=workers), before=SHARDS_OF_2)
    if instant is not None:
        time.sleep(instant)
        build.kill()
    done = build.wait()
    assert done.code in {0, -9}, said_by(done)
    return done if done.code == 0 else None


def _staged(target: Path) -> set[str]:
    """Return the units of which there are shards, whole or not, that wait for the commit."""
    names = {file.name for file in (target / ".build").glob("*.image*")}
    return {name[:ID_DIGITS] for name in names}


def _recorded(target: Path) -> set[str]:
    """Return the units that are finished, durable or not."""
    files = (target / ".build").glob("*.json*")
    return {file.name[:ID_DIGITS] for file in files if load_result(file) is not None}
