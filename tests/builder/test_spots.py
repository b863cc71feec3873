"""Coordinates of the foreground: all or a fair sample, the same for the same case."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from niicache import open_cache
from niicache.format.geometry import Box
from niicache.format.manifest import SpotRule
from niicache_builder import BuildOptions, build, plan_build
from niicache_builder.report.plan import plan_text
from niicache_builder.spots import RULE, find_spots, spot_arrays, spot_dtype, spots_of

ALL = SpotRule(least=10**6, share=1.0, most=10**6)


def found(mask, values, box, grid, *, key="ab" * 32, rule=ALL):
    got = find_spots(mask, values, box, grid, key=key, rule=rule)
    return {value: np.frombuffer(flat, spot_dtype(grid)) for value, flat in got.items()}


@given(st.integers(0, 2**32 - 1), st.integers(2, 3), st.integers(1, 2))
def test_every_voxel_is_found_where_it_lies_in_the_padded_grid(seed, axes, channels):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, axes).tolist())
    start = tuple(rng.integers(0, 3, axes).tolist())
    grid = tuple(a + n + 2 for a, n in zip(start, shape, strict=True))
    mask = rng.integers(0, 4, (*shape, channels))
    box = Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)))
    padded = np.zeros((*grid, channels), int)
    padded[box.slices] = mask
    got = found(mask, [0, 1, 2, 3], box, grid)
    assert set(got) == {1, 2, 3}
    for value, flat in got.items():
        np.testing.assert_array_equal(flat, np.flatnonzero((padded == value).any(axis=-1)))


@pytest.mark.parametrize(
    ("held", "kept"), [(5, 5), (1000, 1000), (1500, 1000), (150_000, 1500), (2_000_000, 10_000)]
)
def test_so_many_are_kept(held, kept):
    mask = np.zeros((held + 3, 1, 1), np.uint8)
    mask[1 : held + 1] = 1
    grid = (held + 3, 1)
    flat = found(mask, [0, 1], Box((0, 0), grid), grid, rule=RULE)[1]
    assert len(flat) == kept
    assert (np.diff(flat.astype(np.int64)) > 0).all()
    assert flat.min() >= 1
    assert flat.max() <= held


def test_each_voxel_is_as_likely_to_be_kept():
    mask, grid = np.ones((60, 1, 1), np.uint8), (60, 1)
    rule = SpotRule(least=20, share=0.0, most=20)
    counts = np.zeros(60, int)
    for case in range(600):
        key = f"{case:032x}"
        counts[found(mask, [1], Box((0, 0), grid), grid, key=key, rule=rule)[1]] += 1
    assert counts.sum() == 600 * 20
    assert chisquare(counts).pvalue > 1e-4


def test_arrays_give_back_what_they_were_made_of():
    cases = [{1.0: b"\1\0\0\0\2\0\0\0", 2.0: b"\7\0\0\0"}, None, {2.0: b"\3\0\0\0"}, {}]
    ends, voxels = spot_arrays(cases, (0.0, 1.0, 2.0), (4, 4))
    starts = np.concatenate([[0], ends.ravel()])
    for slot, spots in enumerate(cases):
        part = starts[3 * slot : 3 * slot + 4]
        assert spots_of(part, voxels, (0.0, 1.0, 2.0)) == (spots or {})


def test_positions_beyond_four_bytes_get_eight():
    assert spot_dtype((2**16, 2**16)) == np.dtype("<u8")
    assert spot_dtype((2**16, 2**16 - 1)) == np.dtype("<u4")


OPTIONS = BuildOptions(workers=0, patch=(12, 12, 12), chunk=(1, 8, 8, 8))


def tree(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def test_a_cache_tells_where_its_foreground_lies(patch_source, tmp_path):
    build(patch_source, tmp_path / "cache", OPTIONS)
    cache = open_cache(tmp_path / "cache")
    assert cache.manifest.recipe.spots == RULE
    assert cache.manifest.recipe.patch == (12, 12, 12)
    for view, entry in zip(cache, cache.manifest.classes, strict=True):
        starts, voxels = view.spots()
        assert entry.spots == len(voxels)
        for row, name in enumerate(view.slot_names):
            mask = view[name].label.ravel()
            for at, value in enumerate(cache.manifest.label_values):
                flat = voxels[starts[row, at] : starts[row, at + 1]]
                want = np.flatnonzero(mask == value) if value else []
                np.testing.assert_array_equal(flat, want)


def test_a_rebuild_keeps_those_of_cases_that_stay(patch_source, tmp_path):
    """To the byte: as a new build of the same source has them."""
    source = shutil.copytree(patch_source, tmp_path / "source")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 1)
        build(source, tmp_path / "cache", OPTIONS)
        image = source / "ill" / "images" / "c0.nii.gz"
        shutil.copy(
            source / "ill" / "images" / "c1.nii.gz", source / "ill" / "images" / "c9.nii.gz"
        )
        shutil.copy(
            source / "ill" / "labels" / "c1.nii.gz", source / "ill" / "labels" / "c9.nii.gz"
        )
        assert image.exists()
        done = build(source, tmp_path / "cache", OPTIONS)
        assert done.written == 1
        old = open_cache(tmp_path / "cache")
        build(source, tmp_path / "fresh", OPTIONS)
        new = open_cache(tmp_path / "fresh")
        again = build(source, tmp_path / "cache", OPTIONS)
    assert not again.changed
    for view in old:
        fresh = new[view.name]
        values = old.manifest.label_values
        for name in view.cases:
            kept, made = (
                spots_of(one.spots()[0][one.slot_names.index(name)], one.spots()[1], values)
                for one in (view, fresh)
            )
            assert kept == made


def test_without_patch_nothing_is_different(patch_source, tmp_path):
    build(patch_source, tmp_path / "cache", BuildOptions(workers=0))
    cache = open_cache(tmp_path / "cache")
    assert cache.manifest.recipe.spots is None
    assert "patch" not in cache.manifest.recipe.to_json()
    assert not [path for path in tree(tmp_path / "cache") if "spots" in path]


def test_a_build_that_forgets_the_patch_is_warned_of(patch_source, tmp_path):
    build(patch_source, tmp_path / "cache", OPTIONS)
    without = BuildOptions(workers=0)
    plan = plan_build(patch_source, tmp_path / "cache", without)
    assert [one.code for one in plan.warnings if one.code[0] == "p"] == ["patch-dropped"]
    assert "--patch 12,12,12" in plan_text(plan)
    again = plan_build(patch_source, tmp_path / "cache", OPTIONS)
    assert not [one.code for one in again.warnings if one.code[0] == "p"]


def test_the_plan_says_what_a_patch_costs(patch_source, tmp_path):
    plan = plan_build(patch_source, tmp_path / "cache", OPTIONS)
    assert "a patch of 12x12x12 decodes" in plan_text(plan)
