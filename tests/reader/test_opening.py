"""What is read of a file below a cache, and the memory that it takes."""

from __future__ import annotations

import tracemalloc

import pytest

from niicache.opening import read_below


@pytest.mark.parametrize("size", [0, 7, 8, 9, 1000])
def test_one_byte_over_the_bound_shows_that_there_are_more(tmp_path, size):
    data = bytes(range(250)) * 4
    (tmp_path / "file").write_bytes(data[:size])
    assert read_below(tmp_path, "file", 8) == data[: min(size, 9)]


def test_memory_is_taken_for_what_is_there_and_not_for_the_bound(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        assert len(read_below(tmp_path, "file", 2**28)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
