from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from niicache.errors import OptionError
from niicache.shares import FINEST, plan_shares

whole_weights = st.lists(st.integers(0, 40), min_size=1, max_size=9).filter(any)
any_weights = st.lists(
    st.one_of(st.just(0.0), st.floats(0.5, 100), st.integers(1, 50)), min_size=1, max_size=7
).filter(any)
sizes = st.integers(1, 300)
# The largest accumulated remainder first would leave a class more than one sample behind here.
greedy_fails = example(batch_size=1, weights=[40, 40, 3, 1, 40, 13, 1, 1])


@greedy_fails
@given(batch_size=sizes, weights=st.one_of(whole_weights, any_weights))
def test_every_batch_is_full_and_no_class_strays_by_a_sample(batch_size, weights):
    shares = plan_shares(batch_size, weights)
    count = min(shares.period + 1, 500)
    table = np.array([shares.at(step) for step in range(count)], dtype=object)
    assert (table.sum(axis=1) == batch_size).all()
    for k, share in enumerate(shares.exact):
        assert set(table[:, k]) <= {math.floor(share), math.ceil(share)}
        total = 0
        for step in range(count):
            assert shares.before(step)[k] == total
            assert abs(total - step * share) < 1
            total += table[step, k]


@given(batch_size=sizes, weights=whole_weights)
def test_ordinary_weights_give_exact_shares(batch_size, weights):
    shares = plan_shares(batch_size, weights)
    due = [Fraction(batch_size * weight, sum(weights)) for weight in weights]
    assert list(shares.exact) == due
    assert shares.period == math.lcm(*(share.denominator for share in due))


@given(batch_size=sizes, weights=any_weights, start=st.integers(0, 10**30))
def test_a_period_anywhere_holds_the_exact_share(batch_size, weights, start):
    shares = plan_shares(batch_size, weights)
    first, last = shares.before(start), shares.before(start + shares.period)
    assert shares.period <= FINEST
    for share, low, high in zip(shares.exact, first, last, strict=True):
        assert high - low == share * shares.period


@given(
    batch_size=sizes,
    weights=st.lists(st.floats(0.5, 100), min_size=2, max_size=7),
    step=st.integers(0, 10**40),
)
def test_awkward_weights_are_rounded_by_less_than_the_finest_unit(batch_size, weights, step):
    shares = plan_shares(batch_size, weights)
    total = sum(Fraction(weight) for weight in weights)
    for share, weight in zip(shares.exact, weights, strict=True):
        assert abs(share - batch_size * Fraction(weight) / total) < Fraction(1, FINEST)
    assert sum(shares.exact) == batch_size
    now, then = shares.before(step), shares.before(step + 1)
    assert tuple(b - a for a, b in zip(now, then, strict=True)) == shares.at(step)


def test_three_equal_classes_share_32_evenly_over_any_three_batches():
    shares = plan_shares(32, [1, 1, 1])
    assert [shares.at(step) for step in range(4)] == [
        (11, 11, 10),
        (11, 10, 11),
        (10, 11, 11),
        (11, 11, 10),
    ]
    for step in range(50):
        window = np.subtract(shares.before(step + 3), shares.before(step))
        assert window.tolist() == [32, 32, 32]


def test_a_float_counts_as_the_number_it_prints_as():
    assert plan_shares(10, [0.1, 0.2, 0.7]).at(0) == (1, 2, 7)
    assert plan_shares(32, [0.7, 0.3]).period == 5
    assert plan_shares(10, [np.float32(0.1), np.float64(0.9)]).at(0) == (1, 9)
    assert plan_shares(4, [Fraction(1, 3), Fraction(1, 6), 0.5]).period == 3


@given(st.integers(2, 40), st.data())
def test_a_batch_smaller_than_the_classes_takes_turns(count, data):
    batch_size = data.draw(st.integers(1, count - 1))
    shares = plan_shares(batch_size, [1] * count)
    turns = [shares.at(step) for step in range(shares.period)]
    assert {n for turn in turns for n in turn} == {0, 1}
    assert all(a != b for a, b in pairwise(turns))
    assert all(count == turns[0].count(0) + turns[0].count(1) for turn in turns)


def test_weight_zero_leaves_a_class_out():
    shares = plan_shares(5, [1, 0, 1])
    assert {shares.at(step)[1] for step in range(shares.period)} == {0}
    assert shares.before(10**9) == (25 * 10**8, 0, 25 * 10**8)


@pytest.mark.parametrize(
    ("batch_size", "weights", "words"),
    [
        (0, [1], "batch_size: got 0, expected a whole number from 1"),
        (True, [1], "batch_size: got True"),
        (2.0, [1], "batch_size: got 2.0"),
        ("8", [1], "batch_size: got '8'"),
        (8, [1, -1], r"weights\[1\]: got -1, expected a finite number, 0 or more; give each class"),
        (8, [math.nan], r"weights\[0\]: got nan"),
        (8, [1, math.inf], r"weights\[1\]: got inf"),
        (8, [None], r"weights\[0\]: got None"),
        (8, [True], r"weights\[0\]: got True"),
        (8, [], "weights: got none"),
        (8, [0, 0.0], "weights: got all 0, expected one above 0; raise"),
        (1, [1, 1e-9], r"weights\[1\]: got 1e-09, which is 1e-09 samples .* or set it to 0"),
    ],
)
def test_what_cannot_be_shared_is_refused(batch_size, weights, words):
    with pytest.raises(OptionError, match=words):
        plan_shares(batch_size, weights)


def test_all_problems_are_told_at_once():
    with pytest.raises(OptionError) as caught:
        plan_shares(-3, [math.nan, 1, -2])
    assert len(str(caught.value).splitlines()) == 3


def test_numbers_too_large_for_a_float_are_shared():
    assert plan_shares(4, [10**400, 3 * 10**400]).at(7) == (1, 3)


def test_repr_tells_the_shares():
    assert repr(plan_shares(32, [1, 2])) == "Shares(32/3, 64/3; batch_size=32, period=3)"
