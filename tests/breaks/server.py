"""Forks commands of niicache off a process that has loaded all of it; see ``warm.py``.

Reads a JSON object a line and answers with one: ``{"words": ...}`` starts a command and answers
its process, ``{"wait": process, "seconds": ...}`` answers its exit code, or null when it is late.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from importlib import import_module
from typing import Any

LOADED = ("build", "tables", "verify", "cli.main", "report.built", "cli.progress")

if __name__ == "__mp_main__":
    # A worker of a command. What shall happen in it alone is said by whoever started the command.
    exec(os.environ.get("BREAKS_IN_WORKERS", ""))  # noqa: S102 - the tests' own statements


def serve() -> None:
    """Answer until nobody asks any more."""
    for name in LOADED:
        import_module(f"niicache_builder.{name}")
    gc.freeze()  # what is loaded stays shared with the commands
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        if "wait" in asked:
            answer = wait(asked["wait"], asked["seconds"])
        else:
            answer = os.fork()
            if answer == 0:
                command(asked)
            # The child does so too: whoever is first, it can be killed from now on.
            os.setpgid(answer, answer)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def wait(process: int, seconds: float) -> int | None:
    """Return the exit code of a process, negative for a signal, None when it is late."""
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.001)


def command(asked: dict[str, Any]) -> None:
    """Be the command: a group of processes of its own, with files for what it says."""
    os.setpgid(0, 0)
    for name, fd in ((os.devnull, 0), (asked["out"], 1), (asked["err"], 2)):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, fd)
        os.close(file)
    os.environ.update(asked["environment"])
    if "BREAKS_FAULTS" in os.environ:
        ctypes.CDLL(None).breaks_arm()
    exec(asked["before"])  # noqa: S102 - the tests' own statements
    from niicache_builder.cli.main import main

    main(asked["words"], prog_name="niicache")


if __name__ == "__main__":
    serve()
