"""Intensities: numpy and scipy are the judges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.stats import kstest, norm, rice

from niicache.augment import (
    BiasField,
    Brightness,
    Contrast,
    Cutout,
    Facts,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    LowResolution,
    Rescale,
    RicianNoise,
    Window,
    ZScore,
)
from niicache.augment.kernels import intensity as loops

SHAPES = [(17, 30, 2), (9, 14, 11, 1), (1, 3, 40, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES)
seeds = st.integers(0, 2**32)


def noise(shape, seed=0, dtype="float32"):
    return (np.random.default_rng(seed).normal(size=shape) * 30 + 100).astype(dtype)


def run(one, image, seed=0, facts=None):
    """Return parameters and the changed copy of an image."""
    params = one.draw(np.random.default_rng(seed), image.shape, facts)
    return params, one.apply(image.copy(), np.zeros(1), params)[0]


def near(made, judge, image):
    np.testing.assert_allclose(made, judge, rtol=0, atol=1e-5 * np.ptp(judge.astype(float)))
    assert made.dtype == image.dtype


@given(gamma=st.floats(0.05, 20), seed=seeds)
def test_a_power_is_that_of_numpy(gamma, seed):
    rng = np.random.default_rng(seed)
    t = np.concatenate([[0, 1], rng.random(500), 10.0 ** rng.uniform(-12, 0, 500)]).astype("f4")
    made = t.copy()
    real = np.float32
    mean, std = loops.power(made, real(0), real(1), real(gamma), real(1), real(0))
    judge = t.astype(float) ** float(real(gamma))
    np.testing.assert_allclose(made, judge, rtol=1e-5, atol=1e-30)
    assert (mean, std) == pytest.approx((judge.mean(), judge.std()), rel=1e-5)
    assert made[:2].tolist() == [0, 1]


@given(seed=seeds, scale=st.floats(0.01, 100), offset=st.floats(-1e4, 1e4))
def test_statistics_are_those_of_numpy(seed, scale, offset):
    x = (np.random.default_rng(seed).normal(size=999) * scale + offset).astype("float32")
    low, high, mean, std = loops.stats(x)
    assert (low, high) == (x.min(), x.max())
    assert mean == pytest.approx(x.mean(dtype=float), abs=1e-6 * scale + 1e-9)
    assert std == pytest.approx(x.std(dtype=float), rel=1e-6)


@shapes
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma_is_a_power_of_each_channel_between_its_ends(shape, keep, inverted, dtype):
    image = noise(shape, dtype=dtype)
    one = Gamma(gamma=(0.5, 2), keep_stats=keep, inverted=inverted, per_channel=True)
    gammas, made = run(one, image)
    for channel, gamma in enumerate(gammas):
        x = image[..., channel].astype(float) * (-1 if inverted else 1)
        judge = ((x - x.min()) / np.ptp(x)) ** gamma * np.ptp(x) + x.min()
        if keep:
            judge = (judge - judge.mean()) * x.std() / judge.std() + x.mean()
        near(made[..., channel], judge * (-1 if inverted else 1), image)


@shapes
@pytest.mark.parametrize("keep", [True, False])
def test_contrast_moves_voxels_from_their_mean(shape, keep):
    image = noise(shape)
    factors, made = run(Contrast(factor=(0.5, 2), preserve_range=keep, per_channel=True), image, 1)
    mean = image.mean(tuple(range(len(shape) - 1)), dtype=float)
    judge = (image - mean) * factors + mean
    if keep:
        axes = tuple(range(len(shape) - 1))
        judge = np.clip(judge, image.min(axes), image.max(axes))
    near(made, judge, image)


@shapes
def test_brightness_multiplies_and_adds(shape):
    image = noise(shape)
    (factors, added), made = run(
        Brightness(multiply=(0.5, 2), add=(-9, 9), per_channel=True), image
    )
    near(made, image * factors + added, image)
    assert len(set(factors.tolist())) == shape[-1]
    (factors, _), _ = run(Brightness(multiply=(0.5, 2)), image)
    assert len(set(factors.tolist())) == 1


@pytest.mark.parametrize(
    ("one", "low", "high"),
    [
        (Gamma(gamma=(0.7, 1.5)), 0.7, 1.5),
        (Contrast(factor=(0.75, 1.25)), 0.75, 1.25),
        (Brightness(multiply=(0.5, 3)), 0.5, 3),
    ],
)
def test_factors_are_below_one_as_often_as_above(one, low, high):
    found = np.array(
        [np.ravel(one.draw(np.random.default_rng(k), (4, 4, 1)))[0] for k in range(3000)]
    )
    below = found[found < 1]
    assert 1400 < len(below) < 1600
    assert kstest(below, "uniform", (low, 1 - low)).pvalue > 1e-3
    assert kstest(found[found > 1], "uniform", (1, high - 1)).pvalue > 1e-3


def test_factors_of_one_side_are_all_equally_likely():
    one = Gamma(gamma=(1.5, 2))
    found = [one.draw(np.random.default_rng(k), (4, 4, 1))[0] for k in range(1000)]
    assert kstest(found, "uniform", (1.5, 0.5)).pvalue > 1e-3


@shapes
@settings(max_examples=20)
@given(seed=seeds, top=st.floats(0.1, 4), dtype=st.sampled_from(["float32", "float64"]))
def test_blur_is_scipys_with_mirrored_borders(shape, seed, top, dtype):
    image = noise(shape, seed, dtype)
    sigmas, made = run(
        GaussianBlur(sigma=(0.05, top), per_axis=True, per_channel=True), image, seed
    )
    for channel in range(shape[-1]):
        judge = image[..., channel].astype(float)
        for axis, sigma in enumerate(sigmas[channel]):
            radius = int(3 * sigma + 0.5)
            judge = gaussian_filter1d(judge, sigma, axis, mode="mirror", radius=radius)
        np.testing.assert_allclose(made[..., channel], judge, rtol=0, atol=1e-3)


def test_blur_acts_on_each_channel_by_chance_and_on_axes_alike():
    one = GaussianBlur(sigma=(1, 2), p_channel=0.5, p=1.0)
    drawn = np.array([one.draw(np.random.default_rng(k), (5, 5, 5, 4)) for k in range(500)])
    acts = drawn[..., 0] > 0
    assert 900 < acts.sum() < 1100
    assert (drawn == drawn[..., :1]).all()
    image = noise((8, 8, 4))
    params, made = run(one, image, 1)
    for channel, sigma in enumerate(params[:, 0]):
        assert (made[..., channel] == image[..., channel]).all() == (sigma == 0)


def coarse(channel, scale):
    """Return torch's nearest-exact and linear resizing, as their documentation has it."""
    few = [max(1, round(n * s)) for n, s in zip(channel.shape, scale, strict=True)]
    kept = [
        np.floor((np.arange(m) + 0.5) * n / m).astype(int)
        for m, n in zip(few, channel.shape, strict=True)
    ]
    small = channel[np.ix_(*kept)].astype(float)
    at = [(np.arange(n) + 0.5) * m / n - 0.5 for m, n in zip(few, channel.shape, strict=True)]
    return map_coordinates(small, np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")


@shapes
@settings(max_examples=20)
@given(seed=seeds, low=st.floats(0.05, 1), dtype=st.sampled_from(["float32", "float64"]))
def test_low_resolution_is_nearest_down_and_linear_up(shape, seed, low, dtype):
    image = noise(shape, seed, dtype)
    scales, made = run(LowResolution(scale=(low, 1), per_channel=True), image, seed)
    for channel in range(shape[-1]):
        judge = coarse(image[..., channel], scales[channel])
        np.testing.assert_allclose(made[..., channel], judge, rtol=0, atol=1e-3)
    assert (scales == scales[:, :1]).all()


def test_low_resolution_leaves_out_the_axes_that_are_not_named():
    scales, _ = run(LowResolution(scale=(0.5, 0.5), axes=(0, 2)), noise((8, 8, 8, 2)))
    assert scales.tolist() == [[0.5, 1, 0.5]] * 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_is_normal_and_of_the_deviation_that_was_drawn(dtype):
    image = np.full((50, 50, 50, 1), 7, dtype)
    params, made = run(GaussianNoise(sigma=(0.5, 3)), image)
    assert 0.5 <= params.sigma <= 3
    added = (made - 7).ravel()
    assert kstest(added[::5], norm(scale=params.sigma).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(added[:-1], added[1:])[0, 1]) < 0.02
    _, other = run(GaussianNoise(sigma=(0.5, 3)), image, seed=1)
    assert abs(np.corrcoef(added, (other - 7).ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("height", [0, 2, 20])
def test_rician_noise_is_that_of_a_magnitude(height):
    image = np.full((40, 40, 40, 1), height - 5, "float32")
    image[0, 0, 0] = -5  # the lowest voxel is where the signal is none
    params, made = run(RicianNoise(sigma=(1, 2)), image)
    found = made.ravel()[1::3] + 5
    judge = rice(height / params.sigma, scale=params.sigma)
    assert kstest(found, judge.cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(7, 9, 2), (5, 7, 9, 1)])
def test_a_bias_field_is_the_exponential_of_a_polynomial(shape):
    image = noise(shape)
    terms, made = run(BiasField(coefficients=0.4, order=3), image)
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[:-1]), indexing="ij")
    field = sum(
        terms[powers] * np.prod([x**power for x, power in zip(grid, powers, strict=True)], axis=0)
        for powers in np.ndindex(terms.shape)
    )
    near(made, image * np.exp(field)[..., None], image)
    count = len(shape) - 1
    assert np.count_nonzero(terms) == {2: 10, 3: 20}[count]
    assert abs(terms).max() <= 0.4


@given(seed=seeds, count=st.integers(1, 4))
def test_boxes_are_cut_whole_and_as_large_as_was_said(seed, count):
    image = noise((20, 30, 2))
    boxes, made = run(Cutout(count=count, size=(0.2, 0.5), fill=-1, p=1.0), image, seed)
    cut = np.zeros((20, 30), bool)
    for first, stop in boxes:
        assert ((first >= 0) & (stop <= (20, 30))).all()
        assert (4 <= stop[0] - first[0] <= 10) & (6 <= stop[1] - first[1] <= 15)
        cut[first[0] : stop[0], first[1] : stop[1]] = True
    assert (made[cut] == -1).all()
    assert (made[~cut] == image[~cut]).all()
    assert len(boxes) == count


def test_scales_of_intensity():
    image = noise(SHAPES[0])
    facts = Facts(mean=(100,), std=(30,))
    near(run(ZScore(), image, facts=facts)[1], (image - 100) / 30, image)
    each = image.mean((0, 1)), image.std((0, 1))
    near(run(ZScore(of="image"), image)[1], (image - each[0]) / each[1], image)
    near(run(Window(low=80, high=130), image)[1], (np.clip(image, 80, 130) - 80) / 50, image)
    near(run(Rescale(scale=2, offset=-3), image)[1], image * 2.0 - 3, image)
