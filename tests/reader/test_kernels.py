"""Compiled loops: numpy's own indexing is the judge."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import kernels
from niicache.kernels import gather
from niicache_builder.options import DTYPES

FLOATS = ["float16", "float32", "float64"]
PAIRS = [(stored, out) for stored in DTYPES for out in (*FLOATS, stored)]


def gathered(stored, wanted, *, cases=5, size=7, batch=6, count=4, seed=0, shared=False):
    """Return what gather made and what numpy makes of the same."""
    rng = np.random.default_rng(seed)
    low = 0 if stored.startswith("u") else -100
    source = rng.integers(low, 100, (cases, size)).astype(stored)
    source.flags.writeable = not shared
    rows = rng.integers(0, cases, count)
    slots = rng.permutation(batch)[:count]
    out = np.full((batch, size), 55, wanted)
    judge = out.copy()
    judge[slots] = source[rows].astype(wanted)
    gather(source, rows, out, slots)
    return out, judge


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("stored", "wanted"), [*dict.fromkeys(PAIRS), ("uint8", "int32")])
def test_cases_land_in_their_slots_in_every_dtype(stored, wanted, shared):
    out, judge = gathered(stored, wanted, shared=shared)
    np.testing.assert_array_equal(out, judge)


@settings(max_examples=50)
@given(
    cases=st.integers(1, 9),
    size=st.integers(0, 20),
    batch=st.integers(1, 9),
    data=st.data(),
    seed=st.integers(0, 2**32),
)
def test_any_sizes(cases, size, batch, data, seed):
    count = data.draw(st.integers(0, batch))
    sizes = {"cases": cases, "size": size, "batch": batch, "count": count}
    out, judge = gathered("int16", "float32", **sizes, seed=seed)
    np.testing.assert_array_equal(out, judge)


def test_the_loop_lets_other_threads_run():
    source, out = np.zeros((1, 2_000_000), "int16"), np.empty((30, 2_000_000), "float32")
    rows = np.zeros(30, np.int64)
    gather(source, rows[:1], out, rows[:1])
    ticks = []
    thread = threading.Thread(target=gather, args=(source, rows, out, np.arange(30)))
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    thread.join()
    assert len(ticks) > 3


def test_without_a_folder_to_keep_code_in_the_loop_is_compiled_all_the_same(monkeypatch):
    asked = []

    def njit(*, nogil, cache=False):
        asked.append((nogil, cache))
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(kernels.numba, "njit", njit)
    assert kernels._compile(gather) is gather
    assert asked == [(True, True), (True, False)]
