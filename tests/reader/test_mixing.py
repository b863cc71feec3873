"""The mixing score is what counting the orders that can come gives."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache import BalancedSequence
from niicache.mixing import mixing_score, sampler_score
from niicache.sampling import ClassRows, Sampler

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def orders_of(chunks, size, mix):
    """Return every order in which the cases of equal chunks can come."""
    found = set()
    for order in itertools.permutations(range(chunks)):
        windows = [
            [
                case
                for chunk in order[at : at + mix]
                for case in range(chunk * size, (chunk + 1) * size)
            ]
            for at in range(0, chunks, mix)
        ]
        for each in itertools.product(*map(itertools.permutations, windows)):
            found.add(tuple(itertools.chain(*each)))
    return found


@pytest.mark.parametrize(
    ("chunks", "size", "mix"),
    [(3, 2, 1), (3, 2, 2), (3, 2, 3), (2, 3, 1), (4, 1, 1), (4, 2, 1), (4, 2, 2), (4, 2, 3)],
)
def test_the_score_is_the_share_of_the_orders_that_can_come(chunks, size, mix):
    want = math.log(len(orders_of(chunks, size, mix))) / math.log(math.factorial(chunks * size))
    assert mixing_score(np.full(chunks, size), mix) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(("mix", "count"), [(1, 48), (2, 144)])
def test_the_sampler_draws_all_of_those_orders_and_no_other(mix, count):
    rows = ClassRows(name="a", rows=np.arange(6), chunk=2)
    sampler = Sampler([rows], 1, steps=6, mix=mix, seed=1)
    seen = {
        tuple(int(sampler.draw(epoch, step).rows[0]) for step in range(6)) for epoch in range(1200)
    }
    assert seen == orders_of(3, 2, mix)
    assert len(seen) == count


@given(SIZES)
def test_more_chunks_in_a_window_never_mix_less(sizes):
    scores = [mixing_score(np.array(sizes), mix) for mix in range(1, len(sizes) + 2)]
    assert scores == pytest.approx(sorted(scores), rel=1e-12)
    assert scores[-1] == scores[-2] == 1 == mixing_score(np.array(sizes), "all")


@given(SIZES, st.integers(1, 20))
def test_a_score_lies_between_0_and_1(sizes, mix):
    assert 0 <= mixing_score(np.array(sizes), mix) <= 1


@given(st.integers(2, 40), st.integers(2, 9))
def test_windows_of_one_chunk_are_less_than_a_full_shuffle(chunks, size):
    assert 0 < mixing_score(np.full(chunks, size), 1) < 1


def test_a_large_class_is_no_trouble():
    scores = [mixing_score(np.full(100_000, 64), mix) for mix in (1, 4, 1000, 99_999)]
    assert scores == sorted(scores)
    assert 0 < scores[0] < scores[-1] < 1


def sampler(**options):
    classes = [
        ClassRows(name="a", rows=np.arange(12), chunk=3),  # 4 chunks
        ClassRows(name="b", rows=np.array([0, 1, 5, 7]), chunk=2),  # 3 chunks, of 2, 1 and 1
        ClassRows(name="c", rows=np.arange(5), chunk=8),  # one
    ]
    return Sampler(classes, 12, **options)


def test_a_sampler_has_the_mean_of_its_classes_by_their_shares():
    a, b = (mixing_score(np.array(sizes), 2) for sizes in ([3] * 4, [2, 1, 1]))
    assert 0 < a < 1
    assert sampler_score(sampler(mix=2)) == pytest.approx((a + b + 1) / 3)
    assert sampler_score(sampler(mix=2, weights=[2, 1, 0])) == pytest.approx((2 * a + b) / 3)
    assert sampler_score(sampler(mix=2, weights=[0, 0, 1])) == 1


def test_a_fixed_order_scores_0_and_a_full_shuffle_1():
    assert sampler_score(sampler(shuffle=False)) == 0
    assert sampler_score(sampler(shuffle=False, mix="all")) == 0
    assert sampler_score(sampler(mix="all")) == 1
    assert sampler_score(sampler(mix=1, replacement=True)) == 1


def test_a_sequence_tells_its_score(vector_cache):
    scores = [BalancedSequence(vector_cache, 8, mix=mix).mixing for mix in (1, 2, 4, 16, "all")]
    assert scores == sorted(scores)
    assert 0 < scores[0] < scores[1] < scores[2] < scores[3] == scores[4] == 1
    assert BalancedSequence(vector_cache, 8, shuffle=False).mixing == 0
