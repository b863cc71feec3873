"""Commands of niicache as processes of their own that start at once.

Loading takes ten times as long as a tiny build. One process loads everything and forks a command
off itself whenever it is asked to, so that breaks hit the work and not the loading.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from building import environment

SECONDS = 60.0
"""What a command may take before it counts as hung."""

_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended.

    Attributes:
        code: Exit code, negative for a signal.
        out: What it printed.
        err: What it printed to stderr.
    """

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that was started, and the group of processes that it leads.

    Attributes:
        pid: The process.
        out: File of what it prints.
        err: File of what it prints to stderr.
    """

    pid: int
    out: Path
    err: Path

    def kill(self) -> None:
        """Kill the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = SECONDS) -> Done:
        """Return how it ended.

        Raises:
            AssertionError: It did not; it was killed.
        """
        code = _ask(wait=self.pid, seconds=seconds)
        if code is None:
            self.kill()
            _ask(wait=self.pid, seconds=SECONDS)
            raise AssertionError(f"hung for {seconds:g} s, then said {self.err.read_text()!r}")
        done = Done(code=code, out=self.out.read_text(), err=self.err.read_text())
        self.out.unlink()
        self.err.unlink()
        return done


def start(*words: str | Path, before: str = "", in_workers: str = "", **variables: str) -> Command:
    """Start ``niicache ...``.

    Args:
        words: What follows ``niicache``.
        before: Statements that run first.
        in_workers: Statements that run first in each of its workers.
        variables: Of its environment.
    """
    name = scratch() / str(next(_numbers))
    out, err = name.with_suffix(".out"), name.with_suffix(".err")
    for file in (out, err):
        file.touch()
    pid = _ask(
        words=[*map(str, words)],
        out=str(out),
        err=str(err),
        before=before,
        environment={**variables, "BREAKS_IN_WORKERS": in_workers},
    )
    return Command(pid=pid, out=out, err=err)


def run(*words: str | Path, before: str = "", in_workers: str = "", **variables: str) -> Done:
    """Run ``niicache ...`` to its end."""
    return start(*words, before=before, in_workers=in_workers, **variables).wait()


@cache
def scratch() -> Path:
    """Return a folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="niicache-breaks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def faults() -> Path | None:
    """Return the library that makes calls fail when asked to; None where it cannot be made."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    library = scratch() / "faults.so"
    code = Path(__file__).with_name("faults.c")
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", library, code, "-ldl"]
    return library if subprocess.run(words, check=False).returncode == 0 else None


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("server.py")],
        env={**environment(), "LD_PRELOAD": str(faults() or "")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(server.kill)
    return server


def _ask(**what: Any) -> Any:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{json.dumps(what)}\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())
