"""Chunks kept in memory: never over the budget, the least recently used one out first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.hot import HotChunks


def chunk(nbytes, value=0):
    return np.full(nbytes, value, np.uint8)


@given(
    budget=st.integers(0, 60),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=60),
)
def test_what_is_kept_is_what_was_used_last(budget, steps):
    hot = HotChunks(budget)
    model: list[int] = []  # keys, the least recently used one first
    for is_put, key in steps:
        size = 3 * key + 1
        known = key in model
        if is_put:
            hot.put(key, chunk(size, key))
            if not known and size <= budget:
                model.append(key)
            while sum(3 * k + 1 for k in model) > budget:
                model.pop(0)
        else:
            got = hot.get(key)
            assert (got is not None) == known
            if known:
                np.testing.assert_array_equal(got, chunk(size, key))
                model.remove(key)
                model.append(key)
        assert hot.nbytes == sum(3 * k + 1 for k in model) <= budget
        assert len(hot) == len(model)
    for key in model:
        assert hot.get(key) is not None


def test_a_chunk_larger_than_the_budget_pushes_nothing_out():
    hot = HotChunks(10)
    hot.put("small", chunk(4))
    hot.put("large", chunk(11))
    assert hot.get("large") is None
    assert hot.get("small") is not None


def test_nobody_can_change_a_chunk_that_others_share():
    hot = HotChunks(10)
    hot.put("a", chunk(4))
    with pytest.raises(ValueError, match="read-only"):
        hot.get("a")[0] = 1


def test_many_threads_leave_the_count_true():
    hot = HotChunks(500)

    def work(seed):
        for key in np.random.default_rng(seed).integers(0, 40, 2000).tolist():
            got = hot.get(key)
            if got is None:
                hot.put(key, chunk(key + 1, key))
            else:
                assert got.size == key + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert hot.nbytes == sum(hot.get(key).nbytes for key in range(40) if hot.get(key) is not None)
    assert hot.nbytes <= 500
