"""The grid of a case: shapes, spacing and affines. The judge is where voxels lie in the world."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orientations import angles, lengths, pointing, shifts, words

from niicache.format.column_checks import column_problems
from niicache.format.geometry import Box
from niicache.format.grid import SAME, grid_fault, plan_grid
from niicache.format.manifest import ArrayLayout, ClassEntry, Recipe

shapes = st.tuples(*[st.integers(1, 30)] * 3)


@dataclass(frozen=True)
class How:
    orient: str | None = None
    spacing: tuple[float, ...] | None = None


@st.composite
def boxes(draw, shape):
    ends = [sorted(draw(st.tuples(st.integers(0, n - 1), st.integers(1, n)))) for n in shape]
    return Box(tuple(a for a, _ in ends), tuple(max(b, a + 1) for a, b in ends))


def world(affine, corner):
    return (affine @ [*corner, 1])[:3]


@settings(max_examples=30)
@given(words, shapes, lengths, angles, shifts)
def test_without_a_wish_nothing_changes_not_even_a_bit(word, shape, spacing, degrees, origin):
    affine = pointing(word, spacing, degrees, origin)
    grid = plan_grid(shape, affine, How())
    assert (grid.shape, grid.thick, grid.turn.is_identity) == (shape, None, True)
    assert np.array_equal(grid.stored_affine((0, 0, 0)), affine)
    assert grid.spacing == tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    assert (
        grid_fault(
            grid, Box((2, 3, 4), tuple(n + a for n, a in zip(shape, (2, 3, 4), strict=True)))
        )
        == ""
    )


@settings(max_examples=30)
@given(st.data(), words, words, shapes, lengths, angles, shifts)
def test_turned_and_cut_every_voxel_lies_where_it_lay(
    data, word, target, shape, spacing, degrees, origin
):
    affine = pointing(word, spacing, degrees, origin)
    turn = plan_grid(shape, affine, How(orient=target)).turn
    crop = data.draw(boxes(turn.shape(shape)))
    grid = plan_grid(shape, affine, How(orient=target), crop)
    assert grid.shape == crop.shape
    start = data.draw(st.tuples(*[st.integers(0, 5)] * 3))
    stored = grid.stored_affine(start)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    turned = numbers.transpose(turn.axes)[
        tuple(slice(None, None, -1 if f else 1) for f in turn.flips)
    ]
    at = tuple(data.draw(st.integers(a, b - 1)) for a, b in zip(crop.start, crop.stop, strict=True))
    source = np.unravel_index(turned[at], shape)
    padded = np.array(at) - crop.start + start
    np.testing.assert_allclose(world(stored, padded), world(affine, source), atol=1e-6)


@settings(max_examples=30)
@given(st.data(), words, st.none() | words, shapes, lengths, lengths, angles)
def test_resampled_both_grids_cover_the_same_space(
    data, word, target, shape, spacing, wish, degrees
):
    affine = pointing(word, spacing, degrees)
    how = How(orient=target, spacing=wish)
    crop = data.draw(boxes(plan_grid(shape, affine, how).turn.shape(shape)))
    grid = plan_grid(shape, affine, how, crop)
    stored = grid.stored_affine((0, 0, 0))
    whole = affine @ grid.turn.matrix(shape)
    for corner in itertools.product((0, 1), repeat=3):
        before = np.where(corner, crop.stop, crop.start) - 0.5
        after = np.where(corner, grid.shape, 0) - 0.5
        np.testing.assert_allclose(world(stored, after), world(whole, before), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(stored[:3, :3], axis=0), grid.spacing)
    for count, new, old, asked in zip(
        crop.shape, grid.shape, np.linalg.norm(whole[:3, :3], axis=0), wish, strict=True
    ):
        extent = count * old
        if abs(old - asked) <= SAME * asked:
            assert new == count
        else:
            assert new == max(1, round(extent / asked))
            assert new == 1 or abs(extent - new * asked) <= asked / 2 + 1e-9


@pytest.mark.parametrize(
    ("spacing", "wish", "thick"),
    [
        ((1, 1, 5), (1, 1, 1), 2),
        ((5, 1, 1), (1, 1, 1), 0),
        ((1, 1, 3), (1, 1, 1), None),
        ((0.24, 1.25, 1.25), (1, 1, 1), None),
        ((1, 1, 1), (1, 6, 1), 1),
        ((1, 5, 1), (6, 1, 1), 1),
        ((1, 1, 5), (1, 1, 5), None),
    ],
)
def test_slices_are_thick_as_nnunet_has_it(spacing, wish, thick):
    assert plan_grid((60, 60, 60), pointing("RAS", spacing), How(spacing=wish)).thick == thick


def test_what_is_near_enough_stays_however_long_it_is():
    affine = np.diag([1.0009, 0.9991, 1.0011, 1])
    assert plan_grid((2000, 2000, 2000), affine, How(spacing=(1, 1, 1))).shape == (2000, 2000, 2002)


def test_the_thick_axis_is_that_of_the_turned_grid():
    affine = pointing("SAR", (5, 1, 1))
    assert plan_grid((9, 50, 50), affine, How(orient="RAS", spacing=(1, 1, 1))).thick == 2


def test_planes_are_resampled_in_their_plane():
    grid = plan_grid((10, 20), np.diag([2.0, 0.5, 7.0, 1.0]), How(spacing=(1.0, 1.0)))
    assert (grid.shape, grid.spacing, grid.thick) == ((20, 10), (1.0, 1.0), None)
    want = [[1, 0, 0, -2.5], [0, 1, 0, -0.75], [0, 0, 7, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(grid.stored_affine((2, 1)), want)


def test_what_lengths_of_another_world_ask_for_is_bounded():
    assert (
        max(plan_grid((9, 9, 9), np.diag([1e300, 1, 1, 1]), How(spacing=(1, 1, 1))).shape) <= 2**40
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("crop_start", [[-1, 0]]),
        ("crop_stop", [[2**31, 0]]),
        ("sform_code", [2**15]),
        ("qform_code", [-1]),
        ("affine", [np.full((4, 4), np.nan)]),
        ("source_shape", [[2**31, 4, 1]]),
        ("source_shape", [[4, 4, 2]]),
        ("source_shape", [[0, 4, 1]]),
    ],
)
def test_columns_that_no_case_can_have(name, values):
    layout = ArrayLayout(
        dtype="int16", shape=(4, 4, 1), chunk=(1, 4, 4, 1), shard_cases=1, fill=0, codec=None
    )
    recipe = Recipe(
        spatial_dims=2,
        label_kind="folder",
        pad_mode="constant",
        image=layout,
        label=None,
        crop="foreground",
    )
    entry = ClassEntry(name="a", cases=1, slots=1)
    assert column_problems(name, np.array(values), entry, recipe)
    longer = np.array([[99, 99, 1]])
    assert not column_problems("source_shape", longer, entry, recipe)
    assert column_problems("source_shape", longer, entry, replace(recipe, crop=None))


@pytest.mark.parametrize(
    ("crop", "box"),
    [
        (Box((0, 0, 0), (4, 5, 7)), Box((0, 0, 0), (4, 5, 7))),
        (Box((2, 0, 0), (2, 5, 6)), Box((0, 0, 0), (1, 5, 6))),
        (Box((0, 0, 0), (4, 5, 6)), Box((0, 0, 0), (4, 5, 5))),
    ],
)
def test_facts_that_contradict_each_other_are_found(crop, box):
    assert grid_fault(plan_grid((4, 5, 6), np.eye(4), How(), crop), box)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4, 4)])
@pytest.mark.parametrize("length", [1e308, 1e-308, 1e200])
def test_a_grid_that_no_number_holds_is_too_long_and_no_error(shape, length):
    how = How(spacing=(1e-3, 1.0, 1.0))
    grid = plan_grid(shape, np.diag([length, 1, 1, 1]).tolist(), how)
    assert grid.shape[0] >= 1
    if shape[0] and length > 1:
        assert grid.shape[0] >= 2**40
