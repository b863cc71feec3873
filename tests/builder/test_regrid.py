"""There and back through a cache: turned, cropped and padded, every voxel is what it was."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from building import build0
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from orientations import WORDS, pointing
from prepared import source_image, turned_source, voxels_of

from niicache import open_cache
from niicache.format.geometry import Box
from niicache.format.grid import plan_grid
from niicache_builder import BuildOptions, restore, verify
from niicache_builder.regrid import regridded, ungridded

words = st.sampled_from(WORDS)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return turned_source(tmp_path_factory.mktemp("turned"), margin=1)


@pytest.fixture(scope="module")
def turned(source, tmp_path_factory):
    """Return a cache of all 48 orientations turned to LPS, padded unevenly."""
    target = tmp_path_factory.mktemp("lps") / "cache"
    built = build0(source, target, orient="LPS", shape=(12, 17, 11), patch=(4, 4, 4))
    assert built.plan.decisions.preparation == {"orient": "LPS: 47 of 48 cases are turned"}
    return open_cache(target)


def test_turned_as_nibabel_turns_images_and_masks_alike(source, turned):
    view = turned["head"]
    assert len(view) == 48
    for name in view.cases:
        box = view.box(name)
        for kind, stored in zip(("images", "labels"), view[name], strict=True):
            image = source_image(source, name, kind)
            change = ornt_transform(io_orientation(image.affine), axcodes2ornt("LPS"))
            want = image.as_reoriented(change)
            np.testing.assert_array_equal(stored[box.slices][..., 0], voxels_of(want))
            affine = view.affine(name) @ nibabel.affines.from_matvec(np.eye(3), box.start)
            np.testing.assert_allclose(affine, want.affine, atol=1e-5)
        assert nibabel.aff2axcodes(view.affine(name)) == tuple("LPS")


@pytest.mark.parametrize("which", ["turned", "cropped too"])
def test_there_and_back_nothing_has_changed(source, turned, tmp_path, which):
    cache = turned
    if which == "cropped too":
        options = {"crop": "foreground", "orient": "SAR", "pad_mode": "edge"}
        build0(source, tmp_path / "cache", chunk=(1, 4, 4, 4), **options)
        cache = open_cache(tmp_path / "cache")
    assert verify(cache.path).problems == ()
    for name in cache["head"].cases:
        for kind, stored in zip(("images", "labels"), cache["head"][name], strict=True):
            original = source_image(source, name, kind)
            back = restore(cache, ("head", name), stored)
            assert back.get_data_dtype() == stored.dtype
            np.testing.assert_array_equal(voxels_of(back), voxels_of(original))
            np.testing.assert_array_equal(back.affine, original.affine)
            for code in ("sform_code", "qform_code"):
                assert int(back.header[code]) == 1
            np.testing.assert_allclose(back.get_qform(), original.get_qform(), atol=1e-5)


def test_scores_of_several_labels_come_back_too(source, turned):
    rng = np.random.default_rng(0)
    scores = rng.random((12, 17, 11, 3), np.float32)
    back = voxels_of(restore(turned, ("head", "PIR"), scores))
    assert back.shape == (*voxels_of(source_image(source, "PIR")).shape, 3)
    for channel in range(3):
        one = restore(turned, ("head", "PIR"), scores[..., channel])
        np.testing.assert_array_equal(voxels_of(one), back[..., channel])


@st.composite
def crops(draw, shape):
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    return Box(
        tuple(starts),
        tuple(draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)),
    )


@settings(max_examples=50)
@given(
    st.data(),
    words,
    words,
    st.integers(0, 2**32 - 1),
    st.sampled_from(["uint8", "float32", "bool"]),
)
def test_without_resampling_the_way_back_is_exact(data, word, target, seed, dtype):
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 200, (*rng.integers(1, 8, 3), 2)).astype(dtype)
    affine = pointing(word, rng.uniform(0.2, 4, 3), rng.uniform(-20, 20, 3))
    how = BuildOptions(orient=target)
    whole = plan_grid(voxels.shape[:-1], affine, how)
    grid = plan_grid(voxels.shape[:-1], affine, how, data.draw(crops(whole.shape)))
    kept = regridded(voxels, grid)
    assert np.shares_memory(kept, voxels)
    back = ungridded(kept, grid)
    assert (back.dtype, back.shape) == (voxels.dtype, voxels.shape)
    marked = np.zeros(whole.shape, bool)
    marked[grid.crop.slices] = True
    inside = ungridded(marked[grid.crop.slices][..., None], grid)[..., 0]
    assert np.count_nonzero(inside) == np.prod(grid.crop.shape)
    np.testing.assert_array_equal(back[inside], voxels[inside])
    assert not back[~inside].any()


@settings(max_examples=25)
@given(words, words, st.integers(0, 2**32 - 1))
def test_after_resampling_a_smooth_thing_is_where_it_was(word, target, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(16, 24, 3).tolist())
    affine = pointing(word, (1.0, 1.2, 1.5), (7, -5, 4), rng.uniform(-9, 9, 3))
    mm = np.indices(shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    centre = mm.mean(axis=0)
    voxels = np.exp(-((mm - centre) ** 2).sum(axis=1) / 50).reshape(*shape, 1)
    grid = plan_grid(shape, affine, BuildOptions(orient=target, spacing=(0.9, 1.1, 1.3)))
    stored = regridded(voxels, grid, "cubic")
    there = np.indices(grid.shape).reshape(3, -1).T
    new = grid.stored_affine((0, 0, 0))
    at = there @ new[:3, :3].T + new[:3, 3]
    want = np.exp(-((at - centre) ** 2).sum(axis=1) / 50).reshape(*grid.shape, 1)
    inside = tuple(slice(2, -2) for _ in range(3))
    np.testing.assert_allclose(stored[inside], want[inside], atol=0.01)
    back = ungridded(stored, grid)
    np.testing.assert_allclose(back[inside], voxels[inside], atol=0.03)
    mask = np.where(voxels > 0.5, 9, 4).astype(np.uint8)
    again = ungridded(regridded(mask, grid), grid)
    assert set(np.unique(again)) == {4, 9}
    both = [again == 9, mask == 9]
    assert 2 * np.count_nonzero(np.all(both, axis=0)) / np.count_nonzero(both) > 0.85
