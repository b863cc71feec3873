"""Short of what the soak does at full length: nothing grows from epoch to epoch."""

from __future__ import annotations

import numpy as np
import pytest
from breaks.long_runs import (
    Course,
    check,
    larger_than_memory,
    many_shards,
    under_fit,
    without_keras,
)

GENEROUS = 64 * 1024
"""Bytes an epoch; a batch that is held on to has more."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("long")


def test_nothing_grows_without_keras(folder):
    course = without_keras(1, folder, 100)
    assert len(course.rss) == 100
    check(course, GENEROUS)


def test_nothing_grows_under_fit(folder):
    course = under_fit(1, folder, 3)
    assert len(course.rss) == 3
    check(course, 64 * 2**20)


def test_more_shards_are_read_than_a_process_may_open(tmp_path):
    assert many_shards(tmp_path, 200) == 200


def test_a_set_larger_than_the_memory_is_built(tmp_path):
    assert larger_than_memory(tmp_path, spare_mib=64, factor=1.5) == 24


def test_what_grows_is_told():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 10**6, 100)
    flat = Course(rss=tuple((10**8 + noise).tolist()), threads=(3,) * 100, files=(9,) * 100)
    check(flat, 10**4)
    grown = tuple((10**8 + noise + 10**5 * np.arange(100)).tolist())
    with pytest.raises(AssertionError, match="more in an epoch"):
        check(Course(rss=grown, threads=(3,) * 100, files=(9,) * 100), GENEROUS)
    with pytest.raises(AssertionError, match="threads or files grow: 9 to 10"):
        check(Course(rss=flat.rss, threads=(3,) * 100, files=(9,) * 99 + (10,)), GENEROUS)
