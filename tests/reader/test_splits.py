"""Splits and folds: a function of group, shares and seed alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache.format.manifest import SplitRule
from niicache.splits import Member, fold_of, place, share_problem, split_of

names = st.text(max_size=8)
members = st.builds(Member, names, names, st.just("") | names)
RULE = SplitRule(shares=(("train", 0.7), ("val", 0.2), ("test", 0.1)), seed="s")


def many(count, **options):
    return [Member(f"class{i % 3}", f"case{i}", options.get("group", "")) for i in range(count)]


@st.composite
def rules(draw):
    parts = draw(st.lists(st.integers(1, 100), min_size=1, max_size=5))
    total = sum(parts)
    shares = tuple((f"s{i}", part / total) for i, part in enumerate(parts))
    return SplitRule(shares=shares, seed=draw(names))


@settings(max_examples=30)
@given(rules(), st.lists(members, max_size=12), st.lists(members, max_size=12), st.randoms())
def test_adding_cases_moves_none_in_whatever_order_they_come(rule, old, new, rng):
    before = {member: split_of(rule, member) for member in old}
    mixed = [*old, *new]
    rng.shuffle(mixed)
    after = {member: split_of(rule, member) for member in mixed}
    assert before.items() <= after.items()
    assert set(after.values()) <= {name for name, _ in rule.shares}


@settings(max_examples=40)
@given(rules(), names.filter(bool), st.lists(st.tuples(names, names), min_size=2, max_size=8))
def test_a_group_stays_together_across_classes(rule, group, cases):
    ours = [Member(class_name, name, group) for class_name, name in cases]
    assert len({split_of(rule, member) for member in ours}) == 1
    assert len({fold_of(rule.seed, 5, member) for member in ours}) == 1


def test_shares_are_met_on_average_and_in_each_class():
    ours = many(30_000)
    for number in range(3):
        mine = [m for m in ours if m.class_name == f"class{number}"]
        got = [split_of(RULE, member) for member in mine]
        for name, share in RULE.shares:
            # four standard deviations of a binomial share
            assert abs(got.count(name) / len(mine) - share) < 4 * np.sqrt(
                share * (1 - share) / len(mine)
            )


def test_another_seed_splits_otherwise_and_independently():
    ours = many(5000)
    other = SplitRule(shares=RULE.shares, seed="t")
    both = sum(split_of(RULE, m) == "train" == split_of(other, m) for m in ours) / len(ours)
    assert abs(both - 0.7**2) < 0.03


def test_a_larger_share_takes_from_its_neighbour_alone():
    wider = SplitRule(shares=(("train", 0.8), ("val", 0.1), ("test", 0.1)), seed="s")
    moves = {(split_of(RULE, member), split_of(wider, member)) for member in many(3000)}
    assert moves == {*(("train", "train"), ("val", "train"), ("val", "val")), ("test", "test")}


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_folds_cover_all_and_are_as_large_as_each_other(count):
    got = np.bincount([fold_of("", count, m) for m in many(12_000)], minlength=count)
    assert len(got) == count
    assert (np.abs(got / 12_000 - 1 / count) < 4 * np.sqrt(1 / count / 12_000)).all()


def test_folds_have_nothing_to_do_with_splits():
    train = [m for m in many(6000) if split_of(RULE, m) == "train"]
    got = np.bincount([fold_of("s", 5, m) for m in train], minlength=5) / len(train)
    assert (np.abs(got - 0.2) < 0.03).all()


def test_a_group_is_not_taken_for_a_case_of_that_name():
    assert place("split", "", Member("a", "b", "")) != place("split", "", Member("x", "y", "a/b"))
    assert place("split", "", Member("a", "b", "")) != place("split", "", Member("ab", "", ""))


def test_places_never_change():
    """The numbers that docs/format.md promises; whoever changes them moves cases of every cache."""
    said = [
        place("split", "", Member("tumour", "case_001", "")),
        place("split", "2026", Member("tumour", "case_001", "sub-07")),
        place("fold", "", Member("tumour", "case_001", "")),
    ]
    assert said == [0.14813384187609946, 0.43935356998412767, 0.8907235216906684]


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"": 1},
        {"a b": 1},
        {"train": 0.5},
        {"train": 0.8, "val": 0.3},
        {"train": 1.2, "val": -0.2},
        {"train": 1, "val": 0},
        {"train": float("nan")},
        {"train": True},
        {"train": "1"},
    ],
)
def test_shares_that_are_none_are_told(shares):
    assert share_problem(shares)


def test_the_last_split_takes_what_rounding_leaves():
    shares = {f"s{i}": 0.1 for i in range(10)}
    assert share_problem(shares) is None
    rule = SplitRule(shares=tuple(shares.items()))
    rng = random.Random(0)  # noqa: S311 - nothing is secret here
    for _ in range(300):
        assert split_of(rule, Member("a", str(rng.random()), "")) in shares
