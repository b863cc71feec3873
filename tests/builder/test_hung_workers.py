"""A worker that hangs keeps nobody from stopping the build; one that fails says how."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from breaks.dead_worker import _workers as workers_of
from breaks.tiny import FIRST, SHARDS_OF_2, same_tree, words
from breaks.warm import start
from building import folders

from niicache_builder import BuildOptions, crew, plan_build
from niicache_builder.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from breaks.warm import Command

LISTENS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

HANGS = """
import pathlib, signal, time
import niicache_builder.case as case
read = case.read_voxels
def hanging(path):
    if pathlib.Path({mark!r}).exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    time.sleep(0.1)
    return read(path)
case.read_voxels = hanging
"""


def until_there_is(pattern: str, folder: Path) -> None:
    """Wait for a file."""
    until = time.monotonic() + 30
    while not [path for path in folder.glob(pattern) if path.stem != "holder"]:
        assert time.monotonic() < until, f"no {pattern} within half a minute"
        time.sleep(0.005)


def stop_process(build: Command, mark: Path) -> None:
    """Stop a worker, as a shell stops a job."""
    del mark
    os.kill(workers_of(build)[0], signal.SIGSTOP)


def hang_in_read(build: Command, mark: Path) -> None:
    """Let the next cases hang, deaf to what ends a process."""
    del build
    mark.touch()
    time.sleep(0.3)


@pytest.mark.parametrize("hang", [stop_process, hang_in_read])
def test_ctrl_c_ends_a_build_whose_worker_hangs(
    tmp_path: Path, hang: Callable[[Command, Path], None]
) -> None:
    target, mark = tmp_path / "cache", tmp_path / "hang"
    build = start(
        *words(FIRST.source(), target, workers=2),
        before=LISTENS + SHARDS_OF_2,
        in_workers=HANGS.format(mark=str(mark)),
    )
    until_there_is("*.json", target / ".build")
    hang(build, mark)
    os.kill(build.pid, signal.SIGINT)
    done = build.wait(20)  # 3 s where nobody else is at work
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert "run the same command to go on" in done.out + done.err
    kept = {path.stem for path in (target / ".build").glob("*.json")} - {"holder"}
    assert kept
    again = start(*words(FIRST.source(), target, workers=2), before=SHARDS_OF_2).wait()
    assert again.code == 0, again.err
    assert json.loads(again.out)["shards_resumed"] >= len(kept)
    same_tree(target, FIRST.after())


class UnsendableError(Exception):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("what went wrong")
        self.lock = threading.Lock()


class OneWayError(Exception):
    """Can be pickled, but not be read back."""

    def __init__(self, path: str, line: int) -> None:
        super().__init__(f"what went wrong in {path}:{line}")


@pytest.mark.parametrize("error", [UnsendableError(), OneWayError("file", 3)])
def test_an_error_that_cannot_be_sent_is_named(tmp_path: Path, error: Exception) -> None:
    answer = answered(tmp_path, error)
    assert isinstance(answer, crew.AnswerError)
    assert f"{type(error).__name__}: what went wrong" in str(answer)
    assert "cannot be sent to another process" in str(answer)
    assert any("in a worker process" in note for note in answer.__notes__)


def test_an_error_that_can_be_sent_is_sent(tmp_path: Path) -> None:
    answer = answered(tmp_path, OSError(28, "No space left on device", "/disk/file"))
    assert isinstance(answer, OSError)
    assert (answer.errno, answer.filename) == (28, "/disk/file")


def answered(tmp_path: Path, error: Exception) -> Any:
    """Return what a worker answers whose work ends with an error."""

    def task(*_: Any, **__: Any) -> Any:
        raise error

    (unit,) = plan_build(folders(tmp_path / "s", {"a": 1}), tmp_path / "c", BuildOptions()).units
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, task, tmp_path, SimpleNamespace(value=0), SimpleNamespace(value=0))
    thread = threading.Thread(target=crew._work, args=cast("Any", arguments))
    thread.start()
    ours.send(Attempt(unit=unit))
    assert ours.poll(30), "the worker died of it"
    answer = ours.recv()
    ours.close()
    thread.join()
    return answer
