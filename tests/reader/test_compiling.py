"""Loops are compiled where Ctrl-C is heard: by the caller, not by the threads that work ahead."""

from __future__ import annotations

import resource
import threading

import numba
import pytest
from helpers import run_python
from numba.core import event

from niicache import compiling
from niicache.ahead import ahead
from niicache.augment.kernels import compiling as loops
from niicache.compiling import CompilerNeeded, without_compiler


class Heard(event.Listener):
    """Notes which threads compile something of a name."""

    def __init__(self, name):
        self.name, self.threads = name, []

    def on_start(self, event):
        if event.data["dispatcher"].py_func.__name__ == self.name:
            self.threads.append(threading.current_thread())

    def on_end(self, event):
        del event


def loop_of(module):
    """Return a loop that is not compiled yet, as if a module had it."""

    def double(number):
        return 2 * number

    double.__module__ = module
    return numba.njit(double)


def test_a_thread_that_must_not_compile_says_so_and_may_again_after():
    double = loop_of("niicache.mine")
    with without_compiler():
        for number in (3, 3.0):
            with pytest.raises(CompilerNeeded):
                double(number)
        with without_compiler():
            pass
        with pytest.raises(CompilerNeeded):
            double(3)
    assert double(3) == 6
    with without_compiler():
        assert double(4) == 8  # compiled by now
        with pytest.raises(CompilerNeeded):
            double(4.0)  # for integers
        assert loop_of("theirs")(5) == 10  # what is not ours is no business of ours


def test_no_user_function_catches_it():
    assert not issubclass(CompilerNeeded, Exception)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_caller_compiles_what_threads_need(threads):
    double = loop_of("niicache.mine")
    heard = Heard("double")
    numbers = [1, 2, 3, 4.5, 5, 6.5, 7]
    with event.install_listener("numba:compile", heard):
        assert list(ahead(double, numbers, threads=threads)) == [2 * one for one in numbers]
    compilers = [one for one in heard.threads if one is threading.main_thread()]
    assert len(compilers) == 2  # of integers and of floats
    assert double.signatures == [(numba.int64,), (numba.float64,)]


def test_ctrl_c_while_a_loop_is_compiled_ends_that(vector_cache, tmp_path):
    said = run_python(INTERRUPTED, vector_cache, NUMBA_CACHE_DIR=str(tmp_path))
    assert said == "begun in MainThread\ninterrupted\nnothing compiled, no thread left\n"


INTERRUPTED = """
import signal, sys, threading
from numba.core import event
from niicache import BalancedSequence, kernels

class Interrupts(event.Listener):
    def on_start(self, event):
        if event.data["dispatcher"] is kernels._read_packed:
            print("begun in", threading.current_thread().name)
            signal.raise_signal(signal.SIGINT)

    def on_end(self, event):
        pass

signal.signal(signal.SIGINT, signal.default_int_handler)
event.register("numba:compile", Interrupts())
try:
    for batch in BalancedSequence(sys.argv[1], 4, workers=2):
        pass
except KeyboardInterrupt:
    print("interrupted")
threads = [one for one in threading.enumerate() if one.name.startswith("niicache")]
if not kernels._read_packed.signatures and not threads:
    print("nothing compiled, no thread left")
"""


def twice(number):
    return 2 * number


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Return where loops are kept, and what makes one of :func:`twice` as another process would."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def fresh():
        return compiling.compiled(twice)

    return tmp_path, fresh


def hits(loop):
    return sum(loop.stats.cache_hits.values())


def files(folder):
    return [one for one in folder.rglob("*") if one.is_file()]


def test_a_loop_is_kept(stored):
    folder, fresh = stored
    first, second = fresh(), fresh()
    assert (first(3), second(3)) == (6, 6)
    assert (hits(first), hits(second)) == (0, 1)
    assert {one.suffix for one in files(folder)} == {".nbi", ".nbc"}


def test_without_a_folder_to_keep_it_in_a_loop_is_compiled_all_the_same(monkeypatch):
    def no_place(_function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiling, "_Store", no_place)
    for make in (compiling.compiled, loops.compiled, loops.loose):
        assert make(twice)(3) == 6


def test_a_full_disk_keeps_nothing_and_hinders_nothing(stored):
    folder, fresh = stored
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    loop = fresh()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # no file may grow
    try:
        assert loop(3) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [one for one in files(folder) if one.suffix == ".nbc"]
    after = fresh()
    assert (after(3), hits(after)) == (6, 0)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("content", [b"", b"no pickle", bytes(64)])
def test_what_was_kept_and_cannot_be_read_is_compiled_and_kept_anew(stored, suffix, content):
    folder, fresh = stored
    fresh()(3)
    (kept,) = [one for one in files(folder) if one.suffix == suffix]
    kept.write_bytes(content)
    second, third = fresh(), fresh()
    assert (second(3), third(3)) == (6, 6)
    assert (hits(second), hits(third)) == (0, 1)


def test_an_index_that_can_be_neither_read_nor_mended_hinders_nothing(stored):
    folder, fresh = stored
    fresh()(3)
    (kept,) = [one for one in files(folder) if one.suffix == ".nbi"]
    kept.write_bytes(kept.read_bytes()[:-9])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        assert fresh()(3) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
