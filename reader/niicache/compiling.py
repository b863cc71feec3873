"""How the reader's loops are compiled, and by which thread: one that Ctrl-C reaches.

Compiling a loop takes seconds. Python tells the main thread alone of a Ctrl-C, and who waits for
another thread to end waits for what it compiles.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numba
from numba.core import event
from numba.core.caching import FunctionCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_own = threading.local()


class _Store(FunctionCache):  # type: ignore[misc]  # numba ships no types
    """What numba keeps on disk, where the disk takes it and gives it back."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a compiled loop; None if there is none, or what there is cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  # pickle raises anything, of files cut by a power loss
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled loop, unless the disk is full, or its index cannot be read or mended."""
        with suppress(Exception):
            super().save_overload(sig, data)


def compiled(function: Callable[..., None]) -> Any:
    """Compile on first use, without the GIL, and keep the result on disk."""
    return kept(numba.njit(nogil=True)(function))


def kept(loop: Any) -> Any:
    """Return a loop that is kept on disk once it is compiled, where there is a place for it."""
    with suppress(RuntimeError):  # numba found no writable folder
        loop._cache = _Store(loop.py_func)  # noqa: SLF001  # what numba's cache=True sets
    return loop


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


class _Guard(event.Listener):  # type: ignore[misc]  # numba ships no types
    """Hears that numba is about to compile something that it has not stored."""

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__  # None of what exec made
        if getattr(_own, "forbidden", False) and str(module).startswith("niicache."):
            raise CompilerNeeded

    def on_end(self, event: Any) -> None: ...


event.register("numba:compile", _Guard())
