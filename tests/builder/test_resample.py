"""Resampling; the judge is the formula of skimage's resize, read off by scipy's map_coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from niicache_builder import resample
from niicache_builder.crop import foreground_box
from niicache_builder.resample import ORDERS, interpolated, nearest, nearest_label

shapes = st.integers(2, 3).flatmap(lambda dims: st.tuples(*[st.integers(1, 12)] * dims))
orders = st.sampled_from(sorted(ORDERS))


def other(shape):
    return st.tuples(*[st.integers(1, 20)] * len(shape))


def judged(voxels, shape, order):
    """Return one channel of float64 at the centres of new voxels, extents kept."""
    steps = [
        (np.arange(new) + 0.5) * old / new - 0.5
        for old, new in zip(voxels.shape, shape, strict=True)
    ]
    return ndimage.map_coordinates(
        voxels, np.meshgrid(*steps, indexing="ij"), order=order, mode="nearest"
    )


@settings(max_examples=40)
@given(st.data(), shapes, orders, st.integers(0, 2**32 - 1))
def test_interpolated_as_the_formula_has_it(data, shape, interpolation, seed):
    new, rng = data.draw(other(shape)), np.random.default_rng(seed)
    voxels = rng.normal(size=(*shape, 2))
    got = interpolated(voxels, new, interpolation)
    assert got.shape == (*new, 2)
    for channel in range(2):
        want = judged(voxels[..., channel], new, ORDERS[interpolation])
        np.testing.assert_allclose(got[..., channel], want, atol=1e-9)


@settings(max_examples=40)
@given(st.data(), shapes, st.integers(0, 2**32 - 1))
def test_the_nearest_voxel_is_the_nearest_and_brings_no_new_value(data, shape, seed):
    new, rng = data.draw(other(shape)), np.random.default_rng(seed)
    mask = rng.integers(0, 255, (*shape, 1), np.uint8)
    got = nearest_label(mask, new)
    assert (got.dtype, got.shape) == (mask.dtype, (*new, 1))
    assert set(np.unique(got)) <= set(np.unique(mask))
    for axis, (old, count) in enumerate(zip(shape, new, strict=True)):
        ramp = np.moveaxis(
            np.broadcast_to(np.arange(old), (*shape[:axis], *shape[axis + 1 :], old)), -1, axis
        )
        at = nearest(ramp, new)
        centres = (np.arange(count) + 0.5) * old / count - 0.5
        line = np.moveaxis(at, axis, -1).reshape(-1, count)
        assert (np.abs(line - centres) <= 0.5 + 1e-9).all()


def test_labels_of_64_bits_stay_what_they_are():
    mask = np.array([2**63 - 1, -(2**63), 2**53 + 1]).reshape(3, 1, 1)
    assert set(nearest_label(mask, (7, 2)).ravel().tolist()) == set(mask.ravel().tolist())


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("interpolation", sorted(ORDERS))
def test_thick_slices_are_interpolated_within_and_not_between(axis, interpolation):
    rng = np.random.default_rng(0)
    shape, new = [11, 11, 11], [17, 17, 17]
    shape[axis], new[axis] = 4, 21
    voxels = rng.normal(size=(*shape, 1))
    got = interpolated(voxels, tuple(new), interpolation, thick=axis)[..., 0]
    slices = np.moveaxis(voxels[..., 0], axis, 0)
    plane = tuple(np.delete(new, axis))
    want = np.stack([judged(one, plane, ORDERS[interpolation]) for one in slices])
    want = want[((np.arange(21) + 0.5) * 4 / 21).astype(int)]
    np.testing.assert_allclose(np.moveaxis(got, axis, 0), want, atol=1e-9)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
def test_whole_numbers_are_rounded_and_cut_to_their_type(dtype):
    limits = np.iinfo(dtype)
    step = np.array([limits.min] * 6 + [limits.max] * 6, dtype).reshape(12, 1, 1)
    got = interpolated(step, (31, 1), "cubic")
    assert got.dtype == dtype
    # A cubic goes beyond an edge; what wraps around would be at the other end of the type.
    assert (got[:9].astype(float) < limits.max / 2).all()
    assert (got[-9:].astype(float) > limits.max / 2).all()
    ramp = np.arange(0, 40, 4, dtype=dtype).reshape(10, 1, 1)
    want = np.rint(judged(ramp[..., 0].astype(float), (17, 1), 1))
    np.testing.assert_array_equal(interpolated(ramp, (17, 1), "linear")[..., 0], want.astype(dtype))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_keep_their_type(dtype):
    voxels = np.random.default_rng(0).normal(size=(6, 7, 1)).astype(dtype)
    got = interpolated(voxels, (9, 5), "linear")
    assert got.dtype == dtype
    want = judged(voxels[..., 0].astype(float), (9, 5), 1)
    np.testing.assert_allclose(got[..., 0], want, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("interpolation", sorted(ORDERS))
def test_what_is_not_finite_stays_where_it_is_and_spoils_nothing_else(interpolation):
    voxels = np.ones((8, 8, 8, 1), "float32")
    voxels[0, 0, 0], voxels[7, 7, 7] = np.nan, np.inf
    got = interpolated(voxels, (16, 16, 16), interpolation)
    assert np.isnan(got[:2, :2, :2]).all()
    assert np.isposinf(got[14:, 14:, 14:]).all()
    assert np.isfinite(got).sum() == got.size - 16
    np.testing.assert_allclose(got[4:10, 4:10, 4:10], 1, atol=0.1)


@given(st.integers(0, 2**32 - 1), st.integers(2, 3))
def test_the_box_of_the_foreground_holds_every_voxel_that_is_not_zero_and_is_the_smallest(
    seed, dims
):
    rng = np.random.default_rng(seed)
    image = (rng.random((*rng.integers(1, 9, dims), 2)) < rng.choice([0, 0.01, 0.1])) * rng.choice(
        [-3, 2.5]
    )
    box = foreground_box(image)
    assert np.count_nonzero(image[box.slices]) == np.count_nonzero(image)
    if image.any():
        inside = (image[box.slices] != 0).any(axis=-1)
        for axis in range(dims):
            ends = np.moveaxis(inside, axis, 0)
            assert ends[0].any()
            assert ends[-1].any()
    else:
        assert box.shape == image.shape[:-1]


def test_nan_is_foreground():
    image = np.zeros((5, 5, 1))
    image[2, 3] = np.nan
    assert foreground_box(image).start == (2, 3)


def most_of_the_nearest(mask, new):
    """Return a label for each new voxel, asked of every old one: the distance between centres."""
    made = np.empty(new, mask.dtype)
    for place in np.ndindex(*new):
        near = []
        for at, old, count in zip(place, mask.shape, new, strict=True):
            away = np.abs((2 * at + 1) * old - (2 * np.arange(old) + 1) * count)
            near.append(np.flatnonzero(away == away.min()))
        values, counts = np.unique(mask[np.ix_(*near)], return_counts=True)
        made[place] = values[counts.argmax()]  # of equals the first, which is the smallest
    return made


@settings(max_examples=50, deadline=None)
@given(arrays("uint8", st.tuples(*[st.integers(1, 8)] * 3), elements=st.integers(0, 3)), st.data())
def test_of_equally_near_labels_most_decide(mask, data):
    new = tuple(data.draw(st.integers(1, 9)) for _ in range(3))
    got = nearest_label(mask, new)
    np.testing.assert_array_equal(got, most_of_the_nearest(mask, new))
    back = (slice(None, None, -1),) * 3
    np.testing.assert_array_equal(nearest_label(mask[back], new), got[back])  # no side is favoured


def test_a_mask_does_not_move_against_its_image_where_a_grid_is_halved():
    grid = np.indices((32, 32, 32)) - 15.5
    for radius in (5.2, 8.0, 9.7):
        ball = ((grid**2).sum(axis=0) < radius**2).astype("uint8")
        half = nearest_label(ball, (16, 16, 16))
        places = np.argwhere(half).mean(axis=0)
        np.testing.assert_allclose(places, 7.5, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_slices_that_are_repeated_are_interpolated_once(order, monkeypatch):
    """As if every repeated slice had been interpolated."""
    zoomed, calls = resample._zoomed, []
    monkeypatch.setattr(resample, "_zoomed", lambda *given: calls.append(given) or zoomed(*given))
    voxels = np.random.default_rng(0).integers(-900, 900, (12, 14, 4, 2)).astype("int16")
    got = interpolated(voxels, (6, 5, 11), order, thick=2)
    assert len(calls) == 4 * 2  # slices and channels
    slow = nearest(voxels, (12, 14, 11))
    want = np.stack([interpolated(slow[:, :, k], (6, 5), order) for k in range(11)], axis=2)
    np.testing.assert_array_equal(got, want)
