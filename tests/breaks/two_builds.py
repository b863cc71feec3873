"""Two builds onto one target at nearly the same time, and the death of the one that holds it."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import numpy as np

from breaks.tiny import SHARDS_OF_2, TASKS, Task, finish, said_by, same_tree, words
from breaks.warm import Command, start

if TYPE_CHECKING:
    from pathlib import Path

APART_SECONDS = 0.05
LOCKED = 5


def once(seed: int, folder: Path) -> None:
    """Start two builds within 50 ms; for half of the seeds also one that dies, and its heir.

    Raises:
        AssertionError: Not one of them committed, or the other did not say who was at it, or a
            dead one was in the way.
    """
    rng = np.random.default_rng(seed)
    task = TASKS[seed % len(TASKS)]
    _at_once(rng, task, folder / "both", f"seed {seed}, {task}")
    if seed // 2 % 2:
        _one_dies(rng, task, folder / "dead", f"seed {seed}, {task}, a dead holder")


def _at_once(rng: np.random.Generator, task: Task, target: Path, where: str) -> None:
    task.begin(target)
    one = _start(task, target)
    time.sleep(rng.uniform(0, APART_SECONDS))
    other = _start(task, target)
    ends = {build.pid: build.wait() for build in (one, other)}
    codes = sorted(done.code for done in ends.values())
    told = f"{where}: {[said_by(done) for done in ends.values()]}"
    assert codes in ([0, LOCKED], [0, 0]), told
    changed = [json.loads(done.out)["changed"] for done in ends.values() if done.code == 0]
    # Where both came to an end, the second waited for nothing: it found the first one's cache.
    assert changed.count(True) == 1, told
    for done in ends.values():
        if done.code == LOCKED:
            (winner,) = (pid for pid, end in ends.items() if end.code == 0)
            found = re.search(r"process (\d+) on \S+ since", done.err)
            assert found, told
            assert int(found[1]) == winner, told
            assert json.loads(done.out)["code"] == "locked", told
    same_tree(target, task.after())


def _one_dies(rng: np.random.Generator, task: Task, target: Path, where: str) -> None:
    task.begin(target)
    one = _start(task, target)
    time.sleep(rng.uniform(0, 4 * APART_SECONDS))
    one.kill()
    one.wait()
    finish(task.source(), target)
    same_tree(target, task.after())
    assert task.is_in_force(target, done=True), where


def _start(task: Task, target: Path) -> Command:
    return start(*words(task.source(), target), before=SHARDS_OF_2)
