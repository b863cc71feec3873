"""Several files of one case as its channels: built, delivered in order, rebuilt, repaired."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
import zarr
from building import build0, copy, live, older, opened, same, shards, stamps, voxels, write
from helpers import flip_bit

from niicache import BalancedSequence, open_cache
from niicache.errors import SourceError
from niicache_builder import repair, stats, verify
from niicache_builder.report.statistics import stats_text

if TYPE_CHECKING:
    from collections.abc import Mapping

Case = tuple[str, str]
SHAPES = {"p1": (6, 5, 7), "p2": (7, 5, 7), "p3": (6, 4, 7), "p4": (7, 5, 6), "p5": (6, 5, 6)}


@pytest.fixture(autouse=True)
def _two_cases_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)


def put_case(name: str, images: tuple[Path, ...], label: Path) -> None:
    """Write channels that differ in values and in type, and a mask of the first."""
    number = int(name[1:])
    for channel, path in enumerate(images):
        dtype = ("int16", "uint8")[channel % 2]
        write(path, voxels(10 * number + channel, SHAPES[name], dtype))
    write(label, (voxels(10 * number, SHAPES[name]) % 3).astype("uint8"))


def nnunet(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    """Write the raw data of nnU-Net, without dataset.json."""
    found = {}
    for name in SHAPES:
        images = tuple(root / "imagesTr" / f"{name}_{c:04}.nii.gz" for c in (0, 1))
        put_case(name, images, root / "labelsTr" / f"{name}.nii.gz")
        found["all", name] = images
    return root, found


def nnunet_v2(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    document = {"channel_names": {"0": "T2", "1": "ADC"}, "file_ending": ".nii.gz"}
    root, found = nnunet(root)
    document |= {"numTraining": 5, "labels": {"background": 0, "PZ": 1, "TZ": 2}}
    (root / "dataset.json").write_text(json.dumps(document))
    return root, found


def nnunet_v1(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    root, found = nnunet(root)
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in SHAPES
    ]
    document = {"modality": {"0": "T2", "1": "ADC"}, "training": training, "numTraining": 5}
    (root / "dataset.json").write_text(json.dumps(document))
    return root, found


def nnunet_mapping(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    """Write files in folders of their own, which dataset.json lists: the second channel first."""
    found: dict[Case, tuple[Path, ...]] = {}
    listed = {}
    for name in SHAPES:
        paths = (root / "adc" / f"{name}.nii.gz", root / "t2" / f"{name}.nii.gz")
        put_case(name, paths, root / "masks" / f"{name}.nii.gz")
        found["all", name] = paths
        images = [path.relative_to(root).as_posix() for path in paths]
        listed[name] = {"images": images, "label": f"masks/{name}.nii.gz"}
    document = {"channel_names": {"0": "ADC", "1": "T2"}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps({**document, "dataset": listed}))
    return root, found


def decathlon(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    """Write one file of four axes a case."""
    found: dict[Case, tuple[Path, ...]] = {}
    for name, shape in SHAPES.items():
        path = write(root / "imagesTr" / f"{name}.nii.gz", voxels(int(name[1:]), (*shape, 2)))
        mask = np.asanyarray(nib.load(path).dataobj)[..., 0] % 3
        write(root / "labelsTr" / f"{name}.nii.gz", mask.astype("uint8"))
        (root / "imagesTr" / f"._{name}.nii.gz").write_bytes(b"of a Mac")
        found["all", name] = (path,)
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in SHAPES
    ]
    document = {"modality": {"0": "T2", "1": "ADC"}, "training": training, "tensorImageSize": "4D"}
    (root / "dataset.json").write_text(json.dumps(document))
    return root, found


def class_halves(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    found = {}
    for name in SHAPES:
        folder = root / ("ill" if name < "p3" else "well")
        images = tuple(folder / "images" / f"{name}_{c:04}.nii.gz" for c in (0, 1))
        put_case(name, images, folder / "labels" / f"{name}.nii.gz")
        found[folder.name, name] = images
    return root, found


def case_folders(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    found = {}
    for name in SHAPES:
        folder = root / ("ill" if name < "p3" else "well")
        images = tuple(folder / name / f"image_{c:04}.nii.gz" for c in (0, 1))
        put_case(name, images, folder / name / "label.nii.gz")
        found[folder.name, name] = images
    return root, found


def table(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    found: dict[Case, tuple[Path, ...]] = {}
    rows = ["image_t2,label,image_adc"]
    for name in SHAPES:
        paths = (root / "t2" / f"{name}.nii.gz", root / "adc" / f"{name}.nii.gz")
        put_case(name, paths, root / "m" / f"{name}.nii.gz")
        found["all", name] = paths
        rows.append(f"t2/{name}.nii.gz,m/{name}.nii.gz,adc/{name}.nii.gz")
    (root / "cases.csv").write_text("\n".join(rows) + "\n")
    return root / "cases.csv", found


LAYOUTS = {
    one.__name__: one
    for one in (
        *(nnunet, nnunet_v1, nnunet_v2, nnunet_mapping, decathlon),
        *(class_halves, case_folders, table),
    )
}


def read(paths: tuple[Path, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return nibabel's reading of the files of a case, stacked and padded by numpy."""
    files = [np.asanyarray(nib.load(path).dataobj) for path in paths]
    image = np.concatenate([one if one.ndim > 3 else one[..., None] for one in files], axis=-1)
    totals = [n - m for n, m in zip(shape, image.shape, strict=True)]
    return np.pad(image, [(total // 2, total - total // 2) for total in totals])


def check(cache: Path, truth: Mapping[Case, tuple[Path, ...]]) -> None:
    """Hold what a Sequence delivers, and the columns, against the files."""
    sequence = BalancedSequence(cache, 2 * len(open_cache(cache)), dtype="int16", seed=1)
    seen = set()
    for step in range(len(sequence)):
        images, _ = sequence.batch(0, step)
        for case, image in zip(sequence.cases(0, step), images, strict=True):
            np.testing.assert_array_equal(image, read(truth[case], image.shape))
            seen.add(case)
    assert seen == set(truth)
    for view in open_cache(cache):
        for row, name in enumerate(view.cases):
            paths = truth[view.name, name]
            held = view.column("image")[row]
            held = [held] if len(paths) == 1 else held.tolist()
            assert [Path(one).name for one in held] == [path.name for path in paths]
            sizes = np.atleast_1d(view.column("image_size")[row])
            assert sizes.tolist() == [path.stat().st_size for path in paths]
            image = read(paths, (*SHAPES[name], 2)).astype(float)
            np.testing.assert_allclose(view.column("mean")[row], image.mean((0, 1, 2)))


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a file was read")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_channels_in_order_and_is_built_once(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, truth = LAYOUTS[layout](tmp_path / "s")
    built = build0(source, tmp_path / "c")
    assert built.warnings == ()
    assert built.manifest.recipe.image_files == (1 if layout == "decathlon" else 2)
    check(tmp_path / "c", truth)
    assert verify(tmp_path / "c", source=source).problems == ()
    before = stamps(tmp_path / "c")
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    monkeypatch.setattr("niicache_builder.previous.hash_files", never)
    assert not build0(source, tmp_path / "c").changed
    assert stamps(tmp_path / "c") == before


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("nnunet_v2", ("T2", "ADC")),
        ("decathlon", ("T2", "ADC")),
        ("table", ("t2", "adc")),
        ("nnunet", ()),
    ],
)
def test_names_of_channels_are_kept_where_the_source_tells_them(
    tmp_path: Path, layout: str, names: tuple[str, ...]
) -> None:
    source, _ = LAYOUTS[layout](tmp_path / "s")
    build0(source, tmp_path / "c")
    cache = open_cache(tmp_path / "c")
    assert cache.channels == names
    assert stats(tmp_path / "c").to_json()["channels"] == names
    for text in (repr(cache), stats_text(stats(tmp_path / "c"))):
        assert (", ".join(names) in text) if names else ("channel " not in text)


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
    state: tuple[Path, Path, dict[Case, tuple[Path, ...]]], damage: tuple[str, ...]
) -> None:
    source, cache, _ = state
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


def test_slopes_are_applied_and_kept_a_file_each(tmp_path: Path) -> None:
    source, truth = nnunet(tmp_path / "s")
    path = truth["all", "p1"][1]
    image = nib.Nifti1Image(voxels(3, SHAPES["p1"]), np.diag([1.5, 2.0, 2.5, 1.0]))
    image.header.set_slope_inter(0.5, 3)
    image.to_filename(path)
    build0(source, tmp_path / "c")
    view = open_cache(tmp_path / "c")["all"]
    slope, inter = view.column("slope"), view.column("inter")
    assert slope.tolist() == [[1, nib.load(path).dataobj.slope], *[[1, 1]] * 4]
    assert inter.tolist() == [[0, nib.load(path).dataobj.inter], *[[0, 0]] * 4]
    start, stop = (view.column(f"box_{end}")[0] for end in ("start", "stop"))
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    np.testing.assert_allclose(view["p1"].image[box][..., 1], nib.load(path).get_fdata())


def test_a_build_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, truth = nnunet(tmp_path / "s")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["niicache_builder.build"], "assemble", never)
        with pytest.raises(AssertionError):
            build0(source, tmp_path / "c")
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    assert build0(source, tmp_path / "c").resumed == 3
    check(tmp_path / "c", truth)
    monkeypatch.undo()
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
    build0(source, tmp_path / "d")
    assert same(opened(tmp_path / "c"), opened(tmp_path / "d"))
