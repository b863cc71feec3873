"""A case predicted patch by patch, against the case predicted at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache import augment, open_cache, sliding_window
from niicache.errors import OptionError
from niicache.format.geometry import Box
from niicache.patches.blending import Blend, starts, weights


@pytest.fixture
def cache(patch_cache):
    return open_cache(patch_cache)


def pointwise(patches):
    """Return what depends on each voxel alone, two numbers."""
    return np.concatenate([patches * 0.5, patches + 3], axis=-1).astype(np.float32)


@pytest.mark.parametrize("patch", [(8, 8, 8), (12, 40, 5), (30, 28, 20), (7, 9, 11)])
@pytest.mark.parametrize("overlap", [0, 0.5, 0.8])
def test_what_depends_on_voxels_alone_comes_out_as_if_done_at_once(cache, patch, overlap):
    for case in [("ill", "c0"), ("well", "c2")]:
        got = sliding_window(
            cache, case, pointwise, patch=patch, overlap=overlap, batch_size=3, memory="1GiB"
        )
        stored = cache[case[0]][case[1]].image.astype(np.float32)
        view = cache[case[0]]
        at = view.cases.index(case[1])
        ends = zip(view.column("box_start")[at], view.column("box_stop")[at], strict=True)
        real = tuple(slice(*pair) for pair in ends)
        want = np.zeros_like(got)
        want[real] = pointwise(stored)[real]
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-3)


def test_intensities_are_those_of_training(cache):
    view = cache["ill"]
    mean, std = view.column("mean")[0, 0], view.column("std")[0, 0]
    want = (view["c0"].image - mean) / std
    for options, factor in (
        ({"transform": augment.ZScore()}, 1),
        ({"normalize": "zscore"}, 1),
        ({"normalize": "zscore", "transform": augment.Rescale(scale=2)}, 2),
    ):
        got = sliding_window(cache, ("ill", "c0"), lambda x: x, patch=(8, 8, 8), **options)
        inside = (slice(2, 28), slice(2, 26), slice(2, 18))
        np.testing.assert_allclose(got[inside], factor * want[inside], atol=1e-4)


def test_halves_need_no_transform(cache):
    got = sliding_window(cache, ("ill", "c0"), lambda x: x, patch=8, dtype="float16")
    np.testing.assert_allclose(got, cache["ill"]["c0"].image, rtol=1e-5)


def test_predictions_have_one_length(cache):
    lengths = iter([1, 2])
    with pytest.raises(OptionError, match="got 2 numbers a voxel, expected 1"):
        sliding_window(
            cache, ("ill", "c0"), lambda x: np.repeat(x, next(lengths), axis=-1), patch=16
        )


def test_a_path_will_do(patch_cache, cache):
    one, other = (
        sliding_window(given, ("ill", "c0"), lambda x: x, patch=patch)
        for given, patch in ((patch_cache, 8), (cache, (8, 8, 8)))
    )
    np.testing.assert_array_equal(one, other)


def test_batches_are_bounded_and_patches_as_asked(cache):
    seen = []

    def predict(patches):
        seen.append(patches.shape)
        return patches

    sliding_window(cache, ("ill", "c0"), predict, patch=(10, 10, 10), batch_size=4, dtype="float64")
    assert {shape[1:] for shape in seen} == {(10, 10, 10, 1)}
    assert {shape[0] for shape in seen[:-1]} == {4}
    assert 1 <= seen[-1][0] <= 4


@given(
    st.integers(0, 9), st.integers(1, 60), st.integers(1, 70), st.floats(0, 0.99, allow_nan=False)
)
def test_patches_cover_an_axis_and_overlap_as_told(low, extent, patch, overlap):
    found = starts(low, low + extent, patch, overlap)
    covered = set(itertools.chain.from_iterable(range(a, a + patch) for a in found))
    assert covered >= set(range(low, low + extent))
    assert found == sorted(set(found))
    if patch <= extent:
        assert found[0] == low
        assert found[-1] + patch == low + extent
        gaps = np.diff(found)
        assert (gaps <= max(1, patch * (1 - overlap) + 1e-9)).all()
    else:
        assert len(found) == 1


def test_a_patch_counts_most_in_its_middle():
    bell = weights((8, 16))
    assert bell.max() == 1
    assert bell.min() == np.float32(1e-3)
    np.testing.assert_allclose(bell, bell[::-1, ::-1])
    assert bell[3, 7] > bell[1, 7] > bell[0, 7]


def test_two_patches_are_weighted():
    blend = Blend((6, 1), (4, 1))
    blend.add([(0, 0), (2, 0)], np.stack([np.zeros((4, 1, 1)), np.ones((4, 1, 1))]))
    got = blend.result(Box((0, 0), (6, 1)))[:, 0, 0]
    bell = weights((4, 1))[:, 0]
    want = [0, 0, bell[0] / (bell[0] + bell[2]), bell[1] / (bell[1] + bell[3]), 1, 1]
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"case": "c0"}, "case: got 'c0', expected (class, case)"),
        ({"case": ("ill", "c9")}, "class 'ill' has no case 'c9'"),
        ({"case": ("sick", "c0")}, "got class 'sick'"),
        ({"overlap": 1}, "overlap: got 1, expected a number from 0 to below 1"),
        ({"patch": (8, 8)}, "patch: got (8, 8), expected 3"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"normalize": "mean"}, "normalize: got 'mean', expected 'zscore'"),
        ({"transform": augment.Flip()}, "expected one of niicache.augment that moves no voxel"),
        ({"transform": np.square}, "expected one of niicache.augment that moves no voxel"),
        ({"predict": lambda x: x[..., 0]}, "predict: got float32 of shape (1, 8, 8, 8)"),
        ({"predict": lambda x: x.astype(int)}, "predict: got int64"),
        ({"predict": None}, "predict: got None, expected a function of a batch"),
    ],
)
def test_wrong_arguments_are_refused(cache, options, text):
    arguments = {"case": ("ill", "c0"), "predict": lambda x: x, "patch": (8, 8, 8), **options}
    with pytest.raises(OptionError) as caught:
        sliding_window(cache, arguments.pop("case"), arguments.pop("predict"), **arguments)
    assert text in str(caught.value)
