"""One build at a time on a target. The only module that imports filelock."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from niicache.errors import LockedError
from niicache.format.names import LOCK, RETIRED, WORK
from niicache_builder.durable import make_folder, partial_name
from niicache_builder.links import refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = "holder.json"
UNNAMED = "a process that has not said its name yet"
NAMING_SECONDS = 2.0
POLL_SECONDS = 0.01


@contextlib.contextmanager
def hold(target: Path) -> Iterator[None]:
    """Hold the target for one build. The kernel lets go of it when the holder dies.

    Raises:
        LockedError: Another build holds it; says which.
        DamageError: What belongs to builds is a link.
    """
    make_folder(target)
    refuse_links(target, (LOCK, WORK, RETIRED))
    lock = FileLock(target / LOCK)
    patience = time.monotonic() + NAMING_SECONDS
    while not _taken(lock):
        # One without a name has only just come, or is about to go: it is worth a moment.
        holder = _holder(target)
        late = time.monotonic() > patience
        if late or (holder is not None and holder.lives):
            raise LockedError(
                f"{target}: another build holds it: {holder or UNNAMED}; wait for it or stop it, "
                "then run the same command again"
            )
        time.sleep(POLL_SECONDS)
    try:
        if (target / LOCK).stat().st_size:
            os.truncate(target / LOCK, 0)  # whatever somebody else has written into it
        (target / WORK).mkdir(exist_ok=True)
        _say_name(target)
        yield
    finally:
        lock.release()


def begun(target: Path) -> bool:
    """Return whether a build was begun at the target and not finished.

    Other programs have folders of the same name; only ours hold the name of a builder.
    """
    return _holder_path(target).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @property
    def lives(self) -> bool:
        """Whether it may be at work; a name outlives a build that was killed."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _say_name(target: Path) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = _Holder(pid=os.getpid(), host=socket.gethostname(), since=since)
    path = _holder_path(target)
    # Renamed into place, so that nobody reads half a name.
    partial = partial_name(path)
    partial.write_text(json.dumps(asdict(holder)))
    partial.replace(path)


def _holder(target: Path) -> _Holder | None:
    try:
        return _Holder(**json.loads(_holder_path(target).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _holder_path(target: Path) -> Path:
    return target / WORK / HOLDER
