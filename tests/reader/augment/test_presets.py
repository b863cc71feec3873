"""Presets: what acts how often, and how far."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from niicache import augment
from niicache.augment import Affine, Compose, Facts, Flip

DRAWS = 4000


def drawn(preset, shape=(8, 8, 8, 1), facts=None):
    every = [preset.draw(np.random.default_rng(k), shape, facts) for k in range(DRAWS)]
    return list(zip(*every, strict=True))


def often(found, p):
    return binomtest(sum(found), len(found), p).pvalue > 1e-3


def test_medical_acts_as_often_and_as_far_as_nnunet():
    preset = augment.medical()
    turns, zooms, flips, noises, blurs, factors, contrasts, scales, inverted, gammas = drawn(preset)
    for column, p in (
        *((turns, 0.2), (zooms, 0.2), (noises, 0.1), (blurs, 0.2), (factors, 0.15)),
        *((contrasts, 0.15), (scales, 0.25), (inverted, 0.1), (gammas, 0.3)),
    ):
        assert often([one is not None for one in column], p)
    for axis in range(3):
        assert often([axis in (one or ()) for one in flips], 0.5)
    acted = [[one for one in column if one is not None] for column in (blurs, scales)]
    assert all(one.all() for one in acted[0])  # every channel, so the rates are those said
    assert all((one < 1).all() for one in acted[1])
    limits = (
        ([one.rotation for one in turns if one is not None], -30, 30),
        ([one.zoom for one in zooms if one is not None], 0.7, 1.4),
        ([one.sigma for one in noises if one is not None], 0, 0.1),
        (acted[0], 0.5, 1),
        ([one[0] for one in factors if one is not None], 0.75, 1.25),
        ([one for one in contrasts if one is not None], 0.75, 1.25),
        (acted[1], 0.5, 1),
        ([one for one in inverted if one is not None], 0.7, 1.5),
        ([one for one in gammas if one is not None], 0.7, 1.5),
    )
    for found, low, high in limits:
        every, reach = np.concatenate([np.ravel(one) for one in found]), high - low
        assert low <= every.min() < low + reach / 20
        assert high - reach / 20 < every.max() <= high
    assert [one.inverted for one in preset.transforms[-2:]] == [True, False]
    assert all(one.keep_stats for one in preset.transforms[-2:])


def test_light_acts_on_half():
    turns, flips, factors = drawn(augment.light(), (8, 8, 1))
    assert often([one is not None for one in turns], 0.5)
    assert often([one is not None for one in factors], 0.5)
    assert often([one is None for one in flips], 0.25)


@pytest.mark.parametrize("preset", [augment.light, augment.medical])
@pytest.mark.parametrize("shape", [(12, 10, 2), (8, 9, 7, 1)])
def test_a_preset_keeps_shape_and_dtype(preset, shape):
    image = np.random.default_rng(0).normal(size=shape).astype("float32")
    mask = (image[..., :1] > 0).astype("uint8")
    one = preset(fill_mode="reflect", mirror=(0,))
    for seed in range(20):
        made, label = one(image.copy(), mask, np.random.default_rng(seed))
        assert (made.shape, made.dtype) == (shape, image.dtype)
        assert (label.shape, label.dtype) == (mask.shape, mask.dtype)
        assert np.isfinite(made).all()


def test_options_of_a_preset_reach_its_transforms():
    one = augment.medical(mirror=(), rotation=180, physical=True, fill=-1, fill_label=5)
    assert isinstance(one, Compose)
    assert not [part for part in one.transforms if isinstance(part, Flip)]
    turn, zoom = one.transforms[:2]
    assert turn == Affine(rotation=180, physical=True, fill=-1, fill_label=5, p=0.2)
    assert (zoom.fill, zoom.fill_label, zoom.physical) == (-1, 5, False)
    assert augment.light(mirror=(1,)).transforms[1] == Flip(axes=(1,))
    drawn(augment.medical(physical=True), facts=Facts(spacing=(1.0, 1.0, 3.0)))
