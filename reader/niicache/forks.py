"""Forked children: allowed while no thread prepares batches, refused while one does.

A child has one thread and the locks of all. What it inherits is only sound if nobody was at work
when it was made.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import cache
from typing import TYPE_CHECKING

from niicache.errors import ForkedError
from niicache.hot import SHARED

if TYPE_CHECKING:
    from collections.abc import MutableSet

_workers: MutableSet[threading.Thread] = weakref.WeakSet()
_local = threading.local()
_unsound: list[bool] = []


def enter() -> None:
    """Note that this thread prepares batches, and refuse to where it cannot.

    Raises:
        ForkedError: This process is a fork of one in which other threads did.
    """
    _watch()
    if not getattr(_local, "known", False):
        _workers.add(threading.current_thread())
        _local.known = True
    if _unsound:
        raise ForkedError(
            f"process {os.getpid()} was forked from {os.getppid()} while threads there prepared "
            "batches, and what it inherited may be half done; start it with "
            'multiprocessing.get_context("spawn"), or fork before the first batch'
        )


@cache
def _watch() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_look, after_in_child=_adopt)


_others: list[bool] = [False]


def _look() -> None:
    here = threading.current_thread()
    _others[0] = True  # until it is known, for an error in here stops no fork
    _others[0] = any(one is not here and one in _workers for one in threading.enumerate())


def _adopt() -> None:
    SHARED.after_fork()
    if _others[0]:
        _unsound.append(True)  # and whatever is forked off this process
