"""One build at a time on a target. The only module that imports filelock."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from niicache.errors import LockedError
from niicache.format.names import LOCK, WORK
from niicache_builder.durable import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = "holder.json"


@contextlib.contextmanager
def hold(target: Path) -> Iterator[None]:
    """Hold the target for one build. The kernel lets go of it when the holder dies.

    Raises:
        LockedError: Another build holds it; says which.
    """
    make_folder(target)
    lock = FileLock(target / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LockedError(
            f"{target}: another build holds it: {_holder(target)}; wait for it or stop it, then "
            "run the same command again"
        ) from None
    try:
        (target / WORK).mkdir(exist_ok=True)
        _holder_path(target).write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": socket.gethostname(),
                    "since": datetime.now(UTC).isoformat(timespec="seconds"),
                }
            )
        )
        yield
    finally:
        lock.release()


def begun(target: Path) -> bool:
    """Return whether a build was begun at the target and not finished.

    Other programs have folders of the same name; only ours hold the name of a builder.
    """
    return _holder_path(target).is_file()


def _holder(target: Path) -> str:
    try:
        value = json.loads(_holder_path(target).read_bytes())
        return f"process {value['pid']} on {value['host']} since {value['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not said its name yet"


def _holder_path(target: Path) -> Path:
    return target / WORK / HOLDER
