"""The power goes during a build or just after it, and comes back."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np

from breaks.disks import Ext4
from breaks.tiny import ANY_ROOM, SHARDS_OF_2, TASKS, finish, said_by, same_tree, words
from breaks.warm import start

if TYPE_CHECKING:
    from pathlib import Path

BEFORE_SECONDS = 0.5
AFTER_SECONDS = 5.0


def once(seed: int, folder: Path) -> None:
    """Take the power away at some instant of a build, or up to five seconds after it.

    Raises:
        AssertionError: Something is lost that was done, or what is there is neither the old cache
            nor the new one, or the next run did not finish.
    """
    rng = np.random.default_rng(seed)
    task, early = TASKS[seed % len(TASKS)], bool(rng.integers(2))
    with Ext4(folder) as disk:
        target = disk.root / "cache"
        task.begin(target)
        os.sync()
        build = start(*words(task.source(), target), before=SHARDS_OF_2 + ANY_ROOM)
        done = None if early else build.wait()
        # Most of them soon after: what was forgotten is written sooner or later by itself.
        wait = BEFORE_SECONDS * rng.uniform() if early else AFTER_SECONDS * rng.uniform() ** 3
        time.sleep(wait)
        disk.lose_power()
        done = done or build.wait()
        disk.come_back()
        where = f"seed {seed}, {task}, {wait:.4f} s {'into' if early else 'after'} it"
        assert early or done.code == 0, f"{where}: {said_by(done)}"
        try:
            task.is_in_force(target, done=done.code == 0)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
        finish(task.source(), target, before=ANY_ROOM)
        same_tree(target, task.after())
