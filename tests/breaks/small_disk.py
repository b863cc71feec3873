"""A disk of 0 to 100 % of what a build needs: refused at once, or filled up on the way."""

from __future__ import annotations

import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from breaks.disks import Tmpfs
from breaks.tiny import ANY_ROOM, SHARDS_OF_2, TASKS, Task, finish, said_by, same_tree, words
from breaks.warm import run, scratch

PAGE = 4096
LARGE = 64 * 2**20


def once(seed: int, folder: Path) -> None:
    """Build onto a disk that is too small: one that is asked for its room, or one that lies.

    Raises:
        AssertionError: It was not refused, not by name, or the old cache suffered from it.
    """
    rng = np.random.default_rng(seed)
    task, lies = TASKS[seed % len(TASKS)], bool(seed // len(TASKS) % 2)
    share = rng.uniform()
    with Tmpfs(folder) as disk:
        target = disk.root / "cache"
        task.begin(target)
        before = ANY_ROOM if lies else ""
        need = spent(task) if lies else asked_for(task)
        used = _used(disk.root)
        disk.resize(used + int(share * need) // PAGE * PAGE)
        where = f"seed {seed}, {task}, {share:.0%} of {need:,} bytes, lies: {lies}"
        listed = sorted(target.rglob("*"))
        done = run(*words(task.source(), target), before=SHARDS_OF_2 + before)
        committed = task.is_in_force(target, done=done.code == 0)
        assert lies or done.code == 1, f"{where}: {said_by(done)}"
        if done.code:
            assert not committed, f"{where}: committed all the same, {said_by(done)}"
            assert done.code == 1, f"{where}: {said_by(done)}"
            assert "[disk]" in done.err, f"{where}: {said_by(done)}"
            assert str(target) in done.err, f"{where}: {said_by(done)}"
        if not lies:
            assert "Nothing was written" in done.err, f"{where}: {said_by(done)}"
            assert sorted(target.rglob("*")) == listed, f"{where}: something was written"
        disk.resize(LARGE)
        finish(task.source(), target)
        same_tree(target, task.after())


@cache
def asked_for(task: Task) -> int:
    """Return the room that a build asks for."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder, Tmpfs(Path(folder)) as disk:
        target = disk.root / "cache"
        task.begin(target)
        disk.resize(_used(disk.root))
        done = run(*words(task.source(), target), before=SHARDS_OF_2)
        found = re.search(r"expected about ([\d,]+)", done.err)
        assert found, said_by(done)
        return int(found[1].replace(",", ""))


@cache
def spent(task: Task) -> int:
    """Return the room that a build takes at most, roughly."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder, Tmpfs(Path(folder)) as disk:
        target = disk.root / "cache"
        task.begin(target)
        before = _used(disk.root)
        finish(task.source(), target)
        return _used(disk.root) - before


def _used(folder: Path) -> int:
    return shutil.disk_usage(folder).used
