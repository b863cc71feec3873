"""How worker processes are started. Loads nothing heavy, so that this can begin at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from multiprocessing import forkserver, resource_tracker
from typing import TYPE_CHECKING

from niicache_builder.interrupts import held_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import BaseContext

PRELOADED = "niicache_builder.executors"


def ready_workers() -> BaseContext:
    """Return how workers are started; what they all need is loaded from the first call on.

    On Linux workers are forked off a process that has loaded it, which takes half a second and can
    be had while the source is scanned. That process runs nothing else and has no threads of ours.
    """
    # Elsewhere libraries of the system do not outlive a fork.
    if sys.platform == "linux":
        # The path of a socket below TMPDIR may be too long.
        with contextlib.suppress(OSError), held_back(), deaf():
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([PRELOADED])
            forkserver.ensure_running()
            return context
    return multiprocessing.get_context("spawn")


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Block Ctrl-C in every process that is started: what it means, the parent alone decides."""
    # Started here, because multiprocessing unblocks SIGINT where it starts this for itself.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
