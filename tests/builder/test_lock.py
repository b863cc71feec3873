"""Who holds a target, in the moments when that is hard to tell."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from niicache.errors import LockedError
from niicache_builder.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def held(tmp_path: Path) -> Iterator[FileLock]:
    """Hold the lock of ``tmp_path``, as another process would."""
    lock = FileLock(tmp_path / ".lock", thread_local=False)
    lock.acquire()
    (tmp_path / ".build").mkdir()
    yield lock
    lock.release(force=True)


def say(target: Path, pid: int) -> None:
    name = {"pid": pid, "host": socket.gethostname(), "since": "then"}
    (target / ".build" / "holder.json").write_text(json.dumps(name))


def later(action: threading.Timer) -> None:
    action.daemon = True
    action.start()


def dead() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def refused(target: Path) -> str:
    with pytest.raises(LockedError) as caught, hold(target):
        pass
    return str(caught.value)


@pytest.mark.usefixtures("held")
def test_one_that_has_only_just_come_is_named_all_the_same(tmp_path: Path) -> None:
    later(threading.Timer(0.3, say, (tmp_path, os.getpid())))
    assert f"process {os.getpid()} on {socket.gethostname()} since then" in refused(tmp_path)


@pytest.mark.usefixtures("held")
def test_the_name_of_a_dead_one_is_not_taken_for_that_of_its_heir(tmp_path: Path) -> None:
    say(tmp_path, dead())
    later(threading.Timer(0.3, say, (tmp_path, os.getpid())))
    assert f"process {os.getpid()} on " in refused(tmp_path)


def test_one_that_is_about_to_go_is_not_in_the_way(tmp_path: Path, held: FileLock) -> None:
    say(tmp_path, dead())
    later(threading.Timer(0.3, held.release))
    with hold(tmp_path):
        said = json.loads((tmp_path / ".build" / "holder.json").read_text())
        assert said["pid"] == os.getpid()


@pytest.mark.usefixtures("held")
def test_one_that_never_says_its_name_is_not_waited_for_long(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert "a process that has not said its name yet" in refused(tmp_path)
    assert time.monotonic() - begun < 30
