"""Ctrl-C waits until it can do no harm."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
from building import build0, folders

from niicache_builder.interrupts import held_back, sigterm_as_ctrl_c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """A shell that starts something in the background lets it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def test_it_comes_at_the_end_and_not_before() -> None:
    reached = []

    def held() -> None:
        with held_back():
            press()
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        held()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_comes_when_asked_for_and_once() -> None:
    with held_back() as ctrl_c:
        ctrl_c.check()
        press()
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.check()
        ctrl_c.check()


def test_what_holds_it_back_longest_lets_it_through() -> None:
    with held_back() as outer:
        with held_back():
            press()
        assert outer.came
        with pytest.raises(KeyboardInterrupt):
            outer.check()


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back() as ctrl_c:
            press()
            ctrl_c.check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_is_held_back_where_it_means_the_same() -> None:
    reached = []

    def held() -> None:
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            reached.append(True)

    with sigterm_as_ctrl_c() as sigterm:
        with pytest.raises(KeyboardInterrupt):
            held()
        assert reached
        assert sigterm.came
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with held_back():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_keeps_the_meaning_that_somebody_gave_it() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with sigterm_as_ctrl_c() as sigterm:
            signal.raise_signal(signal.SIGTERM)
        assert not sigterm.came
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_changes_nothing_for_the_others() -> None:
    handlers = []

    def look() -> None:
        with held_back():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


def test_a_build_in_this_process_reads_cases_with_no_thread_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torn out of an import, it would leave a lock behind for which that thread waits for ever."""
    names: list[str] = []
    start = threading.Thread.start

    def recorded(thread: threading.Thread) -> None:
        names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", recorded)
    build0(folders(tmp_path / "s", {"a": 3}), tmp_path / "c")
    assert names
    # Those of pools are started and joined while Ctrl-C is held back; zarr's are its own.
    assert not [name for name in names if name.startswith("Thread-")]
