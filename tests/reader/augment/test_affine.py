"""Rotation, shift, shear, zoom: scipy is the judge, of matrices and of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

from niicache.augment import Affine, Compose, Elastic, Facts, Rotate90

MODES = ["constant", "nearest", "reflect", "wrap"]
angles = st.floats(-180, 180)


def matrix(shape, *, facts=None, **options):
    """Return linear part and offset of an Affine whose ranges are points."""
    fixed = {
        key: value if isinstance(value, str | bool) else (value, value)
        for key, value in options.items()
    }
    one = Affine(**fixed)
    made = one.matrix(one.draw(np.random.default_rng(0), shape, facts), shape)
    return made[:, :-1], made[:, -1]


@given(a=angles, b=angles, c=angles)
def test_three_angles_turn_about_three_axes_one_after_another(a, b, c):
    one = Affine(rotation=((a, a), (b, b), (c, c)))
    made = one.matrix(one.draw(np.random.default_rng(0), (5, 6, 7, 1)), (5, 6, 7, 1))
    judge = Rotation.from_euler("xyz", [a, b, c], degrees=True).as_matrix()
    np.testing.assert_allclose(made[:, :3], judge, atol=1e-12)


@given(angle=angles, zoom=st.floats(0.2, 4), lean=st.floats(-60, 60))
@pytest.mark.parametrize("shape", [(5, 8, 1), (5, 8, 7, 1)])
def test_the_centre_stays_where_it_is(shape, angle, zoom, lean):
    linear, offset = matrix(shape, rotation=angle, zoom=zoom, shear=lean)
    middle = (np.array(shape[:-1]) - 1) / 2
    np.testing.assert_allclose(linear @ middle + offset, middle, atol=1e-12)


def test_a_turn_by_ninety_degrees_is_a_quarter_turn_back():
    one = Rotate90(axes=(0, 1))
    for quarters in (1, 2, 3):
        linear, offset = matrix((8, 8, 1), rotation=90.0 * quarters)
        judge = one.matrix(4 - quarters, (8, 8, 1))
        np.testing.assert_allclose(np.column_stack([linear, offset]), judge, atol=1e-12)


def test_a_shift_moves_what_is_seen_the_other_way_and_zoom_above_one_makes_it_smaller():
    image = np.zeros((9, 9, 1), "float32")
    image[4, 4] = 1
    moved, _ = Affine(shift=((2, 2), (-1, -1)))(image, np.zeros(1), np.random.default_rng(0))
    assert np.argwhere(moved).tolist() == [[2, 5, 0]]
    image[2:7, 2:7] = 1
    small, _ = Affine(zoom=(2, 2))(image, np.zeros(1), np.random.default_rng(0))
    assert small.sum() < image.sum() / 2


def test_the_source_shifts_and_then_turns_as_in_keras():
    one = Affine(rotation=(90, 90), shift=((2, 2), (0, 0)), zoom=(3, 3))
    made = one.matrix(one.draw(np.random.default_rng(0), (9, 9, 1)), (9, 9, 1))
    np.testing.assert_allclose(made @ [4, 4, 1], [4, 6], atol=1e-12)


def test_whole_shifts_move_every_bit():
    image = np.random.default_rng(0).normal(size=(9, 8, 7, 2)).astype("float32")
    image[3] = np.nan
    moved, _ = Affine(shift=((2, 2), (0, 0), (-3, -3)))(
        image, np.zeros(1), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(moved[:7, :, 3:], image[2:, :, :4])
    assert not moved[7:].any()


def test_a_fraction_is_of_the_length_of_its_axis():
    _, offset = matrix((10, 20, 1), shift=0.25, shift_unit="fraction")
    np.testing.assert_allclose(offset, [2.5, 5])


@given(angle=angles, lean=st.floats(-40, 40))
def test_in_mm_a_rotation_keeps_distances(angle, lean):
    spacing = np.array([1.0, 0.5, 3.0])
    facts = Facts(spacing=tuple(spacing))
    shape = (9, 9, 9, 1)
    linear, _ = matrix(shape, rotation=angle, facts=facts, physical=True)
    world = np.diag(spacing) @ linear @ np.diag(1 / spacing)
    np.testing.assert_allclose(world @ world.T, np.eye(3), atol=1e-12)
    leaning, _ = matrix(shape, shear=lean, facts=facts, physical=True)
    assert leaning[0, 1] * 1.0 / 0.5 == pytest.approx(np.tan(np.radians(lean)))


@pytest.mark.parametrize("physical", [True, False])
def test_a_shift_in_mm_is_divided_by_the_spacing(physical):
    facts = Facts(spacing=(1.0, 0.5))
    _, offset = matrix((9, 9, 1), shift=2.0, shift_unit="mm", physical=physical, facts=facts)
    np.testing.assert_allclose(offset, [2, 4])
    _, offset = matrix((9, 9, 1), shift=2.0, physical=physical, facts=facts)
    np.testing.assert_allclose(offset, [2, 2])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(11, 14, 2), (9, 8, 10, 1)])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_image_and_mask_are_those_of_scipy(shape, mode, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape).astype("float32")
    mask = rng.integers(0, 9, (*shape[:-1], 1)).astype("uint8")
    one = Affine(
        rotation=60, shift=2, shear=20, zoom=(0.6, 1.6), fill_mode=mode, fill=-2, fill_label=8
    )
    params = one.draw(rng, shape)
    made, label = one.apply(image, mask, params)
    whole = one.matrix(params, shape)
    for channel in range(shape[-1]):
        judge = affine_transform(
            image[..., channel].astype(float),
            whole[:, :-1],
            whole[:, -1],
            order=1,
            mode=mode,
            cval=-2,
        )
        np.testing.assert_allclose(made[..., channel], judge, atol=1e-4 * np.ptp(image))
    judge = affine_transform(mask[..., 0], whole[:, :-1], whole[:, -1], order=0, mode=mode, cval=8)
    np.testing.assert_array_equal(label[..., 0], judge)


def test_all_values_of_a_range_are_equally_likely_and_isotropic_zooms_are_one():
    one = Affine(rotation=30, shift=(1, 3), shear=5, zoom=(0.7, 1.4), isotropic=True)
    drawn = [one.draw(np.random.default_rng(k), (9, 9, 9, 1)) for k in range(2000)]
    for name, low, high in (("rotation", -30, 30), ("shift", 1, 3), ("shear", -5, 5)):
        found = np.array([getattr(params, name) for params in drawn])
        assert found.shape == (2000, 3)
        assert kstest(found.ravel(), "uniform", (low, high - low)).pvalue > 1e-3
        assert abs(np.corrcoef(found.T)[0, 1]) < 0.1
    zooms = np.array([params.zoom for params in drawn])
    assert (zooms == zooms[:, :1]).all()
    assert kstest(zooms[:, 0], "uniform", (0.7, 0.7)).pvalue > 1e-3
    free = Affine(zoom=(0.7, 1.4)).draw(np.random.default_rng(0), (9, 9, 9, 1)).zoom
    assert len(set(free.tolist())) == 3


@given(seed=st.integers(0, 2**32), reach=st.floats(0.1, 8))
def test_no_control_point_moves_farther_than_the_magnitude(seed, reach):
    one = Elastic(magnitude=((reach / 2, reach), (0, 0), (1, 1)), grid=(4, 5, 6), p=1.0)
    points = one.displacement(one.draw(np.random.default_rng(seed), (9, 9, 9, 1)))
    assert points.shape == (3, 4, 5, 6)
    assert points.dtype == "float32"
    assert reach / 4 < abs(points[0]).max() <= np.float32(reach)
    assert not points[1].any()


def test_an_elastic_field_is_turned_by_what_came_before_it():
    turn, bend = Affine(rotation=(90, 90)), Elastic(magnitude=((3, 3), (0, 0)), p=1.0)
    chain = Compose(turn, bend)
    params = chain.draw(np.random.default_rng(0), (9, 9, 1))
    made = chain.plan(params, (9, 9, 1)).displacement
    np.testing.assert_allclose(made[0], 0, atol=1e-6)
    np.testing.assert_allclose(made[1], params[1][0], atol=1e-6)
