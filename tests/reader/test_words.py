"""The words of a stream are Philox's own, whatever part of them is asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from niicache.words import CHUNKS, PATCH, ROWS, philox, words_of

SEEDS = st.integers(0, 2**64 - 1)


@given(seed=SEEDS, index=st.integers(0, 9), start=st.integers(0, 2**66 - 40))
def test_words_are_those_of_numpy_with_this_key_and_counter(seed, index, start):
    block, skip = divmod(start, 4)
    counter = [block % 2**64, block // 2**64, index, 0]
    judge = np.random.Philox(key=np.array([seed, ROWS], np.uint64), counter=counter)
    expected = judge.random_raw(skip + 30)[skip:]
    np.testing.assert_array_equal(words_of(seed, index, ROWS, start, 30), expected)


@given(seed=SEEDS, start=st.integers(0, 100), cut=st.integers(0, 20))
def test_parts_of_a_stream_are_the_stream(seed, start, cut):
    whole = words_of(seed, 1, CHUNKS, start, 20)
    parts = words_of(seed, 1, CHUNKS, start, cut), words_of(seed, 1, CHUNKS, start + cut, 20 - cut)
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_each_call_begins_anew():
    assert (
        philox(3, PATCH, (0, 1, 2, 3)).random_raw() == philox(3, PATCH, (0, 1, 2, 3)).random_raw()
    )
    assert (
        philox(3, PATCH, (0, 1, 2, 3)).random_raw() != philox(3, PATCH, (0, 1, 2, 4)).random_raw()
    )
