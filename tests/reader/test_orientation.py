"""Turning a grid, judged by nibabel, which turns by the same words."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from orientations import WORDS, angles, lengths, pointing, shifts, words
from scipy.spatial.transform import Rotation

from niicache.format.orientation import is_orientation, orientation_of, stay, turn_to


def test_there_are_48_orientations():
    assert len(set(WORDS)) == 48
    assert all(map(is_orientation, WORDS))


@pytest.mark.parametrize(
    "word", ["", "RA", "RASI", "RAL", "ras", "RRS", "XYZ", None, 3, ["R", "A", "S"]]
)
def test_what_is_no_orientation(word):
    assert not is_orientation(word)


@settings(max_examples=50)
@given(words, lengths, angles, shifts, st.floats(-0.2, 0.2))
def test_the_letters_of_an_affine_are_nibabels(word, spacing, degrees, origin, shear):
    affine = pointing(word, spacing, degrees, origin, shear)
    assert orientation_of(affine) == "".join(nibabel.aff2axcodes(affine))


@settings(max_examples=50)
@given(words, words, lengths, angles, shifts, st.floats(-0.2, 0.2))
def test_turned_as_nibabel_turns_oblique_and_sheared_grids_too(
    word, target, spacing, degrees, origin, shear
):
    affine = pointing(word, spacing, degrees, origin, shear)
    turn = turn_to(affine, target)
    change = ornt_transform(io_orientation(affine), axcodes2ornt(target))
    # nibabel says for each axis of the source where it goes and in which direction.
    assert [turn.axes.index(axis) for axis in range(3)] == change[:, 0].tolist()
    assert [-1 if turn.flips[at] else 1 for at in change[:, 0].astype(int)] == change[:, 1].tolist()
    shape = (4, 5, 6)
    turned = affine @ turn.matrix(shape)
    np.testing.assert_allclose(
        turned, affine @ nibabel.orientations.inv_ornt_aff(change, shape), atol=1e-9
    )
    assert nibabel.aff2axcodes(turned) == tuple(target)


@pytest.mark.parametrize("word", WORDS)
def test_what_points_there_already_stays(word):
    assert turn_to(pointing(word), word) == stay(3)
    assert turn_to(pointing(word), word).is_identity


@given(words, words)
def test_shapes_go_with_their_axes(word, target):
    turn = turn_to(pointing(word), target)
    assert turn.shape((4, 5, 6)) == tuple((4, 5, 6)[axis] for axis in turn.axes)


@settings(max_examples=50)
@given(
    words, st.sampled_from([45.0, -45.0, 135.0]), st.sampled_from("xyz"), st.integers(0, 2**32 - 1)
)
def test_between_two_axes_the_last_digits_do_not_decide(word, degrees, about, seed):
    affine = pointing(word)
    affine[:3, :3] = Rotation.from_euler(about, degrees, degrees=True).as_matrix() @ affine[:3, :3]
    noise = 1e-12 * np.random.default_rng(seed).standard_normal((4, 4))
    assert turn_to(affine + noise, "RAS") == turn_to(affine, "RAS")


@given(st.integers(0, 2**32 - 1))
def test_the_axis_that_points_most_clearly_chooses_first(seed):
    turns = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turns * (0.5, 2, 7)
    world, axis = np.unravel_index(np.argmax(np.abs(turns)), (3, 3))
    turn = turn_to(affine, "RAS")
    assert turn.axes[world] == axis
    assert turn.flips[world] == (turns[world, axis] < 0)


def test_an_affine_of_zeros_is_turned_somehow():
    assert sorted(turn_to(np.zeros((4, 4)), "RAS").axes) == [0, 1, 2]
