"""The check of a transform finds what breaks the rules."""

from __future__ import annotations

import random
import time
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from niicache import augment
from niicache.augment import check
from niicache.cache import open_cache
from niicache.errors import OptionError

IMAGE, LABEL = np.ones((16, 16, 1), "float32"), np.zeros(2)


def sleeps(image, label, _rng):
    time.sleep(0.02)  # long beside what a busy machine adds
    return image, label


def test_a_transform_of_ours_keeps_the_rules():
    found = check(augment.medical(), IMAGE, LABEL, repeats=5)
    assert found.deterministic
    assert found.keeps_global_state
    assert found.milliseconds > 0
    assert "the same again from the same generator, keeps shapes, leaves the global" in repr(found)
    assert (IMAGE == 1).all()
    with pytest.raises(FrozenInstanceError):
        found.speedup = 2


def test_it_says_how_long_a_sample_takes_and_whether_a_second_thread_helps():
    found = check(sleeps, IMAGE, LABEL, repeats=10)
    assert found.milliseconds >= 20
    assert found.speedup > 1.3
    assert "two threads help (x " in repr(found)


@pytest.mark.parametrize("state", [random.random, np.random.random])
def test_it_finds_a_transform_that_draws_from_global_state(state):
    def noisy(image, label, _rng):
        return image + state(), label

    found = check(noisy, IMAGE, LABEL, repeats=3)
    assert not found.deterministic
    assert not found.keeps_global_state
    assert "NOT the same again" in repr(found)
    assert "CHANGES the global random state" in repr(found)


def test_it_finds_a_transform_that_counts_its_calls():
    calls = []

    def counting(image, label, _rng):
        calls.append(1)
        return image, label + len(calls)

    found = check(counting, IMAGE, LABEL, repeats=3)
    assert not found.deterministic
    assert found.keeps_global_state


def test_each_sample_has_a_generator_of_its_own():
    words = []

    def draws(image, label, rng):
        words.append(rng.random())
        return image, label

    check(draws, IMAGE, LABEL, repeats=4)
    assert len(set(words)) == 4


def test_it_refuses_what_it_cannot_run():
    with pytest.raises(OptionError, match="transform: got 3"):
        check(3, IMAGE, LABEL)
    with pytest.raises(OptionError, match="repeats: got 0"):
        check(sleeps, IMAGE, LABEL, repeats=0)


def test_facts_are_handed_on_and_shapes_are_looked_at():
    facts = augment.Facts(mean=(1.0,), std=(2.0,))
    assert check(augment.ZScore(), IMAGE, LABEL, facts=facts, repeats=2).keeps_shapes
    cut = check(lambda image, label, _: (image[:2], label), IMAGE, LABEL, repeats=2)
    assert not cut.keeps_shapes
    assert "CHANGES shapes" in repr(cut)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (None, "transform: got None"),
        (augment.ZScore, "transform: got <class"),
        (augment.MixUp(), "transform: got MixUp.*single samples"),
        (lambda image, _label, _rng: image, "got ndarray, expected the tuple"),
        (lambda image: image, r"takes \(image\), expected a function that takes \(image, label, r"),
    ],
)
def test_what_cannot_be_checked_is_refused(transform, message):
    with pytest.raises(OptionError, match=message):
        check(transform, IMAGE, LABEL)


def test_it_finds_a_transform_whose_label_no_sequence_takes():
    mask = np.ones((16, 16, 1), "uint8")
    found = check(lambda image, label, _rng: (image, label * 1.0), IMAGE, mask, repeats=3)
    assert not found.keeps_dtypes
    assert "CHANGES dtypes" in repr(found)
    assert check(lambda image, label, _rng: (image * 2.0, label), IMAGE, mask).keeps_dtypes


def test_it_takes_a_sample_as_a_cache_gives_it(vector_cache):
    view = open_cache(vector_cache)["axial"]
    image, label = view[0]
    known = {name: tuple(view.column(name)[0].tolist()) for name in ("mean", "std")}
    facts = augment.Facts(**known)
    assert image.dtype.kind == "i"
    for transform in (augment.Gamma(), augment.ZScore()):
        assert check(transform, image, label.tolist(), facts=facts, repeats=2).deterministic


@pytest.mark.parametrize(
    ("speedup", "said"), [(1.0, "do NOT help (x 1.00)"), (1.9, "help (x 1.90)")]
)
def test_it_says_whether_a_second_thread_helps(speedup, said):
    found = replace(check(augment.Flip(), IMAGE, LABEL, repeats=2), speedup=speedup)
    assert f"two threads {said}" in repr(found)


def test_what_is_quick_is_called_often_enough_to_tell():
    calls = []

    def counting(image, label, _rng):
        calls.append(1)
        return image, label

    found = check(counting, IMAGE, LABEL, repeats=2)
    assert len(calls) > 50 / found.milliseconds  # as many as 50 ms hold, and on two threads
