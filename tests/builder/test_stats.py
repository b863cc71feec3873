"""Statistics of a cache; numpy on nibabel's reading of the sources is the judge."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from building import build0, shards, vectors, write

from niicache.cache import open_cache
from niicache.errors import DamageError
from niicache_builder import stats
from niicache_builder.report.statistics import stats_text


def read(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def with_channels(data: np.ndarray, axes: int) -> np.ndarray:
    return data if data.ndim > axes else data[..., None]


@pytest.mark.parametrize("kind", ["vector", "mask", "folder", "volume"])
def test_equal_to_numpy(kind: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(f"{kind}_source")
    target = request.getfixturevalue(f"{kind}_cache")
    found = stats(target)
    recipe = open_cache(target).manifest.recipe
    assert (found.dtype, found.shape) == (recipe.image.dtype, recipe.image.shape)
    assert found.label_kind == {"volume": "mask"}.get(kind, kind)
    assert found.skipped == 0
    total = 0
    for one in found.classes:
        folder = source / one.name
        folder = folder if kind == "folder" else folder / "images"
        files = [nib.load(path) for path in sorted(folder.iterdir())]
        axes = 3 if kind == "volume" else 2
        images = [with_channels(read(Path(f.get_filename())), axes) for f in files]
        total += len(images)
        assert one.cases == len(images)
        shapes = np.array([image.shape for image in images])
        assert one.shape_min == tuple(shapes.min(0))
        assert one.shape_max == tuple(shapes.max(0))
        spacing = np.array([nib.affines.voxel_sizes(f.affine)[:axes] for f in files])
        assert one.spacing_min == pytest.approx(tuple(spacing.min(0)))
        assert one.spacing_max == pytest.approx(tuple(spacing.max(0)))
        every = np.concatenate([image.ravel() for image in images]).astype("float64")
        assert one.minimum == every.min()
        assert one.maximum == every.max()
        assert one.mean == pytest.approx(every.mean())
        assert len(one.channels) == images[0].shape[-1]
        for channel, alone in enumerate(one.channels):
            voxels = [image[..., channel].ravel().astype("float64") for image in images]
            whole = np.concatenate(voxels)
            low, high = (np.median([np.percentile(v, q) for v in voxels]) for q in (0.5, 99.5))
            assert (alone.minimum, alone.maximum, alone.nonfinite) == (whole.min(), whole.max(), 0)
            assert alone.mean == pytest.approx(whole.mean())
            assert (alone.low, alone.high) == pytest.approx((low, high))
        ends = [
            [
                np.percentile(image[..., c].astype("float64"), q)
                for image in images
                for c in channels
            ]
            for q in (0.5, 99.5)
            for channels in [range(images[0].shape[-1])]
        ]
        assert one.low == pytest.approx(np.median(ends[0]))
        assert one.high == pytest.approx(np.median(ends[1]))
        assert one.nonfinite == 0
        if found.label_kind == "mask":
            masks = [read(path) for path in sorted((source / one.name / "labels").iterdir())]
            counts = Counter(np.concatenate([mask.ravel() for mask in masks]).tolist())
            assert one.labels == {str(value): counts[value] for value in sorted(counts)}
        else:
            assert kind == "vector" or one.labels == {}
        sizes = [
            (target / p).stat().st_size for p in shards(target) if p.startswith(one.name + "/")
        ]
        assert one.disk_bytes == sum(sizes)
        per_case = np.prod(recipe.image.shape) * np.dtype(recipe.image.dtype).itemsize
        if recipe.label is not None:
            per_case += np.prod(recipe.label.shape) * np.dtype(recipe.label.dtype).itemsize
        assert one.decoded_bytes == per_case * len(images)
        assert one.ratio == one.decoded_bytes / one.disk_bytes
    assert [one.share for one in found.classes] == [one.cases / total for one in found.classes]


def test_nan_and_infinity(tmp_path: Path) -> None:
    images = [np.arange(40, dtype="float32").reshape(8, 5), np.zeros((3, 3), "float32")]
    images[0][2, :3] = np.nan, np.inf, -np.inf
    for i, image in enumerate(images):
        write(tmp_path / "s" / "a" / f"{i}.nii", image)
    build0(tmp_path / "s", tmp_path / "c")
    (one,) = stats(tmp_path / "c").classes
    finite = np.concatenate([image[np.isfinite(image)] for image in images])
    assert one.nonfinite == 3
    assert (one.minimum, one.maximum) == (finite.min(), finite.max())
    assert one.mean == pytest.approx(float(finite.mean()))


def test_a_case_without_a_finite_voxel_counts_for_nothing(tmp_path: Path) -> None:
    image = np.arange(5, 65, dtype="float32").reshape(6, 10)
    for name, voxels in {"x": image, "y": np.full((6, 10), np.nan, "float32")}.items():
        write(tmp_path / "s" / "a" / f"{name}.nii", voxels)
    write(tmp_path / "s" / "b" / "z.nii", np.full((6, 10), np.inf, "float32"))
    build0(tmp_path / "s", tmp_path / "c")
    one, none = stats(tmp_path / "c").classes
    assert (one.minimum, one.maximum, one.mean, one.nonfinite) == (5, 64, image.mean(), 60)
    assert (one.low, one.high) == tuple(np.percentile(image, [0.5, 99.5]))
    assert np.isnan([none.minimum, none.maximum, none.mean, none.low, none.high]).all()
    column = open_cache(tmp_path / "c")["a"].column("minimum")
    assert np.array_equal(column, [[5], [np.nan]], equal_nan=True)
    found = stats(tmp_path / "c")
    value: Any = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (value["classes"][0]["minimum"], value["classes"][1]["minimum"]) == (5, None)
    text = stats_text(found)
    assert "5 .. 64, 60 not finite" in text
    assert "none of 60 finite" in text


def test_a_channel_is_told_by_itself(tmp_path: Path) -> None:
    image = np.stack([np.arange(60.0), np.full(60, np.nan), np.arange(60.0) * 1000], axis=-1)
    image = image.reshape(6, 10, 1, 3).astype("float32")
    image[0, 0, 0, 2] = np.inf
    write(tmp_path / "s" / "a" / "x.nii", image)
    build0(tmp_path / "s", tmp_path / "c", spatial_dims=2)
    found = stats(tmp_path / "c")
    (one,) = found.classes
    first, none, last = one.channels
    assert (first.maximum, last.minimum, last.maximum) == (59, 1000, 59000)
    assert (first.nonfinite, none.nonfinite, last.nonfinite, one.nonfinite) == (0, 60, 1, 61)
    assert np.isnan(none.mean)
    assert (one.minimum, one.maximum) == (0, 59000)
    value: Any = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [of["mean"] is None for of in value["classes"][0]["channels"]] == [False, True, False]
    text = stats_text(found)
    for number, told in enumerate(("0 .. 59", "none of 60 finite", "1000 .. 59000, 1 not finite")):
        assert any(f"│ {number} " in line and told in line for line in text.splitlines()), text


def test_vectors_of_measures_are_told_by_their_range(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 2, "b": 12})
    build0(source, tmp_path / "c")
    text = stats_text(stats(tmp_path / "c"))
    assert "12 values, 0 .. 11" in text
    assert "0: 75.0%, 1: 25.0%" in text


def test_label_values_that_look_alike(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 6), "int16")
    mask = np.full((4, 4, 6), 614454277, "int32")
    mask[0] += 1
    write(tmp_path / "s" / "a" / "images" / "x.nii", image)
    write(tmp_path / "s" / "a" / "labels" / "x.nii", mask)
    build0(tmp_path / "s", tmp_path / "c")
    assert stats(tmp_path / "c").classes[0].labels == {"614454277": 72, "614454278": 24}


def test_json(mask_cache: Path) -> None:
    value: Any = json.loads(json.dumps(stats(mask_cache).to_json(), allow_nan=False))
    assert value["schema"] == "niicache.stats/1"
    assert [c["name"] for c in value["classes"]] == ["left", "right"]
    assert value["classes"][0]["ratio"] > 1


def test_no_voxel_is_read(mask_cache: Path, copy_of: Any) -> None:
    cache = copy_of(mask_cache)
    for path in shards(cache):
        (cache / path).unlink()
    assert stats(cache).classes == stats(mask_cache).classes


def test_a_damaged_column(mask_cache: Path, copy_of: Any) -> None:
    cache = copy_of(mask_cache)
    path = cache / "left" / "cases" / "mean" / "c" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamageError, match="left/cases/mean"):
        stats(cache)


def test_splits_are_counted(vector_source: Path, tmp_path: Path) -> None:
    source = shutil.copytree(vector_source, tmp_path / "source")
    build0(source, tmp_path / "cache", split={"train": 0.7, "val": 0.3})
    for half in ("images", "labels"):  # a slot becomes vacant
        next((source / "axial" / half).glob("case_003*")).unlink()
    build0(source, tmp_path / "cache", split={"train": 0.7, "val": 0.3})
    cache = open_cache(tmp_path / "cache")
    assert "" in cache["axial"].slot_names
    found = stats(tmp_path / "cache")
    for name in ("train", "val"):
        counted = Counter(owner for owner, _ in cache.split(name))
        assert found.splits[name] == {owner: counted[owner] for owner in cache.classes}
    assert f"split val: {len(cache.split('val'))} cases (axial " in stats_text(found)
    assert found.to_json()["splits"] == found.splits
