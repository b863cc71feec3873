import inspect
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from niicache import augment
from niicache.montage import GAP

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from baseline import Baseline, epoch_order, list_cases, pad_centred  # noqa: E402 - needs the path
from benchmarks.cases import Cases, check_way  # noqa: E402 - as above
from benchmarks.way import Way  # noqa: E402 - as above
from gallery import COLUMNS, SHOWN, TITLE  # noqa: E402 - as above
from mni_slices import load_head, slices, write_slices  # noqa: E402 - as above
from synthetic import write_cases  # noqa: E402 - as above

# Scales and functions change no picture; what Keras has of its own is in image_data_generator.
UNSEEN = {"Compose", "Lambda", "ZScore", "MinMax", "Percentile", "Window", "Rescale", "Clip"}
UNSEEN |= {"KerasAffine", "KerasBrightness", "KerasChannelShift", "KerasStandardise"}


@pytest.fixture(scope="module")
def head():
    return load_head()


@pytest.fixture(scope="module")
def cuts(head):
    return list(slices(head))


@pytest.fixture(scope="module")
def written(head, tmp_path_factory):
    """Return the folder that the slices were written to."""
    folder = tmp_path_factory.mktemp("slices")
    write_slices(head, folder)
    return folder


def test_a_slice_holds_the_voxels_that_the_volume_has_at_the_same_place_in_the_world(head, cuts):
    to_voxel = np.linalg.inv(head.affine)
    rng = np.random.default_rng(0)
    for cut in cuts:
        places = rng.integers(0, cut.image.shape, (20, 2))
        homogeneous = np.column_stack([places, np.zeros(20), np.ones(20)])
        voxels = np.rint(homogeneous @ (to_voxel @ cut.affine).T)[:, :3].astype(int)
        here, there = tuple(places.T), tuple(voxels.T)
        np.testing.assert_array_equal(cut.image[here], head.image[there])
        np.testing.assert_array_equal(cut.mask[here], head.mask[there])


def test_the_cut_head_lies_where_nilearns_volume_lies(head):
    import nilearn

    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    volume = nibabel.load(folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    offset = np.linalg.inv(volume.affine) @ head.affine[:, 3]
    start = np.rint(offset[:3]).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, head.image.shape, strict=True))
    whole = np.asanyarray(volume.dataobj)
    np.testing.assert_array_equal(whole[box], head.image)
    assert np.count_nonzero(whole) == np.count_nonzero(head.image)


def test_masks_name_three_tissues_and_follow_the_image(cuts):
    for cut in cuts:
        assert cut.mask.shape == cut.image.shape
        assert set(np.unique(cut.mask)) == {0, 1, 2}
        brain = cut.mask > 0
        assert cut.image[brain].mean() > 4 * cut.image[~brain].mean()


def test_no_validation_slice_is_near_a_training_slice_and_classes_are_unequal(cuts):
    counts = []
    for plane in ("axial", "coronal", "sagittal"):
        of = {p: [c for c in cuts if (c.plane, c.part) == (plane, p)] for p in ("train", "val")}
        gaps = [abs(t.affine[:3, 3] - v.affine[:3, 3]).max() for t, v in product(*of.values())]
        assert min(gaps) == 3.0  # mm
        counts.append({part: len(members) for part, members in of.items()})
        assert counts[-1]["val"] >= 10
    assert len({count["train"] for count in counts}) == 3
    assert all(c.affine[0, 3] <= 0 for c in cuts if c.plane == "sagittal")


def test_slices_are_written_as_they_are(cuts, written):
    for cut in cuts:
        folder = written / cut.part / cut.plane
        name = f"{cut.plane}_{cut.index:03}.nii.gz"
        for kind, voxels in (("images", cut.image), ("labels", cut.mask)):
            file = nibabel.load(folder / kind / name)
            assert file.get_data_dtype() == voxels.dtype
            assert file.header.get_xyzt_units()[0] == "mm"
            assert file.header.get_zooms() == (1.0, 1.0)
            np.testing.assert_array_equal(np.asanyarray(file.dataobj), voxels)
            np.testing.assert_allclose(file.affine, cut.affine)
    assert len(list(written.glob("*/*/images/*"))) == len(cuts)


@given(count=st.integers(1, 50), draws=st.integers(1, 200), seed=st.integers(0, 9))
def test_an_epoch_shows_every_case_before_any_again(count, draws, seed):
    order = epoch_order(count, draws, seed=seed)
    assert len(order) == draws
    for start in range(0, draws, count):
        cycle = order[start : start + count]
        assert len(set(cycle)) == len(cycle)
        assert set(cycle) <= set(range(count))


def test_45_is_padded_to_64_with_9_before_and_10_after():
    padded = pad_centred(np.ones((45, 45, 3)), (64, 64))
    assert padded.shape == (64, 64, 3)
    assert np.flatnonzero(padded[:, 32, 0]).tolist() == list(range(9, 54))


def test_the_baseline_reads_what_nibabel_reads_in_equal_shares(tmp_path):
    write_cases(tmp_path, {"a": 5, "b": 2})
    by_file = Baseline(tmp_path, shape=(64, 64), labels="file", per_class=3)
    by_folder = Baseline(tmp_path, shape=(64, 64), labels="folder", per_class=3)
    assert len(by_file) == len(by_folder) == 2
    truth = {}
    for index, members in enumerate(list_cases(tmp_path, labels="file")):
        for case in members:
            image = np.asanyarray(nibabel.load(case.image).dataobj)
            padded = np.pad(image, [(9, 10), (9, 10), (0, 0)])
            truth[padded.tobytes()] = index, np.asanyarray(nibabel.load(case.label).dataobj)
    seen = set()
    for step in range(2):
        images, vectors = by_file[step]
        same, one_hot = by_folder[step]
        assert images.dtype == same.dtype == vectors.dtype == one_hot.dtype == np.float32
        np.testing.assert_array_equal(images, same)
        for image, vector, row in zip(images, vectors, one_hot, strict=True):
            key = image.astype(np.int16).tobytes()
            index, label = truth[key]
            np.testing.assert_array_equal(vector, label)
            np.testing.assert_array_equal(row, np.eye(2)[index])
            seen.add(key)
        assert one_hot.sum(axis=0).tolist() == [3, 3]
    assert seen == set(truth)
    with pytest.raises(IndexError):
        by_file[2]


def test_the_baseline_pads_masks_like_images(written):
    images, masks = Baseline(written / "val", shape=(192, 192), labels="file", per_class=2)[0]
    assert images.shape == masks.shape == (6, 192, 192, 1)
    assert set(np.unique(masks)) == {0, 1, 2}
    assert (images[masks > 0] > 0).mean() > 0.99


@pytest.fixture(scope="module")
def bench():
    """Return what the bench says with every workload, tiny."""
    words = ["--all", "--cold", "--cases-scale", "0.02", "--rounds", "1", "--epochs", "1", "--json"]
    done = subprocess.run(
        [sys.executable, SCRIPTS / "bench.py", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_bench_runs_every_workload_and_its_sums_are_right(bench):
    assert bench["machine"]["cpus"] == os.cpu_count()
    assert set(bench["workloads"]) == {
        "small", "volumes", "fit", "augment", "affine", "plane", "medical", "windows",
        "build", "verify", "index",
    }  # fmt: skip
    for table in bench["workloads"].values():
        assert table["rows"]
        medians = {row["way"]: row["median"] for row in table["rows"]}
        assert len(medians) == len(table["rows"])
        for row in table["rows"]:
            assert 0 < row["minimum"] <= row["median"] <= row["maximum"]


def test_the_small_cases_are_timed_beside_the_baseline_and_every_peer_that_is_there(bench):
    small = bench["workloads"]["small"]
    assert small["facts"] == {"cases": {"a": 12, "b": 5, "c": 2, "d": 1}, "batch": 128, "steps": 1}
    medians = {row["way"]: row["median"] for row in small["rows"]}
    assert {f"{kind}, {when}" for kind in ("niicache", "niicache none")
            for when in ("epoch 0", "windows only", "in budget")} < set(medians)  # fmt: skip
    assert {"baseline", "RAM index", "zarr-python", "TensorStore", "baseline, cold"} < set(medians)
    for row in small["rows"]:
        assert row["ratios"]["baseline"] == pytest.approx(row["median"] / medians["baseline"])
        assert row["ratios"]["RAM"] == pytest.approx(row["median"] / medians["RAM index"])


def test_a_peer_that_is_not_installed_is_named_with_the_reason(bench):
    small = bench["workloads"]["small"]
    timed = {row["way"] for row in small["rows"]}
    peers = {
        "nnU-Net's blosc2 files": ("blosc2",),
        "Grain, ArrayRecord": ("grain", "array_record"),
        "MONAI CacheDataset": ("monai", "torch"),
    }
    for way, needs in peers.items():
        absent = [module for module in needs if find_spec(module) is None]
        assert (way in timed) == (not absent)
        if absent:
            reason = small["skipped"][way]
            assert reason == f"{', '.join(absent)} not installed; scripts/bench --peers has it"


def test_augmentation_is_timed_beside_the_baseline_and_the_peers_that_are_there(bench):
    rows = {
        name: {row["way"]: row for row in table["rows"]}
        for name, table in bench["workloads"].items()
    }
    ours = rows["augment"]["niicache, image_data_generator"]
    old = rows["augment"]["baseline, augmented"]
    assert ours["ratios"]["augmented"] == pytest.approx(ours["median"] / old["median"])
    assert "scipy affine_transform, order 1" in rows["affine"]
    for workload, way, needs in (
        ("affine", "MONAI RandAffined", ("monai",)),
        ("affine", "batchgeneratorsv2 SpatialTransform", ("batchgeneratorsv2",)),
        ("plane", "OpenCV, float32", ("cv2",)),
        ("medical", "nnU-Net, read and augmented", ("torch", "blosc2", "batchgeneratorsv2")),
        ("windows", "nnU-Net's blosc2 reader", ("blosc2",)),
    ):
        absent = {module for module in needs if find_spec(module) is None}
        assert (way in rows[workload]) == (not absent)
        assert absent <= set(bench["workloads"][workload]["skipped"])


def test_times_are_compared_the_other_way_round_than_rates(bench):
    rows = {row["way"]: row for row in bench["workloads"]["build"]["rows"]}
    ours, loop = (rows[f"volumes: {way}"] for way in ("niicache build", "obvious loop"))
    assert ours["ratios"]["loop"] == pytest.approx(loop["median"] / ours["median"])


def test_a_way_that_delivers_something_else_is_not_timed():
    class Wrong(Way):
        def __init__(self, images, labels):
            super().__init__("wrong")
            self.batch = images, labels

        def open(self, number, epochs):  # noqa: ARG002 - one batch
            return iter([self.batch])

    rng = np.random.default_rng(0)
    images = rng.integers(0, 9, (2, 3, 4, 4, 1)).astype(np.int16)
    labels = rng.random((2, 3, 2), np.float32)
    cases = Cases(
        source=ROOT, cache=ROOT, uncompressed=ROOT, names=("a", "b"), images=tuple(images),
        labels=tuple(labels), per_class=1, steps=1, threads=1,
    )  # fmt: skip
    right = images[:, 0].astype(np.float32), labels[:, 0]
    check_way(Wrong(*right), cases)
    with pytest.raises(AssertionError, match="an image that is no case"):
        check_way(Wrong(right[0] + 0.25, right[1]), cases)
    with pytest.raises(AssertionError, match="a wrong label"):
        check_way(Wrong(right[0], right[1][::-1]), cases)
    with pytest.raises(AssertionError, match="shares"):
        check_way(Wrong(images[0, :2].astype(np.float32), labels[0, :2]), cases)
    with pytest.raises(AssertionError, match="not"):
        check_way(Wrong(images[:, 0], labels[:, 0]), cases)


def test_the_gallery_has_a_tile_for_every_transform(tmp_path):
    target = tmp_path / "gallery.png"
    subprocess.run([sys.executable, SCRIPTS / "gallery.py", target], cwd=ROOT, check=True)
    picture = np.asarray(Image.open(target))
    titles = " ".join(SHOWN)
    for name in augment.__all__:
        kind = getattr(augment, name)
        own = isinstance(kind, type) and issubclass(
            kind, augment.Transform | augment.BatchTransform
        )
        abstract = inspect.isabstract(kind) or name in UNSEEN
        assert not own or abstract or name in titles, name
    rows = -(-len(SHOWN) // COLUMNS)
    height, width = (picture.shape[0] + GAP) // rows, (picture.shape[1] + GAP) // COLUMNS
    for number in range(len(SHOWN)):
        row, column = divmod(number, COLUMNS)
        tile = picture[row * height :, column * width :][: height - GAP, : width - GAP]
        assert tile[TITLE:].std() > 20


@pytest.mark.parametrize("script", ["test", "demo", "bench", "wheel", "gallery", "soak"])
def test_scripts_refuse_an_old_python_by_name(script, tmp_path):
    old = tmp_path / "old-python"
    code = "import sys; sys.version_info = (3, 10, 9); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$2\"\n")
    old.chmod(0o755)
    before = set(ROOT.glob(".venv*"))
    done = subprocess.run(
        [SCRIPTS / script],
        env={**os.environ, "PYTHON": str(old)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"'{old}' is Python 3.10, niicache needs 3.11 or newer" in done.stderr
    assert set(ROOT.glob(".venv*")) == before
