"""Results come in order, from a few threads that are never far ahead and always end."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.ahead import ahead

THREADS = pytest.mark.parametrize("threads", [1, 2, 5])
PATIENCE = 20  # seconds, for what takes none


def alive():
    return [one for one in threading.enumerate() if one.name.startswith("niicache")]


def soon(condition):
    """Return whether a condition comes true, now or when other threads have moved on."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 6))
def test_results_come_in_the_order_of_their_arguments(naps, threads):
    def nap(pair):
        time.sleep(pair[1] / 5000)
        return pair

    pairs = list(enumerate(naps))
    assert list(ahead(nap, pairs, threads=threads)) == pairs
    assert not alive()


@THREADS
def test_so_many_threads_work_at_once_and_no_more(threads):
    meeting, lock = threading.Barrier(threads), threading.Lock()
    at_work = set()
    most = 0

    def meet(_):
        nonlocal most
        with lock:
            at_work.add(threading.get_ident())
            most = max(most, len(at_work))
        meeting.wait(PATIENCE)  # nobody passes alone
        with lock:
            at_work.discard(threading.get_ident())

    assert len(list(ahead(meet, range(8 * threads), threads=threads))) == 8 * threads
    assert most == threads
    assert threading.get_ident() not in at_work


@THREADS
def test_as_many_as_there_are_threads_are_under_way_though_arguments_never_end(threads):
    taken = 0

    def counted():
        nonlocal taken
        while True:
            taken += 1
            yield taken

    loop = ahead(lambda n: n, counted(), threads=threads)
    assert taken == 0
    assert not alive()
    for got in range(1, 50):
        assert next(loop) == got
        assert taken - got == threads
    loop.close()
    assert taken - got == threads


@THREADS
def test_one_more_is_in_the_queue_while_the_next_is_waited_for(threads):
    gate, taken = threading.Event(), []

    def waits(n):
        assert gate.wait(PATIENCE) or n < 0
        return n

    def noted():
        for n in range(100):
            taken.append(n)
            yield n

    loop = ahead(waits, noted(), threads=threads)
    other = threading.Thread(target=lambda: next(loop))
    other.start()
    assert soon(lambda: len(taken) == threads + 1)
    gate.set()
    other.join()
    loop.close()


class Counted:
    """Knows how many there are at once, and how many there were at most."""

    lock = threading.Lock()
    now = most = 0

    def __init__(self):
        with self.lock:
            Counted.now += 1
            Counted.most = max(Counted.most, Counted.now)

    def __del__(self):
        with self.lock:
            Counted.now -= 1


@THREADS
def test_no_more_than_two_results_beside_those_of_the_threads_exist_at_once(threads):
    Counted.most = 0
    for held in ahead(lambda _: Counted(), range(300), threads=threads):
        time.sleep(0.0002)  # so that threads finish what they may begin
        assert held.now >= 1
    assert Counted.most <= threads + 2
    if threads > 1:
        assert Counted.most > threads


@THREADS
def test_what_the_function_raises_comes_in_its_turn(threads):
    begun = []

    def fail(n):
        begun.append(n)
        if n in {5, 6}:
            raise ZeroDivisionError(n)
        return n

    loop = ahead(fail, range(100), threads=threads)
    assert [next(loop) for _ in range(5)] == [*range(5)]
    with pytest.raises(ZeroDivisionError, match="5"):
        next(loop)
    assert list(loop) == []
    assert not alive()
    assert max(begun) <= 5 + threads


def test_what_the_arguments_raise_comes_out_and_the_threads_end():
    def broken():
        yield from range(6)
        raise KeyError("mine")

    got = []
    with pytest.raises(KeyError, match="mine"):
        got.extend(ahead(lambda n: n, broken(), threads=2))
    assert not alive()


@THREADS
def test_a_loop_that_is_left_finishes_what_is_begun_and_begins_nothing(threads):
    gate = threading.Event()
    begun, ended = [], []

    def wait(n):
        begun.append(n)
        if n:
            assert gate.wait(PATIENCE)
        ended.append(n)

    loop = ahead(wait, range(100), threads=threads)
    next(loop)
    assert soon(lambda: len(begun) == 1 + threads)  # all wait
    threading.Timer(0.3, gate.set).start()
    loop.close()
    assert len(begun) == 1 + threads
    assert sorted(ended) == sorted(begun)
    assert not alive()


def test_a_loop_that_is_forgotten_ends_its_threads():
    loop = ahead(lambda n: n, range(100), threads=3)
    next(loop)
    assert alive()
    del loop
    gc.collect()
    assert not alive()


class Batch:
    """Something that can be seen to go."""


@THREADS
def test_a_result_is_gone_when_the_caller_has_the_next(threads):
    refs = {}

    def make(n):
        batch = Batch()
        refs[n] = weakref.ref(batch)
        return batch

    loop = ahead(make, range(20), threads=threads)
    for n, batch in enumerate(loop):
        assert refs[n]() is batch
        # The thread that made it may still be on its way out of its frame.
        assert n == 0 or soon(lambda before=n - 1: refs[before]() is None)
    del batch
    assert soon(lambda: not any(ref() for ref in refs.values()))


@THREADS
def test_a_result_that_the_caller_let_go_is_gone_while_the_next_is_made(threads):
    refs = {}

    def make(n):
        if n:
            assert soon(lambda: 0 in refs and refs[0]() is None)
        batch = Batch()
        refs[n] = weakref.ref(batch)
        return batch

    loop = ahead(make, range(2), threads=threads)
    next(loop)
    assert next(loop) is refs[1]()
