"""What a stream says of the next use of a chunk, against the stream itself."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import streams
from niicache.streams import Cycles, Replaced, Stored

ROWS = st.lists(st.integers(0, 90), min_size=1, max_size=50, unique=True).map(
    lambda rows: np.array(sorted(rows), np.int64)
)
CHUNK = st.integers(1, 12)
SEED = st.integers(0, 2**32)


def next_uses(rows, chunk):
    """Return how many places later each chunk comes again, 0 where it does not; plainly."""
    gaps, seen = np.zeros(len(rows), np.int64), {}
    for place in range(len(rows) - 1, -1, -1):
        number = int(rows[place]) // chunk
        gaps[place] = seen.get(number, place) - place
        seen[number] = place
    return gaps


def windows_of(stream, every, chunk, mix):
    """Return for each place the first place of its window, from the stream itself."""
    opens = np.zeros(len(stream), np.int64)
    for begin in range(0, len(stream), len(every)):
        cycle = stream[begin : begin + len(every)] // chunk
        at = 0
        while at < len(cycle):
            # A window is whole chunks, so it ends when mix chunks have given all their rows.
            sizes = [int((every // chunk == number).sum()) for number in first_of(cycle[at:], mix)]
            opens[begin + at : begin + at + sum(sizes)] = begin + at
            at += sum(sizes)
    return opens


def first_of(chunks, mix):
    """Return the ``mix`` chunks of the window that begins here."""
    whole = list(dict.fromkeys(chunks.tolist()))
    return whole[:mix]


@pytest.mark.parametrize("span", [1, 7, 512])
@settings(max_examples=60)
@given(every=ROWS, chunk=CHUNK, mix=st.integers(1, 5), seed=SEED)
def test_cycles_never_promise_later_than_it_comes(span, every, chunk, mix, seed):
    chunks = len(np.unique(every // chunk))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_SPAN", span)
        stream = Cycles(every, chunk, seed=seed, index=1, mix=mix)
        rows, gaps = stream.take(0, 6 * len(every))
    assert (gaps >= 1).all()
    if mix >= chunks:
        return  # no window says where in a cycle a chunk comes; see below
    true, opens = next_uses(rows, chunk), windows_of(rows, every, chunk, mix)
    known = np.flatnonzero(true)
    later = known + true[known]
    to_window = opens[later] - known
    told = gaps[known]
    assert (told <= true[known]).all()
    assert ((told == true[known]) | (told == to_window)).all()
    same = opens[known] == opens[later]
    assert (told[same] == true[known][same]).all()
    # Every chunk comes once a cycle, so only the last cycle's end has no next use to compare with.
    assert len(known) >= 5 * len(every)


@given(every=ROWS, chunk=CHUNK, seed=SEED)
def test_a_cycle_of_one_window_promises_what_is_to_be_expected(every, chunk, seed):
    chunks = len(np.unique(every // chunk))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_SPAN", 1)
        rows, gaps = Cycles(every, chunk, seed=seed, index=0, mix="all").take(0, 4 * len(every))
    true = next_uses(rows, chunk)
    place = np.arange(len(rows))
    inside = (true > 0) & (place // len(every) == (place + true) // len(every))
    assert (gaps[inside] == true[inside]).all()
    # Else it comes early in the next cycle.
    begin = (place // len(every) + 1) * len(every)
    assert (gaps[~inside] == (begin + chunks - place)[~inside]).all()


@given(
    every=ROWS,
    chunk=CHUNK,
    mix=st.one_of(st.integers(1, 5), st.just("all")),
    seed=SEED,
    cuts=st.lists(st.integers(1, 60), max_size=6),
)
def test_the_gaps_do_not_depend_on_how_the_stream_is_cut(every, chunk, mix, seed, cuts):
    whole = Cycles(every, chunk, seed=seed, index=2, mix=mix).take(0, sum(cuts) or 1)
    stream = Cycles(every, chunk, seed=seed, index=2, mix=mix)
    starts = np.cumsum([0, *cuts])
    for start, count in reversed(list(zip(starts.tolist(), cuts, strict=False))):
        span = stream.take(start, count)
        np.testing.assert_array_equal(span.rows, whole.rows[start : start + count])
        np.testing.assert_array_equal(span.gaps, whole.gaps[start : start + count])


@given(every=ROWS, chunk=CHUNK, start=st.integers(0, 120))
def test_stored_order_knows_exactly(every, chunk, start):
    rows, gaps = Stored(every, chunk).take(start, 3 * len(every))
    true = next_uses(rows, chunk)
    np.testing.assert_array_equal(gaps[true > 0], true[true > 0])
    assert (gaps[: len(every)] == true[: len(every)]).all()
    assert (gaps >= 1).all()


@given(every=ROWS, chunk=CHUNK, seed=SEED)
def test_with_replacement_any_chunk_may_come_next(every, chunk, seed):
    rows, gaps = Replaced(every, chunk, seed=seed, index=0).take(5, 40)
    assert set(rows.tolist()) <= set(every.tolist())
    assert (gaps == len(np.unique(every // chunk))).all()


def test_with_replacement_the_expectation_holds():
    every = np.arange(60)
    rows, gaps = Replaced(every, 5, seed=1, index=0).take(0, 60_000)
    true = next_uses(rows, 5)
    assert true[true > 0].mean() == pytest.approx(gaps[0], rel=0.02)


def test_a_stream_of_many_rows_is_as_exact_as_a_small_one():
    every = np.arange(4000)
    rows, gaps = Cycles(every, 16, seed=4, index=0, mix=4).take(0, 12_000)
    true, opens = next_uses(rows, 16), windows_of(rows, every, 16, 4)
    known = np.flatnonzero(true)
    told, later = gaps[known], known + true[known]
    assert ((told == true[known]) | (told == opens[later] - known)).all()
    assert (told == true[known]).mean() > 0.9


@settings(max_examples=40)
@given(
    every=ROWS,
    chunk=CHUNK,
    mix=st.integers(1, 5),
    seed=SEED,
    starts=st.lists(st.integers(0, 9000), max_size=9),
)
def test_what_is_remembered_changes_nothing(every, chunk, mix, seed, starts):
    few, many = (
        Cycles(every, chunk, seed=seed, index=0, mix=mix, epoch=epoch) for epoch in (0, 10**6)
    )
    for start in starts:
        for one, other in zip(few.take(start, 33), many.take(start, 33), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("rows", "most"), [(40, 3), (9000, 25), (10**6, 64)])
def test_two_epochs_are_remembered_and_no_more(rows, most):
    stream = Cycles(np.arange(rows), 16, seed=0, index=0, mix=4, epoch=rows)
    end = max(4 * rows, 40_000)
    for start in range(0, end, 500):
        stream.take(start, 1)
    remembered = stream._ordered.cache_info()
    assert 2 <= remembered.currsize <= most
    if rows < 10**6:  # batches of the last epoch in any order: none is ordered again
        for start in range(end - rows, end, max(1, rows // 20)):
            stream.take(start, 1)
        assert stream._ordered.cache_info().misses == remembered.misses


def test_what_is_remembered_takes_few_bytes_a_row():
    rows = np.arange(50_000)
    tracemalloc.start()
    try:
        stream = Cycles(rows, 32, seed=0, index=0, mix=4, epoch=len(rows))
        spans = [stream.take(start, 128) for start in range(0, 2 * len(rows), 128)]
        assert {part.dtype for span in spans for part in span} == {np.dtype(np.int64)}
        del spans
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / len(rows) < 24  # two epochs, a row and a gap each
