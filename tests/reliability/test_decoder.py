"""Chunks that lie: no byte beyond their memory is touched, in either way of reading them."""

from __future__ import annotations

import ast

import pytest
from breaks.decoder import in_a_child
from helpers import run_python

CHUNKS = 5000

BEYOND = """
from breaks.decoder import Guarded, PAGE
import ctypes
memory = Guarded(10).last(10)
assert ctypes.string_at(memory.ctypes.data, 10) == bytes(10)
ctypes.string_at(memory.ctypes.data + {}, 1)
"""


def test_chunks_that_lie_are_refused_or_read_alike_both_ways(tmp_path):
    tally = ast.literal_eval(in_a_child(1, CHUNKS, tmp_path))
    assert tally["taken"] + tally["refused"] == CHUNKS
    # A fuzzer whose chunks are all refused, or all taken, finds nothing.
    assert tally["taken"] > CHUNKS / 50
    assert tally["refused"] > CHUNKS / 2
    assert tally["index"] > CHUNKS / 50


def test_a_byte_beyond_the_memory_ends_the_process():
    run_python(BEYOND.format(9))
    with pytest.raises(AssertionError):
        run_python(BEYOND.format(10))
