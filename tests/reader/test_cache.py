"""Opening a cache and looking at it; nibabel, zarr and TensorStore are the judges."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import tensorstore
import zarr
from helpers import SPACING, expected, source_files

import niicache
from niicache import open_cache
from niicache.errors import (
    CacheError,
    DamageError,
    FormatError,
    NotACacheError,
    OptionError,
    UncommittedError,
)
from niicache.format.facts import CODES, COLUMNS, NONZERO, VOXELS_CRC
from niicache.format.names import ROOT, WORK

KINDS = ["vector", "mask", "folder", "volume"]


@pytest.fixture(params=KINDS)
def pair(request):
    """Return (source, cache) of each kind."""
    values = [request.getfixturevalue(f"{request.param}_{half}") for half in ("source", "cache")]
    return tuple(values)


def test_every_case_holds_nibabels_voxels_padded_as_numpy_pads_them(pair):
    source, cache = pair[0], open_cache(pair[1])
    files = source_files(source)
    recipe = cache.manifest.recipe
    assert cache.cases == tuple(sorted(files))
    for (class_name, case), (image, label) in files.items():
        sample = cache[class_name][case]
        assert sample.image.dtype == recipe.image.dtype
        want = expected(image, recipe.image.shape, recipe.image.fill)
        np.testing.assert_array_equal(sample.image, want)
        if label is None:
            assert sample.label == sorted({name for name, _ in files}).index(class_name)
        else:
            assert sample.label.dtype == recipe.label.dtype
            np.testing.assert_array_equal(sample.label, expected(label, recipe.label.shape))


def test_the_valid_box_of_every_case_holds_the_source_voxels(pair):
    files, cache = source_files(pair[0]), open_cache(pair[1])
    for view in cache:
        starts, stops = view.column("box_start"), view.column("box_stop")
        for case, start, stop in zip(view.cases, starts, stops, strict=True):
            box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            inside = view[case].image[box]
            np.testing.assert_array_equal(inside, expected(files[view.name, case][0], inside.shape))


@pytest.mark.parametrize("how", ["zarr", "tensorstore"])
def test_another_zarr_library_reads_the_same_arrays(pair, how):
    def read(path):
        if how == "zarr":
            return zarr.open_array(path, mode="r")[...]
        store = {"driver": "file", "path": str(path)}
        return tensorstore.open({"driver": "zarr3", "kvstore": store}).result().read().result()

    cache = open_cache(pair[1])
    for view in cache:
        halves = {"image": read(cache.path / view.name / "image")}
        if view.label is not None:
            halves["label"] = read(cache.path / view.name / "label")
        for row, name in enumerate(view.slot_names):
            for half, array in halves.items():
                np.testing.assert_array_equal(array[row], getattr(view[name], half))


def test_zarr_alone_reads_every_column(pair):
    cache = open_cache(pair[1])
    plain = zarr.open_group(pair[1], mode="r")
    for view in cache:
        for name in cache.columns:
            column = plain[f"{view.name}/cases/{name}"][...]
            np.testing.assert_array_equal(np.asarray(column)[view.rows], view.column(name))


def test_columns_say_what_the_sources_are(vector_source, vector_cache):
    cache = open_cache(vector_cache)
    files = source_files(vector_source)
    assert set(cache.columns) == {
        *(column.name for column in COLUMNS),
        *CODES,
        NONZERO,
        VOXELS_CRC,
    }
    for view in cache:
        assert view.column("name").tolist() == list(view.cases)
        np.testing.assert_allclose(view.column("spacing"), [SPACING[:2]] * len(view))
        for row, case in enumerate(view.cases):
            image, label = files[view.name, case]
            assert view.column("image")[row] == str(image.relative_to(vector_source))
            assert view.column("label")[row] == str(label.relative_to(vector_source))
            assert view.column("image_size")[row] == image.stat().st_size
            voxels = expected(image, tuple(view.column("source_shape")[row]))
            np.testing.assert_allclose(view.column("mean")[row], voxels.mean((0, 1)))
            np.testing.assert_allclose(view.column("maximum")[row], voxels.max((0, 1)))


def test_classes_and_cases_are_sorted_and_counted(vector_cache):
    cache = open_cache(str(vector_cache))
    assert cache.classes == ("axial", "coronal", "oblique", "sagittal")
    assert [len(view) for view in cache] == [37, 21, 10, 5]
    assert [view.number for view in cache] == [0, 1, 2, 3]
    assert len(cache) == 4
    assert len(cache.cases) == 73
    assert list(cache.cases) == sorted(cache.cases)
    assert cache["oblique"].cases == tuple(f"case_{i:03}" for i in range(10))


def test_a_case_is_found_by_position_from_either_end_and_by_name(vector_cache):
    view = open_cache(vector_cache)["sagittal"]
    for position, case in enumerate(view.cases):
        for key in (position, position - len(view), case, np.int64(position)):
            np.testing.assert_array_equal(view[key].image, view[case].image)
            np.testing.assert_array_equal(view[key].label, view[case].label)
    assert len(list(view)) == len(view)


@pytest.mark.parametrize("position", [5, -6, 10**6])
def test_a_position_that_there_is_not_is_an_index_error(vector_cache, position):
    view = open_cache(vector_cache)["sagittal"]
    with pytest.raises(IndexError, match=f"got {position}, .* below 5, .* of class 'sagittal'"):
        view[position]
    with pytest.raises(OptionError, match="case: got True, expected one position or one name"):
        view[True]


def test_unknown_names_are_refused_with_the_known_ones(vector_cache):
    cache = open_cache(vector_cache)
    with pytest.raises(OptionError, match="'axail', expected one of axial, coronal, oblique, sag"):
        cache["axail"]
    with pytest.raises(OptionError, match="'axial' has no case 'case_999'"):
        cache["axial"]["case_999"]
    with pytest.raises(OptionError, match=r"'spacings', expected one of name, key, .*spacing"):
        cache["axial"].column("spacings")


@pytest.mark.parametrize("kind", KINDS)
def test_a_repr_says_what_is_in_the_cache(kind, request):
    path = request.getfixturevalue(f"{kind}_cache")
    text = repr(open_cache(path))
    says = {
        "vector": ["(16, 15, 3) int16, padded with constant 0", "vector (4,) float32", "axial 37"],
        "mask": ["float32, padded with constant -1.5", "mask (14, 10, 1) uint8", "left 9, right 5"],
        "folder": [
            "(9, 9, 1) uint16",
            "label   folder",
            "bird 4, cat 7, dog 3",
            "chunks  (2, 9, 9, 1) zstd",
        ],
        "volume": ["(19, 21, 17, 1) int16", "chunks  (1, 8, 8, 8, 1) lz4"],
    }
    assert all(fact in text for fact in [str(path), *says[kind]])


def test_reprs_of_parts(sharded_cache):
    cache = open_cache(sharded_cache)
    assert "none, 8 cases a shard" in repr(cache)
    assert repr(cache["axial"]) == f"<class 'axial' of '{sharded_cache}', 37 cases>"


def test_nothing_but_the_manifest_is_read_by_opening(copy_of, vector_cache):
    path = copy_of(vector_cache)
    for file in path.rglob("*"):
        if file.is_file() and file != path / ROOT:
            file.unlink()
    assert len(open_cache(path).manifest.files) > 0
    with pytest.raises(DamageError, match="no file"):
        _ = open_cache(path).cases


def test_what_is_no_cache_is_said_to_be_none(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, got in [
        ("missing", "no such folder"),
        ("empty", "a folder without zarr.json"),
        ("file", "a file"),
    ]:
        with pytest.raises(NotACacheError, match=f"got {got}.*niicache build") as caught:
            open_cache(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_a_root_that_cannot_be_read_is_said_so(tmp_path):
    (tmp_path / ROOT).mkdir()
    with pytest.raises(NotACacheError, match="cannot be read"):
        open_cache(tmp_path)


def test_a_build_that_was_never_finished_is_said_so(tmp_path):
    (tmp_path / WORK).mkdir()
    with pytest.raises(UncommittedError, match="run the same `niicache build` command again"):
        open_cache(tmp_path)


def test_a_foreign_zarr_hierarchy_is_said_so(tmp_path):
    zarr.create_group(tmp_path / "group")
    zarr.create_array(tmp_path / "array", shape=(3,), dtype="int8")
    for name in ("group", "array"):
        with pytest.raises(FormatError, match="not the root of a niicache cache") as caught:
            open_cache(tmp_path / name)
        assert str(tmp_path / name / ROOT) in str(caught.value)


def test_a_newer_cache_is_said_so_with_its_path(copy_of, mask_cache):
    path = copy_of(mask_cache)
    whole = json.loads((path / ROOT).read_bytes())
    whole["attributes"]["niicache"]["format_version"] = 99
    (path / ROOT).write_text(json.dumps(whole))
    with pytest.raises(FormatError, match=r"zarr\.json: format version 99.*newer niicache"):
        open_cache(path)


def test_a_damaged_column_is_refused_with_its_path(copy_of, vector_cache):
    path = copy_of(vector_cache)
    for file in [*(path / "oblique/cases/mean").rglob("*")]:
        if not file.is_file():
            continue
        sound = file.read_bytes()
        for damaged in (sound[:-1], bytes([sound[0] ^ 1]) + sound[1:]):
            file.write_bytes(damaged)
            with pytest.raises(DamageError, match="niicache verify") as caught:
                open_cache(path)["oblique"].column("mean")
            assert caught.value.problems[0].path == str(file)
        file.unlink()
        with pytest.raises(DamageError, match="no file"):
            open_cache(path)["oblique"].column("mean")
        file.write_bytes(sound)
    open_cache(path)["oblique"].column("mean")


def test_public_names_are_there_and_no_other():
    assert set(niicache.__all__) <= set(dir(niicache))
    assert all(getattr(niicache, name) for name in niicache.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Cahce'"):
        _ = niicache.Cahce


def test_every_error_of_a_cache_is_a_cache_error():
    for error in (NotACacheError, UncommittedError, FormatError, DamageError):
        assert issubclass(error, CacheError)


def test_in_asks_for_names(vector_cache):
    cache = open_cache(vector_cache)
    view = next(iter(cache))
    assert view.name in cache
    assert "nobody" not in cache
    assert view.cases[0] in view
    assert "nobody" not in view


def test_a_cache_that_was_read_pickles(vector_cache):
    cache = open_cache(vector_cache)
    view = next(iter(cache))
    image = view[0].image
    again = pickle.loads(pickle.dumps(cache))  # noqa: S301 - what was dumped a moment ago
    np.testing.assert_array_equal(again[view.name][0].image, image)


def test_one_case_at_a_time(vector_cache):
    view = next(iter(open_cache(vector_cache)))
    with pytest.raises(OptionError, match="expected one position or one name"):
        view[0:2]
