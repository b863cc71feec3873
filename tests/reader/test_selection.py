"""Sequences of a part of the cases: of a split, of folds, by columns."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import make_cache

from niicache import BalancedSequence, OrderedSequence, open_cache
from niicache.errors import OptionError

SPLIT = {"train": 0.6, "val": 0.2, "test": 0.2}


@pytest.fixture(scope="module")
def path(vector_source, tmp_path_factory):
    """Return 4 classes; the cases of one number are one group, in every class."""
    target = tmp_path_factory.mktemp("split") / "cache"
    return make_cache(vector_source, target, chunk=(4,), split=SPLIT, group_by=r"(case_\d+)")


@pytest.fixture
def cache(path):
    return open_cache(path)


def every(sequence):
    """Return every case that an OrderedSequence delivers, in its order."""
    return [case for step in range(len(sequence)) for case in sequence.cases(step)]


def drawn(sequence):
    """Return the cases that a BalancedSequence draws in two epochs."""
    steps = range(len(sequence))
    return {case for epoch in (0, 1) for step in steps for case in sequence.cases(epoch, step)}


@pytest.mark.parametrize("name", SPLIT)
def test_a_split_is_delivered_and_nothing_else(cache, name):
    ordered = OrderedSequence(cache, 7, split=name)
    assert tuple(every(ordered)) == cache.split(name)
    held = {owner for owner, _ in cache.split(name)}
    weights = [float(owner in held) for owner in cache.classes]
    balanced = BalancedSequence(cache, 8, split=name, weights=weights)
    assert drawn(balanced) == set(cache.split(name))
    images = np.concatenate([batch[0] for batch in ordered])
    for image, (owner, case) in zip(images, cache.split(name), strict=True):
        np.testing.assert_array_equal(image, cache[owner][case].image)


def test_splits_cover_all_and_share_no_group(cache):
    splits = [set(cache.split(name)) for name in SPLIT]
    assert set.union(*splits) == set(cache.cases)
    groups = [{case for _, case in split} for split in splits]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 37


def test_folds_are_disjoint_and_cover_all_but_the_test_cases(cache):
    pool = {*cache.split("train"), *cache.split("val")}
    held_out = []
    for k in range(3):
        val = every(OrderedSequence(cache, 9, split="val", fold=(k, 3)))
        train = every(OrderedSequence(cache, 9, split="train", fold=(k, 3)))
        assert {*val, *train} == pool
        assert len(val) + len(train) == len(pool)
        assert {case for _, case in val}.isdisjoint(case for _, case in train)
        held_out += val
    assert sorted(held_out) == sorted(pool)


def test_a_cache_without_splits_has_folds_too(vector_cache):
    cache = open_cache(vector_cache)
    parts = [every(OrderedSequence(cache, 9, split="val", fold=(k, 4))) for k in range(4)]
    assert sorted(case for part in parts for case in part) == sorted(cache.cases)
    assert all(parts)


def test_where_takes_values_and_functions(cache):
    some = OrderedSequence(
        cache,
        5,
        where={
            "group": ["case_001", "case_003", "case_036"],
            "source_shape": lambda shape: shape[0] <= 11,
        },
    )
    wanted = [
        (view.name, case)
        for view in cache
        for case, shape in zip(view.cases, view.column("source_shape"), strict=True)
        if case in {"case_001", "case_003", "case_036"} and shape[0] <= 11
    ]
    assert 0 < len(wanted) < 9
    assert every(some) == wanted
    several = ["case_001", "case_003"]
    first = every(OrderedSequence(cache, 5, where={"group": several}))
    assert first
    for same in (tuple(several), np.array(several), set(several)):
        assert every(OrderedSequence(cache, 5, where={"group": same})) == first
    two = np.array([1.5, 0.75])
    for same in ([[1.5, 0.75], (9, 9)], [two], two, np.array([two, two])):
        listed = OrderedSequence(cache, 5, where={"spacing": same})
        assert len(every(listed)) == len(cache.cases)
    one = OrderedSequence(cache, 5, where={"group": "case_002", "spacing": (1.5, 0.75)})
    assert every(one) == [(name, "case_002") for name in cache.classes]
    both = OrderedSequence(
        cache, 5, split="val", where={"group": {case for _, case in cache.cases}}
    )
    assert tuple(every(both)) == cache.split("val")


def test_a_class_that_becomes_empty_is_named_unless_its_weight_is_0(cache):
    # the last class has 5 cases, and none of these
    options = {"where": {"group": [f"case_{n:03}" for n in (6, 7, 8)]}}
    with pytest.raises(OptionError, match=r"where=.*no case of class 'sagittal', expected one"):
        BalancedSequence(cache, 4, **options)
    sequence = BalancedSequence(cache, 3, weights=[1, 1, 1, 0], **options)
    assert {name for name, _ in drawn(sequence)} == {"axial", "coronal", "oblique"}
    with pytest.raises(OptionError, match="got no case at all"):
        OrderedSequence(cache, 4, where={"group": "nobody"})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"split": "dev"}, "split: got 'dev', expected one of 'train', 'val', 'test'"),
        ({"fold": (0, 5)}, "split: got None beside fold, expected 'train' or 'val'"),
        ({"fold": (5, 5), "split": "val"}, r"fold: got \(5, 5\), expected \(k, n\)"),
        ({"fold": (0, 1), "split": "val"}, "fold: got"),
        ({"fold": 3, "split": "val"}, "fold: got 3"),
        ({"fold": (0, 5), "split": "test"}, "split: got 'test' beside fold"),
        ({"where": {"age": 3, "sex": "f"}}, r"column 'age', expected some of name, key"),
        ({"where": {"age": 3, "sex": "f"}}, r"column 'sex', expected some of name, key"),
        ({"where": ["group"]}, "where: got"),
        ({"where": {"group": lambda group: group}}, r"where\['group'\]\(...\): got 'case_"),
    ],
)
@pytest.mark.parametrize("kind", [BalancedSequence, OrderedSequence])
def test_what_makes_no_sense_is_refused(cache, kind, options, match):
    with pytest.raises(OptionError, match=match):
        kind(cache, 4, **options)


def test_a_cache_without_splits_says_how_to_get_them(vector_cache):
    with pytest.raises(OptionError, match=r"is not split; build it again with --split"):
        BalancedSequence(vector_cache, 4, split="train")
    with pytest.raises(OptionError, match=r"none; build it again with --split"):
        open_cache(vector_cache).split("train")
    assert set(open_cache(vector_cache)["axial"].splits) == {""}


def test_an_error_in_a_function_names_column_and_case(cache):
    with pytest.raises(ZeroDivisionError) as caught:
        BalancedSequence(cache, 4, where={"slope": lambda value: 1 / (value - value)})
    assert "where['slope'], on 1.0 of case 'case_0" in caught.value.__notes__[0]


def test_what_a_run_depends_on_names_the_selection(cache):
    plain = BalancedSequence(cache, 4)._stream()
    assert not {key for key in plain if key.startswith("selected")}
    streams = [
        BalancedSequence(cache, 4, **options)._stream()
        for options in (
            {"split": "train"},
            {"split": "train", "fold": (0, 3)},
            {"where": {"group": lambda group: group < "case_009"}},
            {"where": {"group": lambda group: group < "case_008"}},
        )
    ]
    assert streams[0]["selected"] == "split='train'"
    assert " at 0x" not in streams[2]["selected"]
    assert len({stream["selected cases"] for stream in streams}) == 4


def test_it_is_pickled_without_its_conditions(cache):
    where = {"group": lambda group: group in {"case_000", "case_004"}}
    sequence = BalancedSequence(cache, 4, where=where)
    again = pickle.loads(pickle.dumps(sequence))  # noqa: S301 - our own
    assert again._stream() == sequence._stream()
    np.testing.assert_array_equal(again.batch(0, 0)[0], sequence.batch(0, 0)[0])
