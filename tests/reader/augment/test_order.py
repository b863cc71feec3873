"""The order of transforms: the units of what fills, and orders that make no sense."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache import augment
from niicache.augment import (
    Affine,
    Compose,
    Elastic,
    Facts,
    Flip,
    Lambda,
    Rescale,
    Rotate90,
    Window,
    ZScore,
)
from niicache.errors import OptionError

FACTS = Facts(spacing=(1.0, 2.0), mean=(40.0,), std=(12.5,))
TURN = Affine(rotation=(45, 45), fill=0.25)
SCALES = {
    "ZScore": ZScore(),
    "Rescale": Rescale(scale=0.01, offset=-3),
    "Window": Window(low=-50, high=200),
}


def image_of(seed=0, channels=1):
    return np.random.default_rng(seed).uniform(0, 100, (12, 12, channels)).astype("float32")


def corner(transform, channels=1, facts=FACTS):
    made, _ = transform(image_of(channels=channels), np.zeros(1), np.random.default_rng(0), facts)
    return made[0, 0]


def one_by_one(transforms, image, seed):
    rng, label = np.random.default_rng(seed), np.zeros(1)
    for one in transforms:
        image, label = one(image, label, rng, FACTS)
    return image


@pytest.mark.parametrize("name", SCALES)
def test_what_fills_is_in_the_units_of_its_place(name):
    scale = SCALES[name]
    assert corner(Compose(scale, TURN)) == pytest.approx(0.25, abs=1e-6)
    assert corner(Compose(scale, Flip(), TURN, Elastic(fill=0.25, p=1))) == pytest.approx(
        0.25, abs=1e-6
    )
    raw = np.full((2, 2, 1), 0.25, "float32")
    behind = scale(raw, np.zeros(1), np.random.default_rng(0), FACTS)[0][0, 0]
    assert corner(Compose(TURN, scale)) == pytest.approx(behind, abs=1e-6)


scales = st.lists(
    st.builds(Rescale, scale=st.sampled_from([0.5, -2.0]), offset=st.sampled_from([0.0, 3.0])),
    max_size=2,
)


@given(lead=st.booleans(), ahead=scales, behind=scales, seed=st.integers(0, 2**32 - 1))
def test_scales_before_and_after_are_as_if_each_were_done_in_its_turn(lead, ahead, behind, seed):
    chain = [*([ZScore()] if lead else []), *ahead, TURN, *behind]
    image = image_of(seed)
    wanted = one_by_one(chain, image.copy(), seed)
    made = Compose(*chain)(image.copy(), np.zeros(1), np.random.default_rng(seed), FACTS)[0]
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-4)


def test_images_normalised_before_medical_are_filled_with_their_mean():
    transform = Compose(ZScore(), augment.medical(rotation=45))
    assert (
        transform.plan(
            transform.draw(np.random.default_rng(0), (9, 9, 1), FACTS), (9, 9, 1)
        ).fill.value
        == 0
    )
    drawn = transform.draw(np.random.default_rng(0), (9, 9, 1), FACTS)
    fill = transform.plan(drawn, (9, 9, 1)).fill
    assert (fill.value, fill.scaled) == (0, True)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ([Window(low=0, high=9), ZScore()], "ZScore.*after Window.*stored voxels"),
        ([Rescale(scale=0.1), ZScore()], "ZScore.*after Rescale.*of='image'"),
        ([ZScore(), ZScore()], "ZScore.*after ZScore"),
        ([Lambda(image=np.sqrt), ZScore()], "ZScore.*after Lambda"),
        ([Lambda(image=np.sqrt), TURN], "Lambda.*before Affine.*move it behind"),
        ([ZScore(of="image"), TURN], "ZScore.*before Affine.*move it behind"),
        ([Rescale(scale=2, p=0.5), TURN], "Rescale.*before Affine"),
        ([TURN, Rescale(scale=2), Elastic(fill=0.25)], "Rescale.*before Elastic"),
        ([augment.Gamma(), ZScore(), TURN], "ZScore.*before Affine"),
        ([Rotate90(), Affine(physical=True)], "Affine.*after Rotate90"),
    ],
)
def test_orders_that_make_no_sense_are_refused(chain, message):
    with pytest.raises(OptionError, match=message):
        Compose(*chain)


@pytest.mark.parametrize(
    "chain",
    [
        [Lambda(image=np.sqrt), Flip()],
        [Lambda(image=np.sqrt), Affine(rotation=9, fill_mode="reflect")],
        [Window(low=0, high=9), ZScore(of="image")],
        [augment.Gamma(), TURN],
        [Affine(physical=True), Rotate90()],
        [ZScore(), augment.light(), Rescale(scale=2)],
    ],
)
def test_orders_that_make_sense_are_not(chain):
    Compose(*chain)


def test_channels_of_unequal_mean_are_filled_each_in_its_own_units():
    mean, std = np.array([1.0, 20.0, -3.0]), np.array([1.0, 4.0, 0.5])
    unequal = Facts(mean=tuple(mean.tolist()), std=tuple(std.tolist()))
    behind = corner(Compose(ZScore(), TURN), channels=3, facts=unequal)
    np.testing.assert_allclose(behind, 0.25)
    before = corner(Compose(TURN, ZScore()), channels=3, facts=unequal)
    np.testing.assert_allclose(before, (0.25 - mean) / std, rtol=1e-6)
