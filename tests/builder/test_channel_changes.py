"""Caches of several files a case: rebuilt, held against their sources, repaired."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import zarr
from building import build0, copy, live, older, shards, stamps, voxels, write
from channel_layouts import LAYOUTS, SHAPES, Case, check
from helpers import flip_bit

from niicache import open_cache
from niicache.errors import SourceError
from niicache_builder import repair, verify


@pytest.fixture(autouse=True)
def _two_cases_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a file was read")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of two layouts, each with its source and its cache."""
    found = {}
    for layout in ("nnunet_v2", "table"):
        root = found[layout] = tmp_path_factory.mktemp(layout)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
            build0(LAYOUTS[layout](root / "s")[0], root / "c")
    return found


@pytest.fixture(params=["nnunet_v2", "table"])
def state(
    request: pytest.FixtureRequest, states: dict[str, Path], tmp_path: Path
) -> tuple[Path, Path, dict[Case, tuple[Path, ...]]]:
    """Return a copy of a source, its cache, and the files of each case."""
    copy(states[request.param], tmp_path / "w")
    where = tmp_path / "w" / "s"
    names = {
        "nnunet_v2": [f"imagesTr/{{}}_{c:04}.nii.gz" for c in (0, 1)],
        "table": ["t2/{}.nii.gz", "adc/{}.nii.gz"],
    }[request.param]
    truth = {("all", case): tuple(where / one.format(case) for one in names) for case in SHAPES}
    source = where / "cases.csv" if request.param == "table" else where
    return source, tmp_path / "w" / "c", truth


def rewritten(cache: Path, before: dict[str, Any]) -> set[str]:
    after = stamps(cache)
    return {path.split("/")[3] for path in shards(cache) if after[path] != before.get(path)}


def home(cache: Path, case: str) -> set[str]:
    return {str(list(open_cache(cache)["all"].slot_names).index(case) // 2)}


def test_one_changed_channel_costs_one_shard(
    state: tuple[Path, Path, dict[Case, tuple[Path, ...]]],
) -> None:
    source, cache, truth = state
    for channel, case in ((1, "p2"), (0, "p5")):
        before = stamps(cache)
        path = truth["all", case][channel]
        data = np.asanyarray(nib.load(path).dataobj)
        write(path, data + data.dtype.type(1))
        assert build0(source, cache).written == 1
        assert rewritten(cache, before) == home(cache, case)
    check(cache, truth)


def test_a_touched_channel_is_hashed_once_and_no_shard_written(
    state: tuple[Path, Path, dict[Case, tuple[Path, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache, truth = state
    older(truth["all", "p4"][1])
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    assert build0(source, cache).written == 0
    monkeypatch.setattr("niicache_builder.previous.hash_files", never)
    assert not build0(source, cache).changed


def test_channels_that_swapped_their_files_are_noticed(
    state: tuple[Path, Path, dict[Case, tuple[Path, ...]]],
) -> None:
    source, cache, truth = state
    one, other = truth["all", "p3"]
    names = [path.rename(path.with_name("kept-" + path.name)) for path in (one, other)]
    names[0].rename(other)
    names[1].rename(one)
    said = verify(cache, source=source).stale
    assert {(p.code, p.case, Path(p.path)) for p in said} == {
        ("source-changed", "p3", one),
        ("source-changed", "p3", other),
    }
    before = stamps(cache)
    assert build0(source, cache).written == 1
    assert rewritten(cache, before) == home(cache, "p3")
    check(cache, truth)


def test_columns_of_a_table_that_swapped_are_noticed_by_their_paths(tmp_path: Path) -> None:
    """The files have one size and one time: nothing but their paths tells."""
    source = tmp_path / "s" / "t.csv"
    for number, name in enumerate(("a.nii", "b.nii", "m.nii")):
        path = write(source.with_name(name), voxels(number, (4, 4, 5), "uint8"))
        os.utime(path, ns=(10**18, 10**18))
    source.write_text("image_a,image_b,label\na.nii,b.nii,m.nii\n")
    build0(source, tmp_path / "c", spatial_dims=3)
    before = open_cache(tmp_path / "c")["all"]["a"].image
    # Links, because a case is called after its first image.
    source.with_name("x").mkdir()
    for name, other in (("a", "b"), ("b", "a")):
        os.link(source.with_name(f"{other}.nii"), source.with_name("x") / f"{name}.nii")
    source.write_text("image_a,image_b,label\nx/a.nii,x/b.nii,m.nii\n")
    assert build0(source, tmp_path / "c", spatial_dims=3).written == 1
    after = open_cache(tmp_path / "c")["all"]["a"].image
    np.testing.assert_array_equal(after, before[..., ::-1])


def test_a_channel_of_other_content_and_the_same_time_is_stale(
    state: tuple[Path, Path, dict[Case, tuple[Path, ...]]],
) -> None:
    source, cache, truth = state
    path = truth["all", "p1"][1]
    info = path.stat()
    data = bytearray(path.read_bytes())
    data[4] ^= 1  # the time in the gzip header
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    (problem,) = verify(cache, source=source).stale
    assert (problem.code, problem.case, problem.path) == ("source-changed", "p1", str(path))


@pytest.mark.parametrize(
    "damage",
    [
        ("all/image/c/0/0/0/0/0",),
        ("all/cases/image/c/0/0", "all/image/c/1/0/0/0/0"),
        ("all/cases/name/c/0", "all/cases/image_hash/c/0/0"),
        ("all/cases/slope/c/0/0", "all/cases/image/zarr.json"),
    ],
)
def test_what_is_damaged_is_written_again_from_all_files(
    states: dict[str, Path], tmp_path: Path, damage: tuple[str, ...]
) -> None:
    copy(states["nnunet_v2"], tmp_path / "w")
    source, cache = tmp_path / "w" / "s", tmp_path / "w" / "c"
    whole = live(cache)
    for path in damage:
        flip_bit(cache / path, 0.4)
    assert set(repair(cache, source, workers=0).mended) >= set(damage)
    assert live(cache) == whole
    assert verify(cache, source=source).problems == ()


def test_a_repair_refuses_a_case_that_lost_or_swapped_a_channel(
    states: dict[str, Path], tmp_path: Path
) -> None:
    copy(states["nnunet_v2"], tmp_path / "w")
    source, cache = tmp_path / "w" / "s", tmp_path / "w" / "c"
    flip_bit(cache / "all/image/c/0/0/0/0/0", 0.4)
    case = next(name for name in SHAPES if home(cache, name) == {"0"})
    lost = source / "imagesTr" / f"{case}_0001.nii.gz"
    kept = lost.read_bytes()
    lost.unlink()
    held = live(cache)
    with pytest.raises(SourceError, match="source-missing"):
        repair(cache, source, workers=0)
    lost.write_bytes((source / "imagesTr" / f"{case}_0000.nii.gz").read_bytes())
    with pytest.raises(SourceError, match="source-changed"):
        repair(cache, source, workers=0)
    assert live(cache) == held
    lost.write_bytes(kept)
    repair(cache, source, workers=0)
    assert verify(cache).problems == ()


def test_any_zarr_library_reads_the_columns(states: dict[str, Path]) -> None:
    cases = zarr.open_group(states["nnunet_v2"] / "c", mode="r")["all/cases"]
    for name in ("image", "image_size", "image_hash", "slope"):
        column = open_cache(states["nnunet_v2"] / "c")["all"].stored_column(name)
        assert cases[name].shape == (5, 2)
        assert cases[name].metadata.dimension_names == ("case", "file")
        np.testing.assert_array_equal(cases[name][...], column)


def test_a_second_channel_for_every_case_makes_the_cache_anew(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "c"
    for case in ("x", "y"):
        write(source / "imagesTr" / f"{case}_0000.nii.gz", voxels(1 + ord(case), (4, 5, 9)))
        write(source / "labelsTr" / f"{case}.nii.gz", voxels(2, (4, 5, 9), "uint8"))
    build0(source, target)
    assert open_cache(target).manifest.recipe.image_files == 1
    for case in ("x", "y"):
        write(source / "imagesTr" / f"{case}_0001.nii.gz", voxels(ord(case), (4, 5, 9)))
    assert build0(source, target).written
    cache = open_cache(target)
    assert cache.manifest.recipe.image_files == 2
    assert cache["all"]["x"].image.shape == (4, 5, 9, 2)
    assert verify(target, source=source).problems == ()
    assert not build0(source, target).changed
