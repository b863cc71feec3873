"""Ctrl-C at a moment of our choice."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class HeldBack:
    """Remembers that Ctrl-C came."""

    def __init__(self) -> None:
        self.came = False

    def catch(self, *_: object) -> None:
        """Take the signal; a handler as :func:`signal.signal` calls it."""
        self.came = True

    def check(self) -> None:
        """Let it through, if it came.

        Raises:
            KeyboardInterrupt: It did.
        """
        if self.came:
            self.came = False
            raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[HeldBack]:
    """Hold Ctrl-C back until the end, or until the caller checks for it.

    It may strike between any two instructions. If these start a thread or wait for one, a lock
    can stay taken for which the other thread waits for ever, and with it the end of the process.
    Blocking the signal does not help: threads of numpy's libraries take it as well. Python acts on
    signals in the main thread alone; in another one there is nothing to hold back.
    """
    held = HeldBack()
    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    if not ours or before in {None, signal.SIG_IGN}:
        yield held
        return
    signal.signal(signal.SIGINT, held.catch)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)
        if held.came:
            signal.raise_signal(signal.SIGINT)
