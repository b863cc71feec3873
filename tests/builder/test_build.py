"""Building: every layout and dtype, on real files too, and no work where nothing changed."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
from building import (
    NIBABEL_DATA,
    build0,
    contents,
    folders,
    live,
    masks,
    older,
    opened,
    same,
    shards,
    stamps,
    tree,
    vectors,
    voxels,
    write,
)

from niicache.cache import open_cache
from niicache.errors import (
    CacheError,
    DiskError,
    LockedError,
    NotACacheError,
    OptionError,
    SourceError,
    UncommittedError,
)
from niicache_builder import BuildOptions, build, plan_build, verify
from niicache_builder.lock import hold
from niicache_builder.nifti import NiftiError

pytestmark = pytest.mark.usefixtures("small_shards")


def whole(target: Path) -> None:
    found = verify(target)
    assert found.problems == ()
    assert not (target / ".build").exists()


def padded(data: np.ndarray, shape: tuple[int, ...], **how: Any) -> np.ndarray:
    """Pad as numpy does, half before, the odd voxel after; channels stay."""
    totals = [b - a for a, b in zip(data.shape, shape, strict=False)]
    widths = [*((t // 2, t - t // 2) for t in totals), (0, 0)]
    return np.pad(data, widths, **(how or {"mode": "constant"}))


def read(path: Path) -> np.ndarray:
    """Return what nibabel makes of a file."""
    return np.asanyarray(nib.load(path).dataobj)


# What is in a cache is what nibabel reads.


def test_images_of_45_lie_at_9_of_64_with_10_after(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 4, "b": 2}, shape=(45, 45, 3))
    build0(source, tmp_path / "c", shape=(64, 64))
    whole(tmp_path / "c")
    cache = open_cache(tmp_path / "c")
    for name, case in cache.cases:
        image, label = cache[name][case]
        expected = read(source / name / "images" / f"{case}.nii.gz")
        assert image.dtype == np.int16
        assert np.array_equal(image, np.pad(expected, ((9, 10), (9, 10), (0, 0))))
        assert np.array_equal(label, read(source / name / "labels" / f"{case}.nii.gz").ravel())
    view = cache["a"]
    assert view.column("box_start").tolist() == [[9, 9]] * 4
    assert view.column("box_stop").tolist() == [[54, 54]] * 4


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_masks_are_padded_as_images_are(tmp_path: Path, mode: Any) -> None:
    source = masks(tmp_path / "s", {"a": 4})
    value = -7 if mode == "constant" else 0
    build0(source, tmp_path / "c", shape=(12, 9, 8), pad_mode=mode, pad_value=value)
    whole(tmp_path / "c")
    cache = open_cache(tmp_path / "c")
    for case in cache["a"].cases:
        image, mask = cache["a"][case]
        stored = read(source / "a" / "images" / f"{case}.nii.gz")[..., None]
        more = {"constant_values": -7} if mode == "constant" else {}
        assert np.array_equal(image, padded(stored, (12, 9, 8), mode=mode, **more))
        stored = read(source / "a" / "labels" / f"{case}.nii.gz")[..., None]
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, padded(stored, (12, 9, 8), mode=mode))


@pytest.mark.parametrize("codec", ["fast", "balanced", "small", "none"])
@pytest.mark.parametrize("chunk", [None, (1,), (2,), (1, 4, 3, 2), (1, 64, 64, 64)])
def test_every_codec_and_chunk(tmp_path: Path, codec: Any, chunk: Any) -> None:
    source = masks(tmp_path / "s", {"a": 4})
    build0(source, tmp_path / "c", codec=codec, chunk=chunk)
    whole(tmp_path / "c")
    cache = open_cache(tmp_path / "c")
    for case in cache["a"].cases:
        stored = read(source / "a" / "images" / f"{case}.nii.gz")[..., None]
        assert np.array_equal(cache["a"][case].image, padded(stored, (7, 4, 6)))


def layout(root: Path, name: str) -> Path:
    """Write four cases in two classes, as one of the layouts has them."""
    rows = ["class,image,label,group"]
    for number, (klass, case) in enumerate([("a", "x"), ("a", "y"), ("b", "x"), ("b", "z")]):
        image = voxels(number, (5, 4, 6))
        mask = (image % 2).astype("uint8")
        folder = root / klass
        if name == "images-labels":
            write(folder / "images" / f"{case}.nii.gz", image)
            write(folder / "labels" / f"{case}.nii", mask)
        elif name == "folder":
            write(folder / f"{case}.nii.gz", image)
        elif name == "suffix":
            write(folder / f"{case}_image.nii.gz", image)
            write(folder / f"{case}_label.nii.gz", mask)
        elif name == "case-folders":
            write(folder / case / "image.nii.gz", image)
            write(folder / case / "label.nii.gz", mask)
        elif name == "pairs":
            write(folder / "images" / f"{case}.img", image)
            write(folder / "labels" / f"{case}.img", mask)
        else:
            write(root / "i" / f"{klass}{case}.nii", image)
            write(root / "l" / f"{klass}{case}.hdr", mask)
            rows.append(f"{klass},i/{klass}{case}.nii,l/{klass}{case}.hdr,patient{number % 2}")
    if name != "table":
        return root
    (root / "cases.csv").write_text("\n".join(rows) + "\n")
    return root / "cases.csv"


@pytest.mark.parametrize(
    "name", ["images-labels", "folder", "suffix", "case-folders", "pairs", "table"]
)
def test_every_layout(tmp_path: Path, name: str) -> None:
    source = layout(tmp_path / "s", name)
    built = build0(source, tmp_path / "c", spatial_dims=3)
    whole(tmp_path / "c")
    cache = open_cache(tmp_path / "c")
    assert [(e.name, e.cases) for e in built.manifest.classes] == [("a", 2), ("b", 2)]
    assert cache.manifest.recipe.label_kind == ("folder" if name == "folder" else "mask")
    numbers = {("a", 0): 0, ("a", 1): 1, ("b", 0): 2, ("b", 1): 3}
    for (klass, i), number in numbers.items():
        image, label = cache[klass][i]
        assert np.array_equal(image[..., 0], voxels(number, (5, 4, 6)))
        if name == "folder":
            assert label == cache[klass].number
        else:
            assert np.array_equal(label[..., 0], voxels(number, (5, 4, 6)) % 2)
    if name == "table":
        assert cache["b"].column("group").tolist() == ["patient0", "patient1"]


def test_links_in_the_source_are_followed(tmp_path: Path) -> None:
    real = folders(tmp_path / "real", {"a": 3})
    (tmp_path / "s" / "a").mkdir(parents=True)
    for file in sorted((real / "a").iterdir()):
        (tmp_path / "s" / "a" / file.name).symlink_to(file)
    build0(tmp_path / "s", tmp_path / "c")
    build0(real, tmp_path / "d")
    assert same(opened(tmp_path / "c"), opened(tmp_path / "d"))


def test_planes_without_channels(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2}, shape=(6, 5))
    build0(source, tmp_path / "c")
    assert open_cache(tmp_path / "c")["a"][0].image.shape == (6, 5, 1)


# Real files: nibabel's own test data, nibabel's own reading.


def real(root: Path, *files: str) -> Path:
    for number, name in enumerate(files):
        folder = root / f"class{number}"
        folder.mkdir(parents=True)
        shutil.copy(NIBABEL_DATA / name, folder / name)
    return root


def only(target: Path, klass: str) -> np.ndarray:
    view = open_cache(target)[klass]
    assert len(view) == 1
    return view[0].image


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("anatomical.nii", "int16"),  # big-endian
        ("resampled_anat_moved.nii", "float32"),  # big-endian
        ("reoriented_anat_moved.nii", "float32"),
        ("example4d.nii.gz", "int16"),  # two volumes
        ("example_nifti2.nii.gz", "int16"),
        ("functional.nii", "float32"),  # scl_slope and scl_inter, 20 volumes
    ],
)
def test_real_files(tmp_path: Path, name: str, dtype: str) -> None:
    source = real(tmp_path / "s", name)
    build0(source, tmp_path / "c", spatial_dims=3)
    whole(tmp_path / "c")
    file = nib.load(NIBABEL_DATA / name)
    expected = read(NIBABEL_DATA / name)
    expected = expected if expected.ndim == 4 else expected[..., None]
    image = only(tmp_path / "c", "class0")
    assert image.dtype == dtype
    assert image.shape == expected.shape
    if dtype == "int16":
        assert np.array_equal(image, expected)
    else:
        # nibabel scales in float64; the cache rounds that to float32 once.
        assert np.array_equal(image, expected.astype("float32"), equal_nan=True)
    view = open_cache(tmp_path / "c")["class0"]
    assert np.allclose(view.column("affine")[0], file.affine, atol=1e-4)
    assert np.allclose(view.column("spacing")[0], nib.affines.voxel_sizes(file.affine), atol=1e-4)
    if name == "functional.nii":
        inner = file.dataobj
        assert view.column("slope").tolist() == [pytest.approx(float(inner.slope), rel=1e-6)]
        assert view.column("inter").tolist() == [pytest.approx(float(inner.inter), rel=1e-6)]


def test_real_files_of_other_sizes_in_one_cache(tmp_path: Path) -> None:
    source = real(tmp_path / "s", "anatomical.nii", "reoriented_anat_moved.nii")
    build0(source, tmp_path / "c", spatial_dims=3)
    for klass, name in (("class0", "anatomical.nii"), ("class1", "reoriented_anat_moved.nii")):
        expected = padded(read(NIBABEL_DATA / name)[..., None], (33, 41, 25))
        assert np.array_equal(only(tmp_path / "c", klass), expected)
    assert only(tmp_path / "c", "class0").dtype == np.float32


def test_real_series_do_not_go_with_volumes(tmp_path: Path) -> None:
    source = real(tmp_path / "s", "anatomical.nii", "reoriented_anat_moved.nii", "functional.nii")
    with pytest.raises(SourceError) as error:
        build0(source, tmp_path / "c")
    (problem,) = error.value.problems
    assert problem.code == "channels-differ"
    assert problem.path == str(source / "class2" / "functional.nii")
    assert not (tmp_path / "c").exists()
    built = build0(source, tmp_path / "c", on_error="skip")
    assert [s.case for s in built.manifest.skipped] == ["functional"]
    whole(tmp_path / "c")


def test_nan_in_the_sform_leaves_the_qform(tmp_path: Path) -> None:
    path = tmp_path / "s" / "a" / "x.nii"
    path.parent.mkdir(parents=True)
    file = nib.load(NIBABEL_DATA / "anatomical.nii")
    copied = nib.Nifti1Image(np.asarray(file.dataobj), file.affine)
    copied.set_qform(file.affine, code=2)
    copied.set_sform(file.affine, code=2)
    copied.to_filename(path)
    raw = bytearray(path.read_bytes())
    raw[280:284] = np.array([np.nan], "<f4").tobytes()  # srow_x[0], nifti1.h
    path.write_bytes(raw)
    build0(tmp_path / "s", tmp_path / "c")
    affine = open_cache(tmp_path / "c")["a"].column("affine")[0]
    assert np.allclose(affine, file.affine, atol=1e-4)


def test_the_sform_goes_before_the_qform(tmp_path: Path) -> None:
    path = tmp_path / "s" / "a" / "x.nii"
    path.parent.mkdir(parents=True)
    file = nib.Nifti1Image(voxels(0, (5, 4, 6)), None)
    file.set_qform(np.diag([1, 1, 1, 1]), code=1)
    file.set_sform(np.diag([3, 4, 5, 1]), code=1)
    file.to_filename(path)
    build0(tmp_path / "s", tmp_path / "c")
    assert open_cache(tmp_path / "c")["a"].column("spacing").tolist() == [[3, 4, 5]]


@pytest.mark.parametrize(
    ("dtypes", "stored"),
    [
        (["uint8"], "uint8"),
        (["int16"], "int16"),
        (["float64"], "float32"),
        (["float32"], "float32"),
        (["int16", "uint8"], "int16"),
        (["uint16", "int16"], "int32"),
        (["int16", "float64"], "float32"),
    ],
)
def test_dtypes(tmp_path: Path, dtypes: list[str], stored: str) -> None:
    for i, dtype in enumerate(dtypes):
        write(tmp_path / "s" / "a" / f"{i}.nii", voxels(i, (5, 4, 6), dtype))
    build0(tmp_path / "s", tmp_path / "c")
    view = open_cache(tmp_path / "c")["a"]
    for i, dtype in enumerate(dtypes):
        assert view[i].image.dtype == stored
        assert np.array_equal(view[i].image[..., 0], voxels(i, (5, 4, 6), dtype))


def test_scaled_integers_become_float32(tmp_path: Path) -> None:
    path = write(tmp_path / "s" / "a" / "x.nii", voxels(0, (5, 4, 6)))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -1024], "<f4").tobytes()  # scl_slope, scl_inter of nifti1.h
    path.write_bytes(raw)
    build0(tmp_path / "s", tmp_path / "c")
    image = open_cache(tmp_path / "c")["a"][0].image[..., 0]
    assert image.dtype == np.float32
    assert np.array_equal(image, voxels(0, (5, 4, 6)) * np.float32(0.5) - 1024)
    build0(tmp_path / "s", tmp_path / "d", dtype="float64")
    assert np.array_equal(open_cache(tmp_path / "d")["a"][0].image[..., 0], read(path))


def test_a_dtype_that_loses_is_refused_case_by_case(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 4, "b": 4})
    odd = [source / "a" / "case001.nii.gz", source / "a" / "x.nii", source / "b" / "case002.nii.gz"]
    for path in odd:
        write(path, np.full((5, 4, 3), 300, "int16"))
    with pytest.raises(SourceError) as error:
        build0(source, tmp_path / "c", dtype="uint8")
    assert {(p.code, p.path) for p in error.value.problems} == {
        ("dtype-loses", str(path)) for path in odd
    }
    assert not (tmp_path / "c" / "zarr.json").exists()


def test_a_failed_build_leaves_what_another_can_go_on_from_and_nothing_else(tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 4}), tmp_path / "c"
    bad = write(source / "a" / "case000.nii.gz", np.full((5, 4, 3), 300, "int16"))
    files = list((source / "a").iterdir())
    for path in files:
        write(path, np.full((5, 4, 3), 300, "int16"))
    with pytest.raises(SourceError):
        build0(source, cache, dtype="uint8")
    with pytest.raises(NotACacheError, match="make one with"):
        open_cache(cache)
    for path in set(files) - {bad}:
        write(path, np.full((5, 4, 3), 3, "int16"))
    with pytest.raises(SourceError):
        build0(source, cache, dtype="uint8")
    with pytest.raises(UncommittedError):
        open_cache(cache)
    write(bad, np.full((5, 4, 3), 3, "int16"))
    assert build0(source, cache, dtype="uint8").resumed
    for path in files:
        write(path, np.full((5, 4, 3), 300, "int16"))
    before = stamps(cache)
    with pytest.raises(SourceError):
        build0(source, cache, dtype="uint8")
    assert stamps(cache) == before
    assert not (cache / ".build").exists()


# The same sources give the same bytes.


@pytest.mark.parametrize("make", [masks, vectors, folders])
def test_two_builds_give_the_same_bytes(tmp_path: Path, make: Any) -> None:
    source = make(tmp_path / "s", {"a": 7, "b": 2})
    build0(source, tmp_path / "c")
    build0(source, tmp_path / "d")
    assert tree(tmp_path / "c") == tree(tmp_path / "d")


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    source = masks(tmp_path / "s", {"a": 7, "b": 2})
    build0(source, tmp_path / "c")
    built = build(source, tmp_path / "d", BuildOptions(workers=2))
    assert built.written == 4
    assert tree(tmp_path / "c") == tree(tmp_path / "d")


def test_it_does_not_matter_in_which_order_cases_came(tmp_path: Path) -> None:
    """Not the bytes, but every case is the same after additions, one build each, and removals."""
    source = masks(tmp_path / "s", {"a": 5, "b": 2})
    part = tmp_path / "p"
    for name in sorted(path.name for path in (source / "a" / "images").iterdir()):
        for kind in ("images", "labels"):
            (part / "a" / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / "a" / kind / name, part / "a" / kind / name)
        build0(part, tmp_path / "c", shape=(8, 4, 6))
    shutil.copytree(source / "b", part / "b")
    build0(part, tmp_path / "c", shape=(8, 4, 6))
    build0(source, tmp_path / "d", shape=(8, 4, 6))
    assert same(opened(tmp_path / "c"), opened(tmp_path / "d"))
    whole(tmp_path / "c")


# Nothing to do.


@pytest.fixture
def started(tmp_path: Path) -> tuple[Path, Path]:
    """Return a source of two classes and its cache, three cases a shard: a/0, a/1, a/2, b/0."""
    source = masks(tmp_path / "s", {"a": 7, "b": 2})
    build0(source, tmp_path / "c")
    return source, tmp_path / "c"


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a voxel was read")


def test_nothing_changed_nothing_done(
    started: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = started
    before = stamps(cache)
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    monkeypatch.setattr("niicache_builder.previous.hash_files", never)
    built = build0(source, cache)
    assert (built.changed, built.written, built.resumed, built.plan.todo) == (False, 0, 0, ())
    assert stamps(cache) == before


def test_a_touched_file_is_hashed_and_no_shard_written(
    started: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = started
    before = stamps(cache)
    for kind in ("images", "labels"):
        older(source / "a" / kind / "case003.nii.gz")
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    built = build0(source, cache)
    assert built.written == 0
    after = stamps(cache)
    assert {p: after[p] for p in shards(cache)} == {p: before[p] for p in shards(cache)}
    whole(cache)
    # The new time is known now; nothing is hashed a third time.
    monkeypatch.setattr("niicache_builder.previous.hash_files", never)
    assert not build0(source, cache).changed


def changed_shards(cache: Path, before: dict[str, Any]) -> set[str]:
    """Return class/index of the shards that are new or other files; image and label go together."""
    after = stamps(cache)
    pairs: dict[str, set[str]] = {}
    for path in shards(cache):
        if after[path] != before.get(path):
            klass, array, _, index, *_ = path.split("/")
            pairs.setdefault(f"{klass}/{index}", set()).add(array)
    assert all(arrays == {"image", "label"} for arrays in pairs.values())
    return set(pairs)


def home(cache: Path, klass: str, case: str) -> str:
    view = open_cache(cache)[klass]
    return f"{klass}/{list(view.slot_names).index(case) // 3}"


def test_a_changed_file_costs_one_shard(started: tuple[Path, Path]) -> None:
    source, cache = started
    for kind, klass, case in (("images", "a", "case004"), ("labels", "b", "case001")):
        before = stamps(cache)
        path = source / klass / kind / f"{case}.nii.gz"
        data = read(path)
        write(path, (data + 1).astype(data.dtype))
        built = build0(source, cache)
        assert built.written == 1
        assert changed_shards(cache, before) == {home(cache, klass, case)}
        whole(cache)
    fresh = build0(source, cache.with_name("fresh"))
    assert same(opened(cache), opened(cache.with_name("fresh")))
    assert open_cache(cache).manifest.label_values == fresh.manifest.label_values


def test_label_values_that_are_gone_are_forgotten(started: tuple[Path, Path]) -> None:
    source, cache = started
    path = source / "a" / "labels" / "case000.nii.gz"
    data = read(path)
    write(path, np.where(data == 1, 77, data).astype("uint8"))
    assert build0(source, cache).manifest.label_values == (0.0, 1.0, 2.0, 77.0)
    write(path, data)
    assert build0(source, cache).manifest.label_values == (0.0, 1.0, 2.0)


def test_a_new_file_costs_one_shard(started: tuple[Path, Path]) -> None:
    source, cache = started
    for i in range(3):
        before = stamps(cache)
        write(source / "a" / "images" / f"new{i}.nii.gz", voxels(i, (5, 4, 6)))
        write(source / "a" / "labels" / f"new{i}.nii.gz", voxels(i, (5, 4, 6), "uint8") % 3)
        assert build0(source, cache).written == 1
        assert len(changed_shards(cache, before)) == 1
        whole(cache)


def test_a_removed_file_costs_one_shard(started: tuple[Path, Path]) -> None:
    source, cache = started
    # A shape of its own, because the largest case that goes would change it otherwise.
    build0(source, cache, shape=(8, 4, 6))
    rng = np.random.default_rng(0)
    names = [f"case{i:03}.nii.gz" for i in range(7)]
    rng.shuffle(names)
    for name in names[:-1]:
        before = stamps(cache)
        held = {path for path in shards(cache) if path.startswith("a/image")}
        for kind in ("images", "labels"):
            (source / "a" / kind / name).unlink()
        assert build0(source, cache, shape=(8, 4, 6)).written <= 1
        # Either one shard is written again, or the last one is gone and nothing else changes but
        # where the array ends.
        lost = {path for path in held if path not in shards(cache)}
        assert len(changed_shards(cache, before)) + len(lost) in {1, 2}
        assert lost or len(changed_shards(cache, before)) == 1
        whole(cache)
    assert len(open_cache(cache)["a"]) == 1


def test_a_new_class_and_one_that_goes(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = stamps(cache)
    masks(source, {"c": 2})
    assert build0(source, cache).written == 1
    assert changed_shards(cache, before) == {"c/0"}
    shutil.rmtree(source / "b")
    assert build0(source, cache).written == 0
    assert not (cache / "b").exists()
    assert open_cache(cache).classes == ("a", "c")
    whole(cache)


def test_only_groups_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = layout(tmp_path / "s", "table")
    build0(table, tmp_path / "c", spatial_dims=3)
    before = stamps(tmp_path / "c")
    table.write_text(table.read_text().replace("patient1", "patient9"))
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    assert build0(table, tmp_path / "c", spatial_dims=3).changed
    after = stamps(tmp_path / "c")
    moved = {p for p in after if after[p] != before.get(p) and not p.startswith(".retired/")}
    assert moved == {"zarr.json", "a/cases/group/c/0", "b/cases/group/c/0"}
    cache = open_cache(tmp_path / "c")
    assert cache["b"].column("group").tolist() == ["patient0", "patient9"]


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (9, 9, 9)},
        {"codec": "none"},
        {"dtype": "float32"},
        {"chunk": (2,)},
        {"pad_mode": "edge"},
        {"pad_value": 3},
        {"labels": "folder"},
        {"spatial_dims": 3},
    ],
)
def test_another_recipe_rewrites_everything(tmp_path: Path, options: dict[str, Any]) -> None:
    # 2D by guess, so that --spatial-dims 3 puts folders where files were.
    dims = 2 if "spatial_dims" in options else 3
    source = masks(tmp_path / "s", {"a": 4, "b": 2}, shape=(5, 4, 1) if dims == 2 else (5, 4, 6))
    cache = tmp_path / "c"
    build0(source, cache)
    old, before = open_cache(cache), opened(cache)
    assert build0(source, cache, **options).written == 3
    whole(cache)
    fresh = tmp_path / "fresh"
    build0(source, fresh, **options)
    assert live(cache) == tree(fresh)
    for (klass, case), (image, label, _) in before.items():
        assert np.array_equal(old[klass][case].image, image)
        assert np.array_equal(old[klass][case].label, label)
    # And back again.
    build0(source, cache)
    whole(cache)
    assert same(opened(cache), before)


def test_a_vector_cache_becomes_one_of_masks(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 4})
    build0(source, tmp_path / "c")
    for path in sorted((source / "a" / "labels").iterdir()):
        write(path, np.ones((5, 4), "uint8"))
    assert build0(source, tmp_path / "c").manifest.recipe.label_kind == "mask"
    whole(tmp_path / "c")


# Readers that are open keep what they opened.


def test_open_readers_keep_their_generation(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = opened(cache)
    lazy, warm = open_cache(cache), open_cache(cache)
    for view in warm:
        assert view[0].image is not None
    path = source / "a" / "images" / "case004.nii.gz"
    write(path, (read(path) + 1).astype("int16"))
    (source / "a" / "images" / "case001.nii.gz").unlink()
    (source / "a" / "labels" / "case001.nii.gz").unlink()
    shutil.rmtree(source / "b")
    masks(source, {"c": 1})
    build0(source, cache)
    for old in (lazy, warm):
        for (klass, case), (image, label, origin) in before.items():
            sample = old[klass][case]
            assert np.array_equal(sample.image, image)
            assert np.array_equal(sample.label, label)
            where = old[klass].cases.index(case)
            assert old[klass].column("image")[where] == origin
    assert open_cache(cache).classes == ("a", "c")
    # A build with nothing to do does not take it from them either.
    build0(source, cache)
    assert np.array_equal(open_cache(cache)["a"]["case000"].image, before["a", "case000"][0])
    assert np.array_equal(lazy["a"]["case001"].image, before["a", "case001"][0])


def test_only_one_old_generation_is_kept(started: tuple[Path, Path]) -> None:
    source, cache = started
    path = source / "a" / "images" / "case004.nii.gz"
    for _ in range(4):
        old = open_cache(cache).manifest.files
        write(path, (read(path) + 1).astype("int16"))
        build0(source, cache)
        kept = {file.name for file in (cache / ".retired").iterdir()}
        assert kept <= {entry.sha256 for entry in old.values()}


def test_a_damaged_file_that_was_mended_is_not_kept_for_readers(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = opened(cache)
    column = next(one for one in (cache / "a" / "cases" / "mean" / "c").rglob("*") if one.is_file())
    data = column.read_bytes()
    column.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    build0(source, cache)
    reader = open_cache(cache)
    path = source / "a" / "images" / "case004.nii.gz"
    write(path, (read(path) + 1).astype("int16"))
    build0(source, cache)
    assert len(reader["a"].column("mean")) == len(reader["a"])
    assert same(contents(reader), before)


def test_no_hard_links_on_the_file_system(
    started: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = started
    old, before = open_cache(cache), opened(cache)
    path = source / "a" / "images" / "case004.nii.gz"
    write(path, (read(path) + 1).astype("int16"))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    build0(source, cache)
    whole(cache)
    assert np.array_equal(old["a"]["case004"].image, before["a", "case004"][0])


# Damage is mended by building again.


def test_a_shard_that_went_comes_back(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = tree(cache)
    for path in sorted(shards(cache)):
        (cache / path).unlink()
        assert build0(source, cache).written == 1
        assert live(cache) == before
        whole(cache)


def test_every_file_that_went_comes_back(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = tree(cache)
    for i in range(9):
        for path in sorted(before.keys() - {"zarr.json"})[i::9]:
            (cache / path).unlink()
        build0(source, cache)
        assert set(live(cache)) == set(before)
        whole(cache)


def test_damaged_columns_and_checksums_come_back(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = opened(cache)
    for path in ("a/cases/key/c/0", "a/chunks/image/c/0", "b/chunks/label/zarr.json", "README.txt"):
        raw = bytearray((cache / path).read_bytes())
        raw[len(raw) // 2] ^= 1
        (cache / path).write_bytes(raw)
        build0(source, cache)
        whole(cache)
        assert same(opened(cache), before)


# Problems.


DEEP = (24, 16, 16)
"""Images of noise large enough that a look at the header does not come to the end of the file."""


def broken_crc(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1  # in the CRC32 of the gzip trailer, RFC 1952
    path.write_bytes(raw)


def test_stop_writes_nothing_at_all(tmp_path: Path) -> None:
    source = masks(tmp_path / "s", {"a": 4, "b": 2})
    (source / "a" / "labels" / "case001.nii.gz").unlink()
    (source / "b" / "images" / "case000.nii.gz").write_bytes(b"no image")
    write(source / "b" / "labels" / "case001.nii.gz", np.zeros((2, 2, 2), "uint8"))
    with pytest.raises(SourceError) as error:
        build0(source, tmp_path / "c" / "deep")
    codes = {p.code for p in error.value.problems}
    assert {"unpaired-image", "plain-named-gz", "shape-mismatch"} <= codes
    assert not (tmp_path / "c").exists()
    (tmp_path / "d").mkdir()
    with pytest.raises(SourceError):
        build0(source, tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []


def test_stop_leaves_an_old_cache_as_it_is(started: tuple[Path, Path]) -> None:
    source, cache = started
    before = stamps(cache)
    (source / "a" / "labels" / "case001.nii.gz").unlink()
    with pytest.raises(SourceError):
        build0(source, cache)
    assert stamps(cache) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_what_only_voxels_show_is_said_at_once(tmp_path: Path, workers: int) -> None:
    source = masks(tmp_path / "s", {"a": 7, "b": 2}, shape=(24, 24, 24))
    bad = [
        source / "a" / "images" / "case001.nii.gz",
        source / "a" / "labels" / "case005.nii.gz",
        source / "b" / "images" / "case000.nii.gz",
    ]
    for path in bad:
        broken_crc(path)
    with pytest.raises(SourceError) as error:
        build(source, tmp_path / "c", BuildOptions(workers=workers))
    assert {(p.code, p.path, p.case) for p in error.value.problems} == {
        ("gzip-damaged", str(path), path.name.removesuffix(".nii.gz")) for path in bad
    }
    assert not (tmp_path / "c" / "zarr.json").exists()
    # Mended, the build goes on.
    for path in bad:
        broken_crc(path)
    built = build0(source, tmp_path / "c")
    assert built.resumed + built.written == 4
    whole(tmp_path / "c")


def test_skip_builds_the_rest_and_then_there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad cases anywhere: first, last, a whole shard of them, and the largest of all."""
    source = masks(tmp_path / "s", {"a": 7, "b": 2}, shape=DEEP)
    bad = []
    for number in (6, 1, 5, 0, 3, 2):
        path = source / "a" / "images" / f"case{number:03}.nii.gz"
        broken_crc(path)
        bad.append(path)
        assert plan_build(source, tmp_path / "new", BuildOptions()).problems == ()
        target = tmp_path / f"c{number}"
        built = build0(source, target, on_error="skip")
        whole(target)
        below = sorted(str(path.relative_to(source)) for path in bad)
        assert [s.path for s in built.manifest.skipped] == below
        rows = list(csv.DictReader(io.StringIO((target / "skipped.csv").read_text())))
        assert [row["path"] for row in rows] == below
        assert {row["code"] for row in rows} == {"gzip-damaged"}
        before = stamps(target)
        with monkeypatch.context() as patch:
            patch.setattr("niicache_builder.case.read_voxels", never)
            again = build0(source, target, on_error="skip")
        assert not again.changed
        assert stamps(target) == before
    expected = opened(target).keys()
    assert ("a", bad[0].name.removesuffix(".nii.gz")) not in expected
    # Mended ones are taken in.
    for path in bad:
        broken_crc(path)
        older(path)
    assert build0(source, target, on_error="skip").manifest.skipped == ()
    assert not (target / "skipped.csv").exists()
    whole(target)
    build0(source, tmp_path / "fresh")
    assert same(opened(target), opened(tmp_path / "fresh"))


def test_a_bad_case_at_the_end_of_its_class(tmp_path: Path) -> None:
    """Its slot is vacant, and the arrays end before it."""
    source = masks(tmp_path / "s", {"a": 5}, shape=DEEP)
    build0(source, tmp_path / "good")
    *_, last = open_cache(tmp_path / "good")["a"].slot_names
    broken_crc(source / "a" / "images" / f"{last}.nii.gz")
    built = build0(source, tmp_path / "c", on_error="skip")
    assert [(e.cases, e.slots) for e in built.manifest.classes] == [(4, 4)]
    whole(tmp_path / "c")
    assert not build0(source, tmp_path / "c", on_error="skip").changed


def test_skip_of_every_case_of_a_class(tmp_path: Path) -> None:
    source = masks(tmp_path / "s", {"a": 2, "b": 1}, shape=DEEP)
    broken_crc(source / "b" / "images" / "case000.nii.gz")
    built = build0(source, tmp_path / "c", on_error="skip")
    assert [e.name for e in built.manifest.classes] == ["a"]
    whole(tmp_path / "c")
    assert not build0(source, tmp_path / "c", on_error="skip").changed
    shutil.rmtree(source / "a")
    with pytest.raises(SourceError):
        build0(source, tmp_path / "d", on_error="skip")


def test_a_problem_of_the_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = masks(tmp_path / "s", {"a": 4})
    from niicache_builder.case import read_voxels

    def refuse(path: Path) -> Any:
        if path.name == "case002.nii.gz":
            raise NiftiError("unreadable", "Input/output error", "a readable file", "look")
        return read_voxels(path)

    with monkeypatch.context() as patch:
        patch.setattr("niicache_builder.case.read_voxels", refuse)
        assert len(build0(source, tmp_path / "c", on_error="skip").manifest.skipped) == 1
    assert build0(source, tmp_path / "c", on_error="skip").manifest.skipped == ()
    whole(tmp_path / "c")


def test_a_case_that_failed_for_the_recipe_gets_another_chance(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 4})
    write(source / "a" / "bright.nii", np.full((5, 4, 3), 300, "int16"))
    built = build0(source, tmp_path / "c", dtype="uint8", on_error="skip")
    assert [s.code for s in built.manifest.skipped] == ["dtype-loses"]
    assert build0(source, tmp_path / "c", on_error="skip").manifest.skipped == ()


def test_a_source_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = masks(tmp_path / "s", {"a": 2})
    module = sys.modules["niicache_builder.build"]
    scan_source = module.scan_source

    def scan_then_change(*arguments: Any) -> Any:
        found = scan_source(*arguments)
        write(source / "a" / "images" / "case001.nii.gz", voxels(77, (6, 4, 6)))
        return found

    monkeypatch.setattr(module, "scan_source", scan_then_change)
    with pytest.raises(SourceError) as error:
        build0(source, tmp_path / "c")
    assert [(p.code, p.case) for p in error.value.problems] == [("changed", "case001")]


# Targets.


def test_a_target_in_its_source_or_around_it(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2})
    (tmp_path / "link").symlink_to(source)
    for target in (source, source / "cache", source / "a" / "c", tmp_path, tmp_path / "link" / "c"):
        before = stamps(tmp_path)
        with pytest.raises(OptionError, match="apart from the source"):
            build0(source, target)
        with pytest.raises(OptionError, match="apart from the source"):
            plan_build(source, target, BuildOptions())
        assert stamps(tmp_path) == before


@pytest.mark.parametrize("names", [("notes.txt",), (".build/cache.o",), (".git/x", ".lock")])
def test_a_folder_with_other_things_is_not_touched(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = folders(tmp_path / "s", {"a": 2})
    for name in names:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    (tmp_path / "mine" / "README.txt").write_text("mine")
    before = stamps(tmp_path / "mine")
    with pytest.raises(NotACacheError, match="holds other things"):
        build0(source, tmp_path / "mine")
    assert stamps(tmp_path / "mine") == before


def test_a_cache_of_other_cases_is_not_replaced(tmp_path: Path) -> None:
    cache = tmp_path / "c"
    build0(folders(tmp_path / "s", {"a": 5}), cache)
    other = folders(tmp_path / "t", {"b": 2})
    before = stamps(cache)
    message = r"a/case002 and 2 more\), .*b/case000, b/case001\)"
    for action in (build, plan_build):
        with pytest.raises(CacheError, match=message):
            action(other, cache, BuildOptions(workers=0))
    assert stamps(cache) == before
    # One case in common is enough.
    write(other / "a" / "case004.nii.gz", voxels(0, (5, 4, 3)))
    build0(other, cache)
    assert [view.name for view in open_cache(cache)] == ["a", "b"]


def test_a_cache_whose_names_are_damaged_is_mended(started: tuple[Path, Path]) -> None:
    source, cache = started
    for path in cache.glob("*/cases/name/c/0"):
        path.unlink()
    build0(source, cache)
    whole(cache)


def test_a_cache_that_lost_its_manifest_is_said_to_be_one(started: tuple[Path, Path]) -> None:
    source, cache = started
    (cache / "zarr.json").unlink()
    before = stamps(cache)
    with pytest.raises(NotACacheError, match=r"zarr\.json is gone.*delete the folder"):
        build0(source, cache)
    assert stamps(cache) == before


def test_a_file_is_no_target(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2})
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises((NotACacheError, DiskError)):
            build0(source, target)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_a_target(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2})
    (tmp_path / "c").mkdir()
    build0(source, tmp_path / "c")
    whole(tmp_path / "c")


def test_home_is_where_the_tilde_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders(tmp_path / "s", {"a": 2})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    build0(Path("~/s"), Path("~/c"))
    assert not (tmp_path / "~").exists()
    assert len(open_cache("~/c")) == 1


def test_a_damaged_manifest_is_not_overwritten(started: tuple[Path, Path]) -> None:
    source, cache = started
    raw = bytearray((cache / "zarr.json").read_bytes())
    raw[len(raw) // 2] ^= 1
    (cache / "zarr.json").write_bytes(raw)
    before = stamps(cache)
    with pytest.raises(Exception, match=r"digest does not hold|not the root"):
        build0(source, cache)
    assert stamps(cache) == before


def test_a_held_target(started: tuple[Path, Path]) -> None:
    source, cache = started
    older(source / "a" / "images" / "case000.nii.gz")
    with hold(cache), pytest.raises(LockedError, match=f"process {os.getpid()} on "):
        build0(source, cache)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_too_small_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = masks(tmp_path / "s", {"a": 4})
    asked = []

    def usage(path: Path) -> Usage:
        asked.append(Path(path))
        return Usage(10**9, 10**9, 1000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(DiskError, match="1,000 bytes free") as error:
        build0(source, tmp_path / "c" / "deep")
    assert "Nothing was written" in str(error.value)
    assert asked == [tmp_path]
    assert not (tmp_path / "c").exists()


def test_a_full_disk_needs_no_room_where_there_is_nothing_to_do(
    started: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = started
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 0))
    assert not build0(source, cache).changed


def test_a_disk_that_refuses_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = masks(tmp_path / "s", {"a": 4})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskError, match="No space left on device"):
            build0(source, tmp_path / "c")
    build0(source, tmp_path / "c")
    whole(tmp_path / "c")
