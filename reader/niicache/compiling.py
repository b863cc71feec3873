"""How the reader's loops are compiled, and by which thread: one that Ctrl-C reaches.

Compiling a loop takes seconds. Python tells the main thread alone of a Ctrl-C, and who waits for
another thread to end waits for what it compiles.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numba
from numba.core import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_own = threading.local()


def compiled(function: Callable[..., None]) -> Any:
    """Compile on first use and keep the result on disk, where there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no writable folder for its cache
        return numba.njit(nogil=True)(function)


class CompilerNeeded(BaseException):
    """A loop is not compiled for these dtypes yet, and this thread is not to do it.

    No user sees it, and ``except Exception`` in a user's function does not stop it.
    """


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let this thread raise :class:`CompilerNeeded` where it would compile a loop of ours."""
    before = getattr(_own, "forbidden", False)
    _own.forbidden = True
    try:
        yield
    finally:
        _own.forbidden = before


def loops_compiled() -> int:
    """Return how many loops of transforms this thread has begun to compile."""
    return getattr(_own, "count", 0)


class _Guard(event.Listener):  # type: ignore[misc]  # numba ships no types
    """Hears that numba is about to compile something that it has not stored."""

    def on_start(self, event: Any) -> None:
        module = str(event.data["dispatcher"].py_func.__module__)  # None of what exec made
        if getattr(_own, "forbidden", False) and module.startswith("niicache."):
            raise CompilerNeeded
        if module.startswith("niicache.augment."):
            _own.count = loops_compiled() + 1

    def on_end(self, event: Any) -> None: ...


event.register("numba:compile", _Guard())
