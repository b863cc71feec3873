"""The N-th call that opens, writes, syncs, renames or makes a file or folder fails."""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from breaks import CannotBreakError
from breaks.tiny import SHARDS_OF_2, TASKS, Task, finish, said_by, same_tree, words
from breaks.warm import Done, faults, run, scratch

ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE)
NUMBERS = struct.Struct("5q")


def once(seed: int, folder: Path) -> None:
    """Let one call of a build fail, or all from one on; calls are counted up with the seed.

    Raises:
        AssertionError: The build did not say what failed and where, or something was committed,
            or the next run did not finish.
    """
    if faults() is None:
        raise CannotBreakError("no C compiler, or not Linux: no library can make calls fail")
    rng = np.random.default_rng(seed)
    task, number = _call(seed)
    error, lasting = ERRORS[int(rng.integers(len(ERRORS)))], bool(rng.integers(2))
    target = folder / "cache"
    task.begin(target)
    where = f"seed {seed}: {errno.errorcode[error]} at call {number} of {task}, lasting {lasting}"
    done, failed = _failing(task, target, number, error, lasting=lasting)
    assert failed, f"{where}: no call failed"
    assert "Traceback" not in done.err, f"{where}: {said_by(done)}"
    committed = task.is_in_force(target, done=done.code == 0)
    if done.code:
        told = "the new cache is in force" in done.err
        assert committed == told, f"{where}: committed: {committed}, {said_by(done)}"
        causes = (os.strerror(error), os.strerror(errno.EIO))
        assert any(cause in done.err for cause in causes), f"{where}: no cause, {said_by(done)}"
        places = (str(target), str(task.source()))
        assert any(place in done.err for place in places), f"{where}: no path, {said_by(done)}"
    finish(task.source(), target)
    same_tree(target, task.after())


def _call(seed: int) -> tuple[Task, int]:
    for task in TASKS:
        if seed < calls(task):
            return task, seed + 1
        seed -= calls(task)
    return _call(seed)


@cache
def calls(task: Task) -> int:
    """Return how many calls there are when none fails."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        task.begin(Path(folder) / "counted")
        _failing(task, Path(folder) / "counted", 0, 0, lasting=False)
        return NUMBERS.unpack((scratch() / "numbers").read_bytes())[0]


def _failing(
    task: Task, target: Path, number: int, error: int, *, lasting: bool
) -> tuple[Done, int]:
    """Build with a failing call; return how that ended and how many failed."""
    numbers = scratch() / "numbers"
    numbers.write_bytes(NUMBERS.pack(0, number, error, lasting, 0))
    done = run(
        *words(task.source(), target),
        before=SHARDS_OF_2,
        BREAKS_FAULTS=str(numbers),
        BREAKS_BELOW=f"{target}:{task.source()}",
    )
    return done, NUMBERS.unpack(numbers.read_bytes())[-1]
