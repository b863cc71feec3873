"""Worker processes, each known by the unit that it does: one that dies takes no other with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import threading
import time
import traceback
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, Final

from niicache_builder.attempt import Attempt, blamed
from niicache_builder.workers import deaf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from functools import partial
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from pathlib import Path

    from niicache_builder.work import Staged

NOT_STARTED: Final = -2
IDLE: Final = -1

BEAT_SECONDS = 0.1
PATIENCE_SECONDS = 0.5
"""What a process may take to end, before it is told to, and before it is killed."""


class WorkerGoneError(Exception):
    """A worker process ended without an answer."""


class StoppedError(Exception):
    """Ends a unit after the case that was under way when the build was stopped."""


class AnswerError(Exception):
    """Stands for an answer of a worker that cannot be sent to another process."""


class Worker:
    """A process that does one unit after the other."""

    def __init__(self, context: BaseContext, task: partial[Staged], root: Path, stop: Any) -> None:
        """Start the process.

        Args:
            context: How it is started.
            task: Does a unit.
            root: What the paths of the sources are relative to.
            stop: Shared; 1 when what is under way shall be given up.
        """
        self._at = context.Value("q", NOT_STARTED, lock=False)
        self._given_up = False
        self._connection, theirs = context.Pipe()
        # Ctrl-C reaches every process of a terminal, but only the parent decides what it means.
        with deaf():
            self._process = context.Process(  # type: ignore[attr-defined] # typeshed's BaseContext has none
                target=_work, args=(theirs, task, root, self._at, stop), daemon=True
            )
            self._process.start()
        # With the last of the other ends closed, its death is the end of what can be received.
        theirs.close()

    @property
    def started(self) -> bool:
        """Whether the process ever came so far as to wait for work."""
        return bool(self._at.value != NOT_STARTED)

    @property
    def done(self) -> int:
        """Cases done of the unit under way; negative where none is."""
        return int(self._at.value)

    def do(self, attempt: Attempt) -> Staged:
        """Have a unit done; waits for it.

        Raises:
            WorkerGoneError: The process died, or was given up.
            Exception: What doing it raised.
        """
        try:
            self._connection.send(attempt)
            while not self._connection.poll(BEAT_SECONDS):
                if self._given_up:
                    raise WorkerGoneError
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerGoneError from error
        if isinstance(answer, BaseException):
            raise answer
        staged: Staged = answer
        return staged

    def give_up(self) -> None:
        """Wait no longer for what is under way."""
        self._given_up = True

    def dismiss(self) -> None:
        """Give no more work: a process that has none ends."""
        self._connection.close()

    def strike(self, *, hard: bool) -> None:
        """Tell the process to end, or kill it."""
        (self._process.kill if hard else self._process.terminate)()

    def is_gone(self, until: float) -> bool:
        """Return whether the process has ended; wait for that until some time."""
        self._process.join(max(0.0, until - time.monotonic()))
        return self._process.exitcode is not None


def end_all(workers: Sequence[Worker], *, patience: float = PATIENCE_SECONDS) -> None:
    """See to it that processes end: they may be stopped, or wait for a disk that is gone.

    Args:
        workers: Those that have been dismissed, or given up.
        patience: Seconds that they have to end before they are told to.
    """
    left = _left(workers, patience)
    for hard in (False, True):
        for worker in left:
            worker.strike(hard=hard)
        left = _left(left, PATIENCE_SECONDS)


def _left(workers: Sequence[Worker], patience: float) -> list[Worker]:
    until = time.monotonic() + patience
    return [worker for worker in workers if not worker.is_gone(until)]


def _work(connection: Connection, task: partial[Staged], root: Path, at: Any, stop: Any) -> None:
    threading.Thread(target=_die_with_the_parent, daemon=True).start()
    at.value = IDLE
    with contextlib.suppress(EOFError, OSError):  # the parent has ended, or wants this to end
        while True:
            attempt: Attempt = connection.recv()
            at.value = 0
            answer = _answer(task, attempt, root, at, stop)
            data = _packed(answer)
            at.value = IDLE
            connection.send_bytes(data)


def _packed(answer: Staged | Exception) -> bytes:
    """Return an answer as bytes that the other side can read; of what has none, what it was."""
    try:
        data = bytes(ForkingPickler.dumps(answer))
        if isinstance(answer, Exception):
            pickle.loads(data)  # noqa: S301 - our own; errors may be sent and yet not received
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being sent
        why = f"{type(error).__name__}: {error}"
        what = f"{type(answer).__name__}: {answer}" if isinstance(answer, Exception) else "a result"
        stand_in = AnswerError(f"{what} (it cannot be sent to another process: {why})")
        for note in getattr(answer, "__notes__", ()):
            stand_in.add_note(note)
        return bytes(ForkingPickler.dumps(stand_in))
    return data


def _die_with_the_parent() -> None:
    """End a worker whose parent was killed: it may be in the middle of a large unit."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _answer(
    task: Callable[..., Staged], attempt: Attempt, root: Path, at: Any, stop: Any
) -> Staged | Exception:
    def advance() -> None:
        at.value += 1
        if stop.value:
            raise StoppedError

    try:
        return task(attempt.unit, without=blamed(attempt, root), advance=advance)
    except Exception as error:  # noqa: BLE001 - the parent raises it
        error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return error
