"""Keras' ImageDataGenerator is the judge of what bears its name."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from scipy.stats import chisquare, ks_2samp

from niicache.augment import KerasAffine, KerasBrightness, image_data_generator
from niicache.augment.keras_affine import KerasAffineParams
from niicache.errors import OptionError

MODES = ["constant", "nearest", "reflect", "wrap"]
DRAWS = 3000
BASELINE = {
    "rotation_range": 60,
    "width_shift_range": 10,
    "height_shift_range": 10,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "vertical_flip": True,
}


def image_of(shape, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 50 + 100).astype("float32")


def test_its_arguments_are_those_of_keras_and_have_the_same_defaults():
    ours = inspect.signature(image_data_generator).parameters
    theirs = inspect.signature(ImageDataGenerator.__init__).parameters
    assert set(ours) - {"fill_label"} == set(theirs) - {"self"}
    for name in set(ours) & set(theirs):
        assert ours[name].default == theirs[name].default, name


def hundredths(low, high):
    """Return numbers that put no place by a rounding error beyond the border."""
    return st.integers(round(low * 100), round(high * 100)).map(lambda n: n / 100)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(16, 16, 3), (12, 21, 1)])
@settings(max_examples=25)
@given(data=st.data())
def test_the_same_parameters_give_the_image_that_keras_gives(shape, mode, data):
    numbers = {
        "theta": hundredths(-90, 90),
        "tx": hundredths(-9, 9),
        "ty": st.integers(-9, 9),
        "shear": hundredths(-40, 40),
        "zx": hundredths(0.5, 1.6),
        "zy": hundredths(0.5, 1.6),
    }
    still = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1}
    drawn = {key: data.draw(st.one_of(st.just(still[key]), one)) for key, one in numbers.items()}
    flips = data.draw(st.booleans()), data.draw(st.booleans())
    image = image_of(shape)
    keras = ImageDataGenerator(fill_mode=mode, cval=-7)
    judge = keras.apply_transform(
        image, {**drawn, "flip_horizontal": flips[0], "flip_vertical": flips[1]}
    )
    ours = image_data_generator(fill_mode=mode, cval=-7, horizontal_flip=True, vertical_flip=True)
    mirrored = (1,) * flips[0] + (0,) * flips[1]
    params = (KerasAffineParams(**drawn), mirrored or None)
    made, _ = ours.apply(image.copy(), np.zeros(1), params)
    off = np.abs(made - judge) > 1e-4 * np.ptp(image)
    if mode in {"constant", "wrap"}:  # a place on the very border may fall to either side of it
        assert off.mean() < 0.02
    else:
        assert not off.any()


def drawn_by_keras(options, shape):
    keras = ImageDataGenerator(**options)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    made = [keras.get_random_transform(shape) for _ in range(DRAWS)]
    np.random.set_state(state)  # noqa: NPY002
    return {key: np.array([one[key] or 0 for one in made], float) for key in made[0]}


def drawn_by_us(options, shape):
    ours = image_data_generator(**options)
    made = [ours.draw(np.random.default_rng(k), shape) for k in range(DRAWS)]
    names = ("theta", "tx", "ty", "shear", "zx", "zy")
    found = {name: np.array([getattr(one[0], name) for one in made], float) for name in names}
    kinds = [type(one).__name__ for one in ours.transforms]
    for name, kind in (
        ("channel_shift_intensity", "KerasChannelShift"),
        ("brightness", "KerasBrightness"),
    ):
        place = kinds.index(kind) if kind in kinds else None
        found[name] = np.array([0.0 if place is None else one[place] for one in made])
    place = kinds.index("Flip") if "Flip" in kinds else None
    for name, axis in (("flip_horizontal", 1), ("flip_vertical", 0)):
        flips = [() if place is None else one[place] or () for one in made]
        found[name] = np.array([axis in one for one in flips], float)
    return found


EVERYTHING = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "height_shift_range": 0.1,
    "shear_range": 12,
    "zoom_range": (0.8, 1.5),
    "channel_shift_range": 20,
    "brightness_range": (0.5, 1.5),
    "vertical_flip": True,
}


@pytest.mark.parametrize(
    "options",
    [
        BASELINE,
        EVERYTHING,
        {"width_shift_range": 3.5, "height_shift_range": 1},
        {"width_shift_range": 1.0, "height_shift_range": [-3, 0, 1, 5]},
        {"width_shift_range": (0.1, 0.3), "zoom_range": 0.0},
    ],
)
def test_parameters_are_distributed_as_those_of_keras(options):
    shape = (24, 40, 3)
    theirs, ours = drawn_by_keras(options, shape), drawn_by_us(options, shape)
    assert set(theirs) == set(ours)
    for name in theirs:
        values, counts = np.unique(theirs[name], return_counts=True)
        if len(values) > 30:
            assert ks_2samp(theirs[name], ours[name]).pvalue > 1e-3, name
            continue
        others, found = np.unique(ours[name], return_counts=True)
        np.testing.assert_allclose(values, others, atol=1e-9, err_msg=name)
        if len(values) > 1:
            assert chisquare(found, (counts + found) / 2).pvalue > 1e-3, name


def test_a_whole_number_of_pixels_never_reaches_that_number():
    one = KerasAffine(width_shift_range=10)
    drawn = [one.draw(np.random.default_rng(k), (9, 9, 1)).ty for k in range(DRAWS)]
    counts = np.array([drawn.count(k) for k in range(-9, 10)])
    expected = np.full(19, DRAWS / 20)
    expected[9] *= 2  # 0 comes with either sign
    assert chisquare(counts, expected).pvalue > 1e-3


def test_the_range_of_the_width_moves_along_the_rows_as_in_keras():
    image = np.zeros((9, 9, 1), "float32")
    image[4, 4] = 1
    still = dict.fromkeys(("theta", "tx", "shear"), 0) | {"zx": 1, "zy": 1, "ty": 2}
    judge = ImageDataGenerator().apply_transform(image, still)
    made, _ = KerasAffine().apply(image, np.zeros(1), KerasAffineParams(**still))
    assert np.argwhere(judge).tolist() == np.argwhere(made).tolist() == [[2, 4, 0]]


@given(seed=st.integers(0, 2**32), intensity=st.floats(-80, 80))
def test_channels_are_shifted_as_by_keras(seed, intensity):
    image = image_of((8, 9, 3), seed)
    judge = ImageDataGenerator().apply_transform(image, {"channel_shift_intensity": intensity})
    ours = image_data_generator(channel_shift_range=80)
    made, _ = ours.apply(image.copy(), np.zeros(1), (None, intensity))
    np.testing.assert_allclose(made, judge, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"samplewise_center": True},
        {"samplewise_std_normalization": True},
        {"rescale": 1 / 255},
        {
            "rescale": 2.0,
            "preprocessing_function": np.log1p,
            "samplewise_std_normalization": True,
        },
    ],
)
@pytest.mark.filterwarnings("ignore:This ImageDataGenerator")
def test_images_are_standardised_as_by_keras_and_in_its_order(options):
    image = np.abs(image_of((8, 9, 3)))
    judge = ImageDataGenerator(**options).standardize(image.copy())
    made, _ = image_data_generator(**options)(image, np.zeros(1), np.random.default_rng(0))
    np.testing.assert_allclose(made, judge, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (20, 90), (-300, 500), (0, 1000)])
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
def test_brightness_is_that_of_keras_without_its_eight_bits(low, high, factor):
    image = np.linspace(low, high, 8 * 9 * 3, dtype="float32").reshape(8, 9, 3)
    made, _ = KerasBrightness(brightness=(0, 2)).apply(image.copy(), np.zeros(1), factor)
    black, white = (0, 255) if low >= 0 and high <= 255 else (low, high)
    judge = np.minimum((image - black) * factor, white - black) + black
    np.testing.assert_allclose(made, judge, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (20, 90), (-300, 500), (0, 1000)])
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
def test_the_eight_bits_of_keras_are_the_only_difference_of_brightness(low, high, factor):
    pytest.importorskip("PIL", reason="Keras brightens by Pillow")
    image = np.linspace(low, high, 8 * 9 * 3, dtype="float32").reshape(8, 9, 3)
    made, _ = KerasBrightness(brightness=(0, 2)).apply(image.copy(), np.zeros(1), factor)
    step = (255 if low >= 0 and high <= 255 else high - low) / 255
    judge = ImageDataGenerator().apply_transform(image, {"brightness": factor})
    np.testing.assert_allclose(made, judge, atol=step * (1 + factor) + 1e-3)


def test_masks_move_with_their_images():
    image = np.repeat(np.arange(16, dtype="float32"), 16).reshape(16, 16, 1)
    mask = (image > 7).astype("uint8")
    ours = image_data_generator(**BASELINE)
    for seed in range(9):
        made, label = ours(image.copy(), mask, np.random.default_rng(seed))
        assert ((made > 7.5) == label).mean() > 0.95
        assert label.dtype == "uint8"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"featurewise_center": True}, "featurewise_center: got True, expected False;.*ZScore"),
        ({"featurewise_std_normalization": True}, "featurewise_std_norm.*got True.*ZScore"),
        ({"zca_whitening": True}, "zca_whitening: got True.*in a layer of the model"),
        ({"validation_split": 0.2}, "validation_split: got 0.2, expected 0;.*a cache of the"),
        ({"interpolation_order": 3}, "interpolation_order: got 3, expected 1"),
        ({"data_format": "channels_first"}, "data_format: got 'channels_first'"),
        ({"dtype": "float16"}, "dtype: got 'float16'"),
        ({"zoom_range": (1.2, 0.8)}, "zoom_range: got"),
        ({"width_shift_range": -3}, "width_shift_range: got -3"),
        ({"height_shift_range": []}, r"height_shift_range: got \[\]"),
        ({"rotation_range": "60"}, "rotation_range: got '60'"),
        ({"fill_mode": "mirror"}, "fill_mode: got 'mirror'"),
        ({"horizontal_flip": 1}, "horizontal_flip: got 1, expected True or False"),
        ({"brightness_range": 0.5}, "brightness_range: got 0.5, expected a pair"),
        ({"preprocessing_function": 5}, "preprocessing_function: got 5"),
    ],
)
def test_what_makes_no_sense_for_a_sample_is_refused_with_what_to_do(options, message):
    with pytest.raises(OptionError, match=message):
        image_data_generator(**options)


def test_all_that_is_refused_is_told_at_once():
    with pytest.raises(OptionError, match=r"(?s)zca_whitening.*validation_split"):
        image_data_generator(zca_whitening=True, validation_split=0.1)


def test_a_volume_is_refused_with_what_to_do():
    with pytest.raises(OptionError, match=r"got an image of shape \(4, 4, 4, 1\).*medical"):
        image_data_generator().draw(np.random.default_rng(0), (4, 4, 4, 1))
