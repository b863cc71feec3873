"""Caches of turned, cropped and resampled cases: what they hold, and what reads them."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from building import build0
from prepared import put, source_image, turned_source, voxels_of

from niicache import BalancedSequence, augment, open_cache
from niicache.case_grid import read_grid
from niicache.errors import FormatError
from niicache.format.grid import plan_grid
from niicache_builder import stats, verify
from niicache_builder.regrid import regridded
from niicache_builder.report.statistics import stats_text

WORDS = ("RAS", "LPS", "PIR", "SAL", "ILA")
HOW = {"orient": "RAS", "spacing": (1.2, 1.2, 1.2), "crop": "foreground", "patch": (6, 6, 6)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared") / "source"
    return turned_source(root, WORDS, shape=(17, 13, 11), margin=2)


@pytest.fixture(scope="module")
def cache(source, tmp_path_factory):
    target = tmp_path_factory.mktemp("prepared") / "cache"
    build0(source, target, interpolation="cubic", **HOW)
    return open_cache(target)


def test_a_case_is_turned_then_cropped_then_resampled_then_padded(source, cache):
    view = cache["head"]
    for at, name in enumerate(view.cases):
        image, mask = (source_image(source, name, kind) for kind in ("images", "labels"))
        grid, box = view.grid(name), view.box(name)
        turned = nibabel.as_closest_canonical(image)
        found = np.argwhere(voxels_of(turned))
        assert grid.crop.start == tuple(found.min(0)) == (2, 2, 2)
        assert grid.crop.stop == tuple(found.max(0) + 1)
        want = regridded(voxels_of(image)[..., None], grid, "cubic")
        np.testing.assert_array_equal(view[name].image[box.slices], want)
        stored = view[name].label[box.slices]
        np.testing.assert_array_equal(stored, regridded(voxels_of(mask)[..., None], grid))
        assert set(np.unique(stored)) <= set(np.unique(voxels_of(mask)))
        outside = view[name].image.copy()
        outside[box.slices] = 0
        assert not outside.any()
        facts = {one: view.column(one)[at] for one in cache.columns}
        assert tuple(facts["source_shape"]) == (*image.shape, 1)
        np.testing.assert_array_equal(facts["affine"], image.affine)
        np.testing.assert_allclose(facts["spacing"], nibabel.affines.voxel_sizes(view.affine(name)))
        np.testing.assert_allclose(facts["spacing"], 1.2, rtol=0.06)
        np.testing.assert_allclose(facts["mean"], want.mean())
        np.testing.assert_allclose(facts["maximum"], want.max())
        values, counts = np.unique(stored, return_counts=True)
        held = dict(zip(cache.manifest.label_values, facts["label_count"], strict=True))
        assert {v: n for v, n in held.items() if n} == dict(zip(values, counts, strict=True))


def test_spots_are_voxels_of_the_stored_mask(cache):
    view = cache["head"]
    starts, voxels = view.spots()
    for row, name in zip(view.rows, view.cases, strict=True):
        mask = view[name].label[..., 0]
        for number, value in enumerate(cache.manifest.label_values):
            at = voxels[starts[row, number] : starts[row, number + 1]]
            want = np.flatnonzero(mask == value) if value else []
            np.testing.assert_array_equal(at, want)


def test_training_sees_the_stored_grid_as_if_it_were_the_source(cache, tmp_path):
    # The judge is a cache of files that hold what the first one stores, made without preparation.
    view = cache["head"]
    for name in view.cases:
        image, label = (one[view.box(name).slices][..., 0] for one in view[name])
        affine = view.grid(name).stored_affine((0, 0, 0))
        put(tmp_path / "s" / "head" / "images" / f"{name}.nii.gz", image, affine)
        put(tmp_path / "s" / "head" / "labels" / f"{name}.nii.gz", label, affine)
    shape = cache.manifest.recipe.image.shape[:-1]
    build0(tmp_path / "s", tmp_path / "c", shape=shape, patch=(6, 6, 6))
    plain = open_cache(tmp_path / "c")
    for name in ("spacing", "box_start", "box_stop", "mean", "std", "percentiles", "label_count"):
        np.testing.assert_allclose(plain["head"].column(name), view.column(name), rtol=1e-6)
    transform = augment.Compose(
        augment.Affine(rotation=30, shift=2, physical=True), augment.ZScore()
    )
    options = {"patch": (6, 6, 6), "foreground": 0.5, "transform": transform, "steps": 4, "seed": 3}
    pair = [BalancedSequence(one, 4, sample_weight="balanced", **options) for one in (cache, plain)]
    for step in range(4):
        for got, want in zip(*(one.batch(0, step) for one in pair), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-4)
        assert [str(one) for one in pair[0].patches(0, step)] == [
            str(one) for one in pair[1].patches(0, step)
        ]


def test_statistics_say_what_was_done_and_how_large_cases_are_stored(cache):
    assert verify(cache.path).problems == ()
    found = stats(cache.path)
    want = {"orient": "RAS", "spacing": "1.2x1.2x1.2 mm, cubic", "crop": "foreground"}
    assert found.preparation == found.to_json()["preparation"] == want
    boxes = np.array([cache["head"].box(name).shape for name in cache["head"].cases])
    assert found.classes[0].shape_min == (*boxes.min(0), 1)
    assert found.classes[0].shape_max == (*boxes.max(0), 1)
    images = [cache["head"][name].image[cache["head"].box(name).slices] for name in WORDS]
    assert found.classes[0].mean == pytest.approx(
        np.concatenate([one.ravel() for one in images]).mean()
    )
    assert "spacing 1.2x1.2x1.2 mm, cubic" in stats_text(found)


def test_thick_slices_keep_their_numbers(tmp_path):
    spacing = (1.0, 1.0, 4.0)
    turned_source(tmp_path / "s", ["RAS"], shape=(8, 8, 8), spacing=spacing)
    build0(tmp_path / "s", tmp_path / "c", spacing=(2, 2, 2), orient="SAR")
    view = open_cache(tmp_path / "c")["head"]
    assert (view.grid(0).thick, view.grid(0).shape) == (0, (16, 4, 4))
    slices = view["RAS"].image[..., 0]
    np.testing.assert_array_equal(slices[::2], slices[1::2])


def test_images_of_that_spacing_are_not_touched(tmp_path):
    turned_source(tmp_path / "s", ["RAS", "LPS"], spacing=(1.0005, 0.9995, 2.0))
    built = build0(tmp_path / "s", tmp_path / "c", spacing=(1, 1, 2))
    assert built.plan.decisions.preparation == {
        "spacing": "1x1x2 mm, linear: 0 of 2 cases are resampled"
    }
    view = open_cache(tmp_path / "c")["head"]
    for name in view.cases:
        image = source_image(tmp_path / "s", name)
        np.testing.assert_array_equal(
            view[name].image[view.box(name).slices][..., 0], voxels_of(image)
        )


@pytest.mark.parametrize("kind", ["vector", "folder"])
def test_without_masks_only_the_image_is_prepared(kind, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(2):
        image = rng.integers(1, 99, (8, 6, 5), np.int16)
        folder = tmp_path / "s" / "a" / ("images" if kind == "vector" else "")
        put(folder / f"c{number}.nii", image, np.diag([-1, 1, 2, 1.0]))
        if kind == "vector":
            label = np.array([number, 2.5, -1], "float32")
            put(tmp_path / "s" / "a" / "labels" / f"c{number}.nii", label, np.eye(4))
    build0(tmp_path / "s", tmp_path / "c", orient="RAS", spacing=(2, 2, 1))
    view = open_cache(tmp_path / "c")["a"]
    assert view.grid(0).shape == (4, 3, 10)
    want = [[0, 2.5, -1], [1, 2.5, -1]] if kind == "vector" else [0, 0]
    np.testing.assert_array_equal([view[number].label for number in range(2)], want)


def test_planes_of_channels_are_resampled_and_cropped(tmp_path):
    rng = np.random.default_rng(0)
    image = np.zeros((10, 8, 3), np.uint8)
    image[2:8, 1:5, 1] = rng.integers(1, 255, (6, 4))
    put(tmp_path / "s" / "a" / "c.nii", image, np.diag([1, 2, 1.0, 1]))
    build0(tmp_path / "s", tmp_path / "c", spatial_dims=2, spacing=(0.5, 1), crop="foreground")
    view = open_cache(tmp_path / "c")["a"]
    assert (view.grid(0).crop.shape, view.grid(0).shape) == ((6, 4), (12, 8))
    stored = view[0].image[view.box(0).slices]
    assert stored.shape == (12, 8, 3)
    assert not stored[..., ::2].any()
    corner = view.affine(0) @ [*view.box(0).start, 0, 1]
    np.testing.assert_allclose(corner, [2 - 0.25, 2 - 0.5, 0, 1])


def test_what_is_all_zero_is_not_cropped_and_warned_of(tmp_path):
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[0, 3, 3] = 1
    image = np.zeros((6, 6, 6), np.uint8)
    image[2:4, 2:4, 2:4] = [[[5, 6], [7, 8]]] * 2
    for name, voxels in (("LPS", np.zeros_like(image)), ("RAS", image)):
        put(tmp_path / "s" / "head" / "images" / f"{name}.nii.gz", voxels, np.eye(4))
        put(tmp_path / "s" / "head" / "labels" / f"{name}.nii.gz", mask, np.eye(4))
    built = build0(tmp_path / "s", tmp_path / "c", crop="foreground")
    view = open_cache(tmp_path / "c")["head"]
    assert view.grid("LPS").crop.shape == (6, 6, 6)
    assert view.grid("RAS").crop.shape == (2, 2, 2)
    said = {(one.code, one.case): one.got for one in built.warnings}
    assert said["image-constant", "LPS"] == "0 in every voxel"
    assert said["mask-cut", "RAS"] == "1 labelled voxels cropped away"
    assert ("mask-cut", "LPS") not in said


def test_columns_that_contradict_each_other_are_refused():
    columns = {
        "name": np.array(["one"]),
        "source_shape": np.array([[4, 5, 6, 1]]),
        "affine": np.eye(4)[None],
        "box_start": np.array([[0, 0, 0]]),
        "box_stop": np.array([[4, 5, 5]]),
    }

    class Recipe:
        orient = spacing = crop = None

    with pytest.raises(FormatError, match=r"one: a valid box of .4, 5, 5. voxels for a grid of"):
        read_grid(columns.__getitem__, Recipe(), 0)
    columns["box_stop"] += [[0, 0, 1]]
    assert read_grid(columns.__getitem__, Recipe(), 0) == plan_grid((4, 5, 6), np.eye(4), Recipe())


def test_affines_hold_for_training_code_that_knows_no_nibabel(cache, source):
    # The middle of the brightest voxel is where it is in the source, to half of a voxel.
    view = cache["head"]
    for name in view.cases:
        image = source_image(source, name)
        corners = np.array(
            list(itertools.product(*[(0, n - 1) for n in view.grid(name).crop.shape]))
        )
        turned = nibabel.as_closest_canonical(image)
        mm = nibabel.affines.apply_affine(turned.affine, corners + view.grid(name).crop.start)
        box = view.box(name)
        ends = np.array(
            list(itertools.product(*zip(box.start, np.array(box.stop) - 1, strict=True)))
        )
        near = nibabel.affines.apply_affine(view.affine(name), ends)
        assert np.linalg.norm(mm - near, axis=1).max() < 1.2
