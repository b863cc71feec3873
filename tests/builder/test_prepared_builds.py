"""Builds that prepare: what may be asked for, what is planned, done again, mended and restored."""

from __future__ import annotations

import json
import shutil
import sys

import nibabel
import numpy as np
import pytest
from breaks.resealing import Draft, lay
from building import build0, copy, live, masks, shards, stamps, vectors
from click.testing import CliRunner
from prepared import put, source_image, turned_source, voxels_of

from niicache import open_cache
from niicache.errors import FormatError, NoMemoryError, OptionError, SourceError
from niicache.format.facts import CODES, CROPPED, NONZERO, VOXELS_CRC
from niicache_builder import BuildOptions, plan_build, repair, restore, verify
from niicache_builder.cli.main import main
from niicache_builder.record import load_result
from niicache_builder.report.plan import plan_text

WORDS = ("RAS", "LPS", "PIR", "SAL")
HOW = {"orient": "RAS", "spacing": (1.2, 1.2, 1.2), "crop": "foreground", "patch": (4, 4, 4)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared") / "source"
    return turned_source(root, WORDS, shape=(12, 10, 8), margin=2)


@pytest.fixture(scope="module")
def cache_path(source, tmp_path_factory):
    target = tmp_path_factory.mktemp("prepared") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
        build0(source, target, **HOW)
    return target


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"orient": "RAL"}, "orient: got 'RAL', expected one of L and R, one of P and A"),
        ({"orient": "ras"}, "orient: got 'ras'"),
        ({"spacing": (1, 0, 1)}, "spacing: got (1, 0, 1), expected lengths above 0 in mm"),
        ({"spacing": (1, float("nan"), 1)}, "spacing: got"),
        ({"spacing": (1, 1, 1, 1)}, "expected 2 or 3 numbers, one a spatial axis"),
        ({"spacing": ("1", 1, 1)}, "lengths above 0 in mm"),
        ({"spacing": (1, 1, 1), "interpolation": "nearest"}, "expected one of linear, cubic"),
        ({"interpolation": "cubic"}, "expected no value without spacing"),
        ({"crop": "all"}, "crop: got 'all', expected foreground"),
    ],
)
def test_what_may_not_be_asked_for(options, text):
    with pytest.raises(OptionError) as caught:
        BuildOptions(**options)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"orient": "RAS"}, "orient: got RAS, expected none, because images have 2 spatial axes"),
        ({"spacing": (1, 1, 1)}, "spacing: got 3 numbers, expected 2"),
    ],
)
def test_planes_have_two_axes(options, text, vector_source, tmp_path):
    with pytest.raises(OptionError, match=text):
        plan_build(vector_source, tmp_path / "c", BuildOptions(**options))


@pytest.mark.usefixtures("small_shards")
def test_by_the_command_line_as_by_the_function(source, cache_path, tmp_path):
    words = [
        "--orient",
        "RAS",
        "--spacing",
        "1.2,1.2x1.2",
        "--crop",
        "foreground",
        "--patch",
        "4,4,4",
    ]
    told = ["build", str(source), str(tmp_path / "c"), *words, "--workers", "0"]
    done = CliRunner().invoke(main, told)
    assert done.exit_code == 0, done.output
    assert live(tmp_path / "c") == live(cache_path)
    assert "orient RAS: 3 of 4 cases are turned" in done.output
    bad = CliRunner().invoke(main, [*told[:3], "--spacing", "1,one,1"])
    assert bad.exit_code == 2
    assert "expected lengths in mm such as 1,1,1" in " ".join(bad.output.split())


def test_the_plan_tells_what_is_done_and_knows_the_shapes(source, tmp_path):
    options = BuildOptions(orient="RAS", spacing=(1.1, 1.4, 2.2))
    plan = plan_build(source, tmp_path / "c", options)
    text = plan_text(plan)
    assert "orient   RAS: 3 of 4 cases are turned" in text
    assert "spacing  1.1x1.4x2.2 mm, linear: 4 of 4 cases are resampled" in text
    built = build0(source, tmp_path / "c", orient="RAS", spacing=(1.1, 1.4, 2.2))
    view = open_cache(tmp_path / "c")["head"]
    largest = np.max([view.box(name).shape for name in view.cases], axis=0)
    assert plan.recipe == built.manifest.recipe
    assert plan.recipe.image.shape[:-1] == tuple(largest)


def test_a_case_that_does_not_fit_is_named_by_what_it_becomes(source, tmp_path):
    options = {"orient": "RAS", "spacing": (0.5, 0.5, 0.5), "shape": (20, 60, 60)}
    with pytest.raises(SourceError) as caught:
        build0(source, tmp_path / "c", **options)
    assert {one.code for one in caught.value.problems} == {"does-not-fit"}
    assert "prepared from" in caught.value.problems[0].got
    assert not (tmp_path / "c" / "zarr.json").exists()


def test_how_much_a_crop_leaves_decides_about_the_shape_that_was_asked_for(source, tmp_path):
    # Without their margin cases are of 8, 6 and 4 voxels in some order.
    whole = build0(source, tmp_path / "a", crop="foreground")
    assert whole.manifest.recipe.image.shape[:-1] == (12, 12, 10)
    fits = build0(source, tmp_path / "b", crop="foreground", shape=(8, 8, 8))
    assert fits.manifest.classes[0].cases == 4
    some = build0(source, tmp_path / "c", crop="foreground", shape=(7, 8, 8), on_error="skip")
    out = {entry.case: (entry.code, entry.got) for entry in some.manifest.skipped}
    view = open_cache(tmp_path / "b")["head"]
    tall = {name for name in view.cases if view.grid(name).crop.shape[0] == 8}
    assert set(out) == tall != set()
    assert {code for code, _ in out.values()} == {"does-not-fit"}
    assert all("when it is prepared" in got for _, got in out.values())


def test_an_affine_of_metres_asks_for_more_than_there_is(tmp_path):
    masks(tmp_path / "s", {"a": 2})
    path = tmp_path / "s" / "a" / "images" / "case000.nii.gz"
    image = nibabel.load(path)
    mask = tmp_path / "s" / "a" / "labels" / "case000.nii.gz"
    for one in (path, mask):
        put(one, voxels_of(nibabel.load(one)), np.diag([1e6, 1e6, 1e6, 1]))
    assert image.shape == (5, 4, 6)
    with pytest.raises(SourceError) as caught:
        plan_build(tmp_path / "s", tmp_path / "c", BuildOptions(spacing=(1, 1, 1)))
    assert [(one.code, one.case) for one in caught.value.problems] == [("too-large", "case000")]


def test_what_takes_most_when_it_is_prepared_is_named(tmp_path, monkeypatch):
    for name, shape, length in (("small", (6, 6, 6), 9.0), ("large", (9, 9, 9), 1.0)):
        put(
            tmp_path / "s" / "a" / f"{name}.nii.gz",
            np.ones(shape, "int16"),
            np.diag([length] * 3 + [1]),
        )
    monkeypatch.setattr("niicache_builder.machine.memory_bytes", lambda: 10_000)
    with pytest.raises(NoMemoryError, match=r"such as .*small\.nii\.gz"):
        plan_build(tmp_path / "s", tmp_path / "c", BuildOptions(spacing=(1, 1, 1)))


@pytest.mark.usefixtures("small_shards")
def test_what_is_there_is_not_done_again_unless_it_is_to_be_another_way(
    source, cache_path, tmp_path
):
    target = copy(cache_path, tmp_path / "c")
    before = stamps(target)
    assert not build0(source, target, **HOW).changed
    assert stamps(target) == before
    again = build0(source, target, **{**HOW, "spacing": (1.2, 1.2, 1.3)})
    assert again.written == len(again.plan.units)
    dropped = build0(source, target, orient="RAS")
    said = next(one for one in dropped.warnings if one.code == "preparation-dropped")
    assert said.got == "no --spacing, --crop for a cache that was built with it"
    assert build0(source, target, **HOW).written == 2
    assert live(target) == live(cache_path)


def broken(target, what):
    if what == "everything":
        for path in (*shards(target), *(f"head/cases/{name}/c/0/0" for name in CROPPED)):
            (target / path).unlink()
    elif what == "columns":
        for name in (*CROPPED, *CODES):
            shutil.rmtree(target / "head" / "cases" / name)
    else:
        (target / what).write_bytes(b"nothing")


@pytest.mark.parametrize(
    "what", ["everything", "columns", "head/image/c/1/0/0/0/0", "head/label/c/0/0/0/0/0"]
)
def test_a_repair_gives_the_same_bytes(what, source, cache_path, tmp_path):
    target = copy(cache_path, tmp_path / "c")
    broken(target, what)
    assert verify(target).problems
    repair(target, source, workers=0)
    assert live(target) == live(cache_path)
    assert verify(target).problems == ()


@pytest.mark.parametrize(
    "options",
    [
        {"spacing": (3, 3, 3)},
        {"crop": "foreground", "shape": (8, 8, 8)},
        {"orient": "RAS", "shape": (12, 12, 12)},
    ],
    ids="-".join,
)
def test_a_repair_takes_sources_that_are_larger_than_what_is_stored(options, source, tmp_path):
    target = tmp_path / "c"
    build0(source, target, **options)
    whole = live(target)
    shard = next(path for path in (target / "head" / "image" / "c").rglob("*") if path.is_file())
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    repair(target, source, workers=0)
    assert live(target) == whole


def test_the_problems_of_a_source_go_before_options_that_do_not_fit(tmp_path):
    (tmp_path / "s" / "a").mkdir(parents=True)
    with pytest.raises(SourceError, match="empty-class"):
        plan_build(tmp_path / "s", tmp_path / "c", BuildOptions(orient="RAS"))


def test_the_way_back_undoes_all_of_it(source, cache_path):
    cache = open_cache(cache_path)
    for name in WORDS:
        original = source_image(source, name, "labels")
        back = restore(cache, ("head", name), cache["head"][name].label)
        np.testing.assert_array_equal(back.affine, original.affine)
        mask, want = voxels_of(back), voxels_of(original)
        assert mask.shape == want.shape
        assert not mask[want.shape[0] - 1].any()
        assert set(np.unique(mask)) <= {0, 1, 2}
        inside = cache["head"].grid(name).crop
        assert np.count_nonzero(mask) <= np.prod(inside.shape)
        ones = restore(
            cache, ("head", name), np.ones(cache.manifest.recipe.image.shape[:-1], "float32")
        )
        kept = voxels_of(source_image(source, name)) != 0
        np.testing.assert_array_equal(voxels_of(ones), kept.astype("float32"))


def test_records_of_an_older_builder_are_done_again(source, tmp_path, monkeypatch):
    home = sys.modules["niicache_builder.build"]
    monkeypatch.setattr(home, "assemble", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build0(source, tmp_path / "c")
    (path,) = (tmp_path / "c" / ".build").glob("?" * 64 + ".json")
    assert load_result(path).records[0].facts.sform_code == 1
    value = json.loads(path.read_text())
    for record in value["records"]:
        del record["facts"]["sform_code"]
    path.write_text(json.dumps(value))
    assert load_result(path) is None


def test_codes_are_columns_of_every_new_cache_and_boxes_of_cropped_ones(cache_path, vector_cache):
    assert open_cache(cache_path).manifest.columns == tuple(
        sorted((*CODES, *CROPPED, NONZERO, VOXELS_CRC))
    )
    cache = open_cache(vector_cache)
    assert cache.manifest.columns == tuple(sorted((*CODES, NONZERO, VOXELS_CRC)))
    assert set(CODES) <= set(cache.columns)
    assert not set(CROPPED) & set(cache.columns)
    with pytest.raises(OptionError, match="column: got 'crop_start'"):
        cache["axial"].column("crop_start")


def test_a_plan_expects_the_room_that_finer_voxels_take(tmp_path):
    turned_source(tmp_path / "s", ["RAS", "LPS"], shape=(24, 24, 24), spacing=(2.0, 2.0, 2.0))
    built = build0(tmp_path / "s", tmp_path / "c", spacing=(0.5, 0.5, 0.5))
    files = built.manifest.files.items()
    size = sum(entry.size for path, entry in files if "/image/c/" in path or "/label/c/" in path)
    sources = sum(path.stat().st_size for path in (tmp_path / "s").rglob("*.nii.gz"))
    assert 2 * sources + 2**16 < size <= built.plan.disk_bytes
    before = plan_build(tmp_path / "s", tmp_path / "d", BuildOptions(shape=(96, 96, 96)))
    assert built.plan.worker_bytes > before.worker_bytes


def test_facts_of_a_case_that_contradict_each_other_are_found(source, tmp_path):
    build0(source, tmp_path / "c", **HOW)
    draft = Draft(
        files={name: data for name, data in live(tmp_path / "c").items() if name != "zarr.json"},
        document=json.loads((tmp_path / "c" / "zarr.json").read_text()),
    )
    (tmp_path / "there").mkdir()
    assert verify(lay(draft, tmp_path / "there" / "same")).problems == ()
    stops = open_cache(tmp_path / "c")["head"].stored_column("crop_stop").copy()
    stops[2, 1] -= 3
    draft.fill("head/cases/crop_stop", stops.astype("<i8"))
    target = lay(draft, tmp_path / "there" / "other")
    (problem,) = verify(target).problems
    name = open_cache(target)["head"].slot_names[2]
    assert problem.code == "contradicts"
    assert problem.got.startswith(f"{name}: a valid box of")
    grid = open_cache(target).manifest.recipe.image.shape[:-1]
    with pytest.raises(FormatError, match=name):
        restore(target, ("head", name), np.zeros(grid))


def test_an_image_of_one_value_is_told_by_its_stored_voxels(tmp_path):
    # Of nine voxels only one is left, which cannot but have one value.
    image = np.zeros((3, 3, 3), np.int16)
    image[1, 1, 1] = 7
    put(tmp_path / "s" / "a" / "c.nii", image, np.eye(4))
    built = build0(tmp_path / "s", tmp_path / "c", crop="foreground", spatial_dims=3)
    assert built.warnings == ()


def test_vectors_of_volumes_can_be_cropped_and_repaired(tmp_path):
    vectors(tmp_path / "s", {"a": 3}, shape=(6, 5, 4))
    build0(tmp_path / "s", tmp_path / "c", spatial_dims=3, orient="LPS", crop="foreground")
    before = live(tmp_path / "c")
    (tmp_path / "c" / "a" / "cases" / "crop_stop" / "zarr.json").unlink()
    repair(tmp_path / "c", workers=0)
    assert live(tmp_path / "c") == before


def test_a_quick_look_reckons_no_grid_again(cache_path, monkeypatch):
    looked = []
    monkeypatch.setattr(
        "niicache_builder.contradictions.read_grid", lambda *given: looked.append(given)
    )
    assert verify(cache_path, quick=True).problems == ()
    assert looked == []
    verify(cache_path)
    assert len(looked) == len(WORDS)
