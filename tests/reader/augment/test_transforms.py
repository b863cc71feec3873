"""What holds for every transform."""

from __future__ import annotations

import pickle
import random
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import augment
from niicache.augment import (
    Affine,
    BiasField,
    Brightness,
    CenterCrop,
    Clip,
    Compose,
    Contrast,
    CutMix,
    Cutout,
    Elastic,
    Facts,
    Flip,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    Intensity,
    KerasAffine,
    KerasBrightness,
    KerasChannelShift,
    KerasStandardise,
    Lambda,
    LowResolution,
    MinMax,
    MixUp,
    Percentile,
    RandomCrop,
    Rescale,
    RicianNoise,
    Rotate90,
    Window,
    ZScore,
)
from niicache.errors import OptionError

FACTS = Facts(
    spacing=(1.0, 2.0),
    mean=(1.0,),
    std=(2.0,),
    minimum=(-3.0,),
    maximum=(4.0,),
    percentiles=((-2.0, -1.5, -1.0, 0.0, 1.0, 1.5, 2.0),),
)
SPATIAL = [
    Affine(rotation=30, shift=((0, 1), (-2, 2)), shift_unit="mm", physical=True, p=0.9),
    Affine(zoom=(0.7, 1.4), isotropic=True, fill_mode="reflect", fill=3, fill_label=2),
    CenterCrop(size=(4, 5)),
    Elastic(magnitude=3, grid=(4, 6)),
    Flip(axes=(1, 0)),
    KerasAffine(
        rotation_range=9, width_shift_range=3, height_shift_range=(0.1, 0.2), zoom_range=0.2
    ),
    RandomCrop(size=6),
    Rotate90(axes=(1, 0)),
]
INTENSITY = [
    BiasField(coefficients=(0.1, 0.2), order=2),
    Brightness(multiply=(0.5, 2), add=3, per_channel=True),
    Clip(low=-0.5, high=1),
    Contrast(per_channel=True),
    Cutout(count=3),
    Gamma(inverted=True, keep_stats=False),
    Gamma(gamma=(0.5, 2), per_channel=True),
    GaussianBlur(per_axis=True, per_channel=True, p_channel=0.5),
    GaussianNoise(sigma=(0.1, 0.2)),
    KerasBrightness(brightness=(0.5, 2)),
    KerasChannelShift(intensity=3),
    KerasStandardise(std=True),
    LowResolution(axes=(0,), per_channel=True),
    MinMax(),
    Percentile(low=1, high=95),
    Rescale(scale=2, offset=1),
    RicianNoise(sigma=(0.1, 0.2)),
    Window(low=-1, high=1),
    ZScore(),
    ZScore(of="image"),
]
WHOLE = [
    Compose(),
    Compose(*SPATIAL[:1], ZScore(), *(one for one in INTENSITY if not one.asks)),
    Lambda(image=np.negative),
    augment.light(),
    augment.medical(),
    augment.image_data_generator(rotation_range=60, width_shift_range=10, horizontal_flip=True),
]
EVERY = [*SPATIAL, *INTENSITY, *WHOLE]
BATCH = [MixUp(alpha=0.4), CutMix(p=0.5)]


def name(one):
    return repr(one)[:40]


def sample(channels=2, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(9, 9, channels)).astype(dtype)
    return image, rng.integers(0, 4, (9, 9, 1)).astype("int16")


def test_every_public_transform_is_tested_here():
    kinds = {type(one).__name__ for one in EVERY + BATCH}
    bases = {"Facts", "CheckReport", "Intensity", "Spatial", "Transform", "BatchTransform"}
    assert {one for one in augment.__all__ if one[0].isupper()} - bases == kinds
    assert set(augment.__all__) <= set(dir(augment))


@pytest.mark.parametrize("one", [*EVERY, *BATCH, FACTS], ids=name)
def test_its_repr_makes_an_equal_one(one):
    room = {**vars(augment), "numpy": np}
    assert eval(repr(one), room) == one  # noqa: S307  # that is the promise
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301
    assert hash(one) == hash(eval(repr(one), room))  # noqa: S307


@pytest.mark.parametrize("one", [*SPATIAL, *INTENSITY, *BATCH], ids=name)
def test_it_cannot_be_changed_and_takes_no_option_by_place_or_of_another_name(one):
    with pytest.raises((FrozenInstanceError, AttributeError)):
        one.p = 0.5
    with pytest.raises(TypeError, match="unexpected keyword"):
        type(one)(probability=1)
    with pytest.raises(TypeError, match="positional"):
        type(one)(1)


@pytest.mark.parametrize("one", EVERY, ids=name)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from(["float16", "float32", "float64"]))
def test_drawn_once_and_applied_twice_gives_the_same_bits(one, dtype, seed):
    image, mask = sample(dtype=dtype)
    params = one.draw(np.random.default_rng(seed), image.shape, FACTS)
    first, second = (one.apply(image.copy(), mask.copy(), params) for _ in range(2))
    called = one(image.copy(), mask.copy(), np.random.default_rng(seed), FACTS)
    for made in (second, called):
        for a, b in zip(first, made, strict=True):
            assert a.tobytes() == b.tobytes()
    assert first[0].dtype == dtype
    assert first[1].dtype == mask.dtype
    assert np.isfinite(first[0]).all()


@pytest.mark.parametrize("one", [*EVERY, *BATCH], ids=name)
def test_it_reads_and_writes_no_random_state_but_its_generator(one):
    image, mask = sample()
    made = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002
        rng = np.random.default_rng(5)
        if one in BATCH:
            pair = np.stack([image, image[::-1]]), np.eye(2)
            made.append(one(*pair, rng)[0])
        else:
            made.append(one(image.copy(), mask, rng, FACTS)[0])
        assert before == (random.getstate(), repr(np.random.get_state()))  # noqa: NPY002
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("one", [*EVERY, *BATCH], ids=name)
def test_other_seeds_draw_something_else_or_it_draws_nothing(one):
    fixed = [Compose(), CenterCrop(size=(4, 5)), Lambda(image=np.negative)]
    told = Clip | KerasStandardise | LowResolution | MinMax | Percentile | Rescale | Window | ZScore
    if one in fixed or isinstance(one, told):
        return  # these only do as they were told
    shape = (2, 9, 9, 2) if one in BATCH else (9, 9, 2)
    extra = () if one in BATCH else (FACTS,)
    drawn = {pickle.dumps(one.draw(np.random.default_rng(k), shape, *extra)) for k in range(9)}
    assert len(drawn) > 1


@pytest.mark.parametrize("one", INTENSITY, ids=name)
@pytest.mark.parametrize("channels", [1, 3])
def test_intensities_are_changed_in_place_and_labels_not_at_all(one, channels):
    image, mask = sample(channels)
    before, kept = image.copy(), mask.copy()
    for seed in range(9):
        made, label = one(image, mask, np.random.default_rng(seed), FACTS)
        assert made is image
        assert label is mask
    assert (image != before).any()
    np.testing.assert_array_equal(mask, kept)
    drawn = (one.draw(np.random.default_rng(k), image.shape, FACTS) for k in range(9))
    params = next(params for params in drawn if params is not None)
    with pytest.raises(OptionError, match="got an image of int16, expected floats"):
        one.apply(before.astype("int16"), mask, params)


@pytest.mark.parametrize("one", INTENSITY, ids=name)
def test_a_view_is_changed_in_place_as_a_whole_array_is(one):
    image, mask = sample(3)
    wide = np.zeros((9, 18, 3), "float32")
    view = wide[:, ::2]
    view[...] = image
    for array in (image, view):
        one(array, mask, np.random.default_rng(3), FACTS)
    np.testing.assert_allclose(view, image, rtol=1e-5, atol=1e-6)
    assert not wide[:, 1::2].any()


@pytest.mark.parametrize("one", [*SPATIAL[1:2], *INTENSITY], ids=name)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_come_out_as_float32_does(one, dtype):
    image, mask = sample(2, "float16")  # every value is one in all three
    other = image.astype(dtype)
    image = image.astype("float32")
    if isinstance(one, GaussianNoise | RicianNoise) and dtype == "float64":
        return  # numpy's normal floats are drawn by another way than its doubles
    image, _ = one(image, mask, np.random.default_rng(3), FACTS)
    other, _ = one(other, mask, np.random.default_rng(3), FACTS)
    np.testing.assert_allclose(other, image, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("one", [one for one in INTENSITY if not isinstance(one, Cutout)], ids=name)
def test_a_volume_of_one_slice_comes_out_as_its_plane(one):
    if isinstance(one, GaussianBlur | BiasField | LowResolution | Contrast | ZScore):
        return  # these draw a number an axis
    image, mask = sample()
    volume = image[None].copy()
    one(image, mask, np.random.default_rng(3), FACTS)
    one(volume, mask, np.random.default_rng(3), FACTS)
    np.testing.assert_array_equal(volume[0], image)


@pytest.mark.parametrize("one", [*SPATIAL, *INTENSITY], ids=name)
def test_its_probability_counts(one):
    if isinstance(one, RandomCrop | CenterCrop):
        return
    options = {key: getattr(one, key) for key in one.__dataclass_fields__}
    never, half = type(one)(**{**options, "p": 0.0}), type(one)(**{**options, "p": 0.5})
    drawn = [half.draw(np.random.default_rng(k), (9, 9, 2), FACTS) for k in range(400)]
    acted = sum(params is not None for params in drawn)
    assert acted > 240 if isinstance(one, Flip) else 150 < acted < 250  # a flip has two axes
    assert never.draw(np.random.default_rng(0), (9, 9, 2), FACTS) is None
    image, mask = sample()
    assert never(image, mask, np.random.default_rng(0), FACTS)[0] is image


def test_a_flat_image_stays_finite():
    for one in INTENSITY:
        for value in (0.0, 5.0):
            image = np.full((9, 9, 2), value, "float32")
            one(image, np.zeros(2), np.random.default_rng(0), FACTS)
            assert np.isfinite(image).all(), one


def test_not_a_number_stays_what_it_is_and_where_it_is():
    for one in INTENSITY:
        if isinstance(one, GaussianBlur | Window | Cutout | LowResolution):
            continue
        image, mask = sample(1)
        image[3, 4] = np.nan
        one(image, mask, np.random.default_rng(0), FACTS)
        assert np.isnan(image[3, 4]), one


REFUSED = [
    (Flip, {"axes": (0, 0)}, "Flip.axes: got .0, 0., expected a tuple of different axes"),
    (Flip, {"axes": 0}, "Flip.axes: got 0"),
    (Flip, {"p": 1.5}, "Flip.p: got 1.5, expected a number from 0 to 1"),
    (Flip, {"p": True}, "Flip.p: got True"),
    (Rotate90, {"axes": (0,)}, "Rotate90.axes: got .0,., expected two axes"),
    (Affine, {"rotation": (3, 1)}, "Affine.rotation: got .3, 1., expected a number x"),
    (Affine, {"rotation": "30"}, "Affine.rotation: got '30'"),
    (Affine, {"shift": float("nan")}, "Affine.shift: got nan"),
    (Affine, {"shift_unit": "cm"}, "Affine.shift_unit: got 'cm', expected one of 'voxels'"),
    (Affine, {"zoom": 1.2}, r"Affine.zoom: got 1.2, expected a pair \(lowest, highest\)"),
    (Affine, {"zoom": (0, 1)}, "Affine.zoom: got .0, 1., expected .* at least 0.001"),
    (Affine, {"zoom": ((1, 1), (1, 2)), "isotropic": True}, "Affine.zoom.*leave out isotropic"),
    (Affine, {"fill_mode": "mirror"}, "Affine.fill_mode: got 'mirror'"),
    (Affine, {"fill_label": 1.5}, "Affine.fill_label: got 1.5"),
    (Elastic, {"grid": 3}, "Elastic.grid: got 3, expected at least 4 control points"),
    (Elastic, {"magnitude": (-1, 2)}, "Elastic.magnitude: got .*at least 0"),
    (RandomCrop, {"size": 0}, "RandomCrop.size: got 0, expected a whole number"),
    (CenterCrop, {"size": (4, 4, 4, 4)}, "CenterCrop.size: got"),
    (Gamma, {"gamma": (0, 1)}, "Gamma.gamma: got .0, 1., expected a pair"),
    (Gamma, {"inverted": 1}, "Gamma.inverted: got 1, expected True or False"),
    (Brightness, {"multiply": 0.2}, "Brightness.multiply: got 0.2, expected a pair"),
    (GaussianNoise, {"sigma": (-1, 1)}, "GaussianNoise.sigma: got"),
    (RicianNoise, {"sigma": 1}, "RicianNoise.sigma: got 1"),
    (GaussianBlur, {"p_channel": 2}, "GaussianBlur.p_channel: got 2"),
    (LowResolution, {"scale": (0.5, 2)}, "LowResolution.scale: got .*from 0.001 to 1"),
    (BiasField, {"order": 0}, "BiasField.order: got 0"),
    (Cutout, {"count": 0}, "Cutout.count: got 0"),
    (Window, {"low": 1, "high": 1}, "Window.high: got 1.0, expected more than low, 1.0"),
    (Rescale, {"scale": None}, "Rescale.scale: got None, expected a number"),
    (ZScore, {"of": "batch"}, "ZScore.of: got 'batch'"),
    (Clip, {"low": 2, "high": 2}, "Clip.high: got 2.0, expected more than low"),
    (Percentile, {"low": 2}, "Percentile.low: got 2.0, expected one of 0.5, 1, 5, 50"),
    (Percentile, {"low": 95, "high": 5}, "Percentile.high: got 5.0, expected more than 95.0"),
    (Lambda, {}, "Lambda: got none of image and sample, expected one function"),
    (Lambda, {"image": abs, "sample": abs}, "Lambda: got both"),
    (Lambda, {"image": 3}, "Lambda.image: got 3, expected a function"),
    (Lambda, {"image": lambda a, b: a}, r"Lambda.image: .* takes \(a, b\), expected .*\(image\)"),  # noqa: ARG005
    (Lambda, {"sample": abs}, r"Lambda.sample: .* expected .* takes \(image, label, rng\)"),
    (MixUp, {"alpha": 0}, "MixUp.alpha: got 0"),
    (CutMix, {"p": -1}, "CutMix.p: got -1"),
]


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_options_are_refused_at_once(kind, options, message):
    with pytest.raises(OptionError, match=message):
        kind(**options)


UNFIT = [
    (Flip(axes=(2,)), "Flip.axes: got .2,., expected axes of an image that has 2"),
    (Rotate90(axes=(0, 2)), "Rotate90.axes: got .0, 2. for an image"),
    (Affine(zoom=((1, 2),) * 3), "Affine.zoom: got 3 ranges, expected 2"),
    (Affine(rotation=((1, 2),) * 2), "Affine.rotation: got 2 ranges, expected 1"),
    (Affine(physical=True), "Affine: got physical=True and facts None.*Facts.spacing=...."),
    (Affine(shift_unit="mm"), "Affine: got shift_unit='mm'"),
    (RandomCrop(size=10), "RandomCrop.size: got .10, 10. for an image of shape .9, 9, 1."),
    (CenterCrop(size=(4, 4, 4)), "CenterCrop.size: got 3 sizes, expected 2"),
    (ZScore(), "ZScore.of: got 'case' and facts None.*of='image'"),
    (MinMax(), "MinMax: got facts None, expected maximum and minimum of the case"),
    (Percentile(), "Percentile: got facts None, expected percentiles of the case"),
]


@pytest.mark.parametrize(("one", "message"), UNFIT)
def test_what_does_not_fit_the_image_is_refused_when_it_is_drawn(one, message):
    for chained in (one, Compose(one)):
        with pytest.raises(OptionError, match=message):
            chained.draw(np.random.default_rng(3), (9, 9, 1))


def test_a_rectangle_is_not_turned_by_a_quarter():
    with pytest.raises(OptionError, match="of equal length; crop them first"):
        Rotate90(p=1.0).draw(np.random.default_rng(0), (8, 9, 1))


def test_a_number_is_the_range_from_minus_to_plus():
    assert Affine(rotation=30) == Affine(rotation=(-30, 30)) == Affine(rotation=[-30.0, 30])
    assert Brightness(add=-2) == Brightness(add=(-2, 2))
    assert "rotation=(-30.0, 30.0)" in repr(Affine(rotation=30))


def test_lambda_calls_what_it_is_given():
    image, mask = sample()
    made, label = Lambda(image=lambda image: image[::-1])(image, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(made, image[::-1])
    assert label is mask

    def both(image, label, rng):
        return image + rng.random(), label + 1

    one = Lambda(sample=both)
    params = one.draw(np.random.default_rng(0), image.shape)
    first, second = (one.apply(image, mask, params) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], mask + 1)
    with pytest.raises(OptionError, match=r"Lambda\.image: .*lambda.*: got NoneType.*return it"):
        Lambda(image=lambda _: None)(image, mask, np.random.default_rng(0))


def test_intensity_and_spatial_are_bases_that_users_may_build_on():
    class Negate(Intensity):
        p = 1.0

        def _drawn(self, _rng, _shape, _facts):
            return ()

        def _change(self, image, _params):
            np.negative(image, out=image)

    image, mask = sample()
    made, _ = Compose(Flip(axes=(0,), p=1.0), Negate())(image, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(made, -image[::-1])


def test_a_case_of_one_value_does_not_blow_up_its_padding():
    image = np.zeros((4, 4, 1), "float32")
    image[1:3, 1:3] = 100
    made, _ = ZScore()(image, np.zeros(1), np.random.default_rng(0), Facts(mean=(100,), std=(0,)))
    assert made.min() == -100
    assert made.max() == 0


@pytest.mark.parametrize("place", [0, 5, 15])
@pytest.mark.parametrize("one", [KerasBrightness(brightness=(0.5, 0.5)), RicianNoise()], ids=name)
def test_a_voxel_that_is_no_number_leaves_the_others_alone(one, place):
    image = np.arange(16, dtype="float32").reshape(4, 4, 1)
    image.reshape(-1)[place] = np.nan
    made, _ = one(image, np.zeros(1), np.random.default_rng(0))
    assert np.isnan(made).sum() == 1


def test_gamma_leaves_alone_what_is_too_wide_for_its_type():
    image = np.array([-3.3e38, 0, 3.3e38, 1], "float32").reshape(2, 2, 1)
    made, _ = Gamma(p=1)(image.copy(), np.zeros(1), np.random.default_rng(0))
    np.testing.assert_array_equal(made, image)


@pytest.mark.parametrize(
    "one",
    [
        Cutout(count=np.int64(2)),
        BiasField(order=np.int32(2)),
        Affine(physical=np.True_),
        Gamma(per_channel=np.False_),
        KerasStandardise(std=np.True_),
    ],
    ids=name,
)
def test_numpy_s_flags_and_counts_are_kept_as_plain_ones(one):
    assert "np." not in repr(one)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda image, _label, _rng: image, "got ndarray, expected the tuple"),
        (lambda _image, _label, _rng: None, "got NoneType, expected the tuple"),
        (lambda _image, label, _rng: ([1], label), "got list, expected an array"),
        (lambda image, label, _rng: (image[:2], label), r"got shape \(2, 9, 2\), .*RandomCrop"),
    ],
)
def test_what_a_function_returns_is_looked_at(function, message):
    with pytest.raises(OptionError, match=f"Lambda.sample: .*lambda.*{message}"):
        Lambda(sample=function)(*sample(), np.random.default_rng(0))


def test_a_read_only_image_is_refused():
    image, mask = sample()
    image.flags.writeable = False
    with pytest.raises(OptionError, match=r"Gamma: got a read-only image.*give a copy"):
        Gamma(p=1)(image, mask, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(6, 6), (5, 6, 1), (3, 3, 1)])
@pytest.mark.parametrize("one", [Rotate90(p=1), Compose(Flip(p=1), Gamma())])
def test_a_mask_of_another_grid_does_not_stay_behind(one, shape):
    with pytest.raises(OptionError, match=r"label: got shape .*\(6, 6, 'channel'\)"):
        one(np.ones((6, 6, 1), "float32"), np.zeros(shape, "uint8"), np.random.default_rng(0))
