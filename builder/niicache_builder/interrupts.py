"""Ctrl-C, and SIGTERM where it means the same, at a moment of our choice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Sigterm:
    """Remembers that SIGTERM came.

    Attributes:
        came: Whether it did.
    """

    def __init__(self) -> None:
        self.came = False

    def strike(self, *_: object) -> None:
        """Take the signal; a handler as :func:`signal.signal` calls it.

        Raises:
            KeyboardInterrupt: Always.
        """
        self.came = True
        raise KeyboardInterrupt


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[Sigterm]:
    """Let SIGTERM, by which schedulers end a process, do what Ctrl-C does.

    It stays what it is where somebody has given it a meaning already.
    """
    sigterm = Sigterm()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield sigterm
        return
    signal.signal(signal.SIGTERM, sigterm.strike)
    try:
        yield sigterm
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class HeldBack:
    """Remembers that Ctrl-C came.

    Attributes:
        came: The signal that did, 0 for none.
        before: What each signal that is held back means.
    """

    def __init__(self, before: Mapping[int, Handler]) -> None:
        self.came = 0
        self.before = before

    def catch(self, number: int, _: object) -> None:
        """Take the signal; a handler as :func:`signal.signal` calls it."""
        self.came = number

    def check(self) -> None:
        """Let it through, if it came.

        Raises:
            KeyboardInterrupt: It did.
        """
        if self.came:
            number, self.came = self.came, 0
            self.before[number](number, None)


@contextmanager
def held_back() -> Iterator[HeldBack]:
    """Hold Ctrl-C back until the end, or until the caller checks for it.

    It may strike between any two instructions. If these start a thread or wait for one, a lock
    can stay taken for which the other thread waits for ever, and with it the end of the process.
    Blocking the signal does not help: threads of numpy's libraries take it as well. Python acts on
    signals in the main thread alone; in another one there is nothing to hold back.
    """
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    ours = threading.current_thread() is threading.main_thread()
    # What is ignored, or ends the process at once, is no function.
    held = HeldBack({n: one for n, one in handlers.items() if ours and callable(one)})
    for number in held.before:
        signal.signal(number, held.catch)
    try:
        yield held
    finally:
        for number, handler in held.before.items():
            signal.signal(number, handler)
        if held.came:
            signal.raise_signal(held.came)
