"""Every case once, class after class, in the order that was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.ordering import Ordering
from niicache.sampling import ClassRows


@st.composite
def classes(draw):
    """Draw classes whose rows have gaps and come in any order."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        rows = draw(st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True))
        chunk = draw(st.integers(1, 5))
        made.append(ClassRows(name=f"{number}", rows=np.array(rows, np.int64), chunk=chunk))
    return made


def every_sample(ordering):
    draws = [ordering.draw(step) for step in range(ordering.steps)]
    return [
        (step, int(number), int(row), int(again))
        for step, draw in enumerate(draws)
        for number, row, again in zip(draw.classes, draw.rows, draw.again, strict=True)
    ]


@given(classes(), st.integers(1, 40))
def test_every_case_comes_once_and_in_order(given_classes, size):
    ordering = Ordering(given_classes, size)
    want = [(k, int(row)) for k, one in enumerate(given_classes) for row in one.rows]
    assert [(k, row) for _, k, row, _ in every_sample(ordering)] == want


@given(classes(), st.integers(1, 40))
def test_every_batch_is_full_but_the_last_which_is_not_empty(given_classes, size):
    ordering = Ordering(given_classes, size)
    sizes = [len(ordering.draw(step).rows) for step in range(ordering.steps)]
    assert sizes[:-1] == [size] * (ordering.steps - 1)
    assert 1 <= sizes[-1] <= size
    assert sum(sizes) == sum(len(one.rows) for one in given_classes)


@given(classes(), st.integers(1, 40))
def test_it_is_told_when_a_chunk_is_needed_again(given_classes, size):
    ordering = Ordering(given_classes, size)
    later = {}
    for step, k, row, again in reversed(every_sample(ordering)):
        chunk = k, row // given_classes[k].chunk
        if chunk in later:
            assert later[chunk] - step - 1 <= again <= later[chunk] - step
        else:
            assert again == ordering.steps  # in the next pass
        later[chunk] = step


@given(classes(), st.integers(1, 40))
def test_there_is_no_batch_before_the_first_or_after_the_last(given_classes, size):
    ordering = Ordering(given_classes, size)
    for step in (-1, ordering.steps):
        with pytest.raises(IndexError, match=f"step: got {step}, expected 0 to"):
            ordering.draw(step)
    types = {(one.dtype.name, one.ndim) for one in _arrays(ordering.draw(0))}
    assert types == {("int64", 1)}


def _arrays(draw):
    return draw.classes, draw.rows, draw.again
