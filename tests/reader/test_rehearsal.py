"""What transforms may need is compiled with the first of it, not in the middle of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import run_python

from niicache import BalancedSequence, augment, augmentation, rehearsal
from niicache.augment.resampling import is_whole
from niicache.augmentation import augmentation_for
from niicache.cache import open_cache
from niicache.compiling import CompilerNeeded
from niicache.rehearsal import _ways

FRESH = """
import sys
from niicache import BalancedSequence, augment
from niicache.compiling import without_compiler

calls = []

def made(seldom, often):
    return augment.Compose(
        augment.Rescale(scale=2.0, p=seldom),
        augment.Flip(p=often),
        augment.Gamma(p=often),
        augment.Lambda(image=lambda image: calls.append(1) or image),
    )

first = BalancedSequence(sys.argv[1], 4, transform=made(1e-9, 1e-9))
first[0]
print(len(calls), "calls for 4 samples")
with without_compiler():
    for seldom, often in ((1.0, 1e-9), (1e-9, 1.0), (0.5, 0.5)):
        one = BalancedSequence(sys.argv[1], 4, transform=made(seldom, often), steps=8)
        for step in range(8):
            one[step]
print("nothing was left to compile")
"""


def test_after_the_first_batch_nothing_is_left_to_compile(folder_cache, tmp_path):
    said = run_python(FRESH, folder_cache, NUMBA_CACHE_DIR=str(tmp_path))
    assert said == "4 calls for 4 samples\nnothing was left to compile\n"


def test_masks_are_rehearsed_as_they_are_stored(mask_cache, monkeypatch):
    seen = set()

    def place(cases, batch, slots, plans, lines, *, what):
        del slots, lines
        bends = plans[0].displacement is not None
        seen.add((what, cases.dtype.name, batch.dtype.name, bends, is_whole(plans[0].matrix)))

    monkeypatch.setattr(rehearsal, "place_cases", place)
    transform = augment.Compose(augment.Affine(rotation=9, p=0.1), augment.Elastic(p=0.1))
    cache = open_cache(mask_cache)
    made = augmentation_for(transform, cache, np.dtype("float64"))
    made.rehearse()
    turned, bent, both, still = (False, False), (True, True), (True, False), (False, True)
    image, mask = ("image", "float32", "float64"), ("mask", "uint8", "uint8")
    assert seen == {(*one, *how) for one in (image, mask) for how in (turned, bent, both, still)}


def test_a_sequence_rehearses_once(mask_cache, monkeypatch):
    rehearsed = []
    monkeypatch.setattr(augmentation, "rehearse", lambda *given: rehearsed.append(given))
    one = BalancedSequence(mask_cache, 4, transform=augment.Flip(p=1))
    assert not rehearsed  # to make one compiles nothing
    for step in (0, 1, 0):
        one[step]
    ((compose, shape, recipe, dtype, _),) = rehearsed
    assert compose.transforms == (augment.Flip(p=1),)
    assert (shape, recipe) == ((14, 10, 1), one.cache.manifest.recipe)
    assert dtype == np.dtype("float32")
    BalancedSequence(mask_cache, 4)[0]  # has no transform
    assert len(rehearsed) == 1


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32"])
def test_without_transforms_there_is_nothing_to_rehearse(patch_cache, monkeypatch, dtype):
    """Patches go through an empty Compose, and may be of whole numbers."""
    placed = []
    monkeypatch.setattr(rehearsal, "place_cases", lambda *given, **_: placed.append(given))
    sequence = BalancedSequence(patch_cache, 4, patch=(8, 8, 8), dtype=dtype)
    sequence._augmentation.rehearse()
    assert not placed


def test_what_could_not_be_compiled_by_a_thread_is_rehearsed_by_the_next(mask_cache, monkeypatch):
    answers = iter([CompilerNeeded, None])

    def rehearse(*_):
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr(augmentation, "rehearse", rehearse)
    one = BalancedSequence(mask_cache, 4, transform=augment.Flip(p=1), steps=3, workers=1)
    assert len(list(one)) == 3
    assert next(answers, "none left") == "none left"


def test_each_transform_acts_alone_too(mask_cache):
    cache = open_cache(mask_cache)
    transform = augment.Compose(
        augment.CenterCrop(size=(4, 4)),
        augment.Flip(p=0.1),
        augment.Lambda(image=abs),
        augment.Gamma(p=0.1),
    )
    made = augmentation_for(transform, cache, np.dtype("float32"))
    ways = list(_ways(made.compose, made.drawn_by))
    acting = [[one is not None for one in params] for params in ways]
    assert acting == [
        [True, True, False, True],
        [True, False, False, False],
        [True, True, False, False],
        [True, False, False, True],
    ]


@pytest.mark.parametrize("patch", [None, (8, 8, 8)])
def test_transforms_of_users_are_left_alone(patch_cache, patch):
    calls = []

    class Own(augment.Gamma):
        def draw(self, rng, shape, facts=None):
            number = rng.random()
            return number if number < 0.99 else self.draw(rng, shape, facts)

        def apply(self, image, label, params):
            calls.append(params)
            return image, label

    transform = augment.Compose(augment.Flip(p=0.5), Own(p=0.5))
    BalancedSequence(patch_cache, 4, transform=transform, patch=patch)[0]
    assert len(calls) == 4


EVERY = [
    augment.Compose(augment.ZScore(), augment.medical()),
    augment.Compose(augment.Elastic(p=0.5), augment.Percentile(p=0.5), augment.Clip(low=0, high=1)),
    augment.Compose(augment.CenterCrop(size=5), augment.Cutout(p=0.5), augment.ZScore(of="image")),
    augment.Compose(augment.RicianNoise(p=0.5), augment.BiasField(p=0.5), augment.Contrast(p=0.5)),
    augment.Compose(augment.CenterCrop(size=6), augment.Window(low=0, high=9), augment.Rotate90()),
]


@pytest.mark.parametrize("name", ["mask_cache", "patch_cache", "vector_cache"])
def test_a_corner_is_enough_for_every_transform(request, name, monkeypatch):
    """Whatever is drawn for a whole case is applied to a part of it, and nothing warns."""
    seen = []
    real = rehearsal.place_cases

    def place(cases, batch, *given, **named):
        seen.append(max(*cases.shape[:-1], *batch.shape[1:-1]))
        real(cases, batch, *given, **named)

    monkeypatch.setattr(rehearsal, "place_cases", place)
    cache = open_cache(request.getfixturevalue(name))
    for transform in EVERY:
        made = augmentation_for(transform, cache, np.dtype("float32"))
        made.rehearse()
    assert len(seen) > 2 * len(EVERY)
    assert max(seen) == rehearsal.SMALL
