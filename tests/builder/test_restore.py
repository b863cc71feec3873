"""Predictions as images on the grid of their source, read back by nibabel."""

from __future__ import annotations

import json
import sys

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import make_cache
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from niicache import open_cache
from niicache.errors import NoMemoryError, OptionError
from niicache_builder import restore
from niicache_builder.cli.main import main

CODES = [
    (a, b, c)
    for a in "LRPASI"
    for b in "LRPASI"
    for c in "LRPASI"
    if {("LR".find(x) >= 0) + 2 * ("PA".find(x) >= 0) + 4 * ("SI".find(x) >= 0) for x in (a, b, c)}
    == {1, 2, 4}
]
SHAPE = (7, 5, 6)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """Return a cache of one image in each of the 48 orientations, and the source."""
    root = tmp_path_factory.mktemp("turned")
    spacing = np.array([[1.0, 0.2, 0, -9], [0, 2.0, 0.1, 4], [0.1, 0, 3.0, 7], [0, 0, 0, 1]])
    rng = np.random.default_rng(0)
    for codes in CODES:
        shape = tuple(rng.permutation(SHAPE).tolist())
        affine = spacing @ inv_ornt_aff(axcodes2ornt(codes), shape)
        image = nibabel.Nifti1Image(rng.integers(-99, 99, shape, np.int16), affine)
        file = root / "source" / "head" / f"{''.join(codes)}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, file)
    return root / "source", make_cache(root / "source", root / "cache", shape=(9, 12, 8))


def test_there_are_48_orientations():
    assert len(CODES) == 48


def test_there_and_back_nothing_has_changed(turned):
    source, target = turned
    cache = open_cache(target)
    for name in cache["head"].cases:
        original = nibabel.load(source / "head" / f"{name}.nii.gz")
        back = restore(cache, ("head", name), cache["head"][name].image)
        np.testing.assert_array_equal(np.asanyarray(back.dataobj), np.asanyarray(original.dataobj))
        np.testing.assert_allclose(back.affine, original.affine, rtol=1e-6, atol=1e-6)
        assert nibabel.aff2axcodes(back.affine) == nibabel.aff2axcodes(original.affine)
        assert back.get_data_dtype() == np.int16
        assert back.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (2, 4), (4, 3), (5, 5)])
def test_forms_keep_the_codes_of_the_source(codes, tmp_path):
    affine = np.diag([-2.0, 1.5, 3, 1])
    # Where no code is set a reader takes nothing of an affine but its lengths.
    affine[:3, 3] = [7, 8, 9] if any(codes) else [2 * 1.5, -1.5 * 2, -3 * 2.5]
    image = nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), affine)
    image.set_sform(affine, codes[0], update_affine=False)
    image.set_qform(affine, codes[1], update_affine=False)
    (tmp_path / "s" / "a").mkdir(parents=True)
    image.to_filename(tmp_path / "s" / "a" / "c.nii")
    cache = open_cache(make_cache(tmp_path / "s", tmp_path / "c", orient="LAI"))
    made = restore(cache, ("a", "c"), cache["a"]["c"].image)
    made.to_filename(tmp_path / "back.nii")
    for back in (made, nibabel.load(tmp_path / "back.nii")):
        assert tuple(int(back.header[f"{form}_code"]) for form in ("sform", "qform")) == codes
        original = nibabel.load(tmp_path / "s" / "a" / "c.nii")
        np.testing.assert_array_equal(back.affine, original.affine)
        np.testing.assert_array_equal(back.dataobj, original.dataobj)
        if any(codes):
            np.testing.assert_allclose(back.header.get_sform(), affine)
            np.testing.assert_allclose(back.header.get_qform(), affine, atol=1e-6)


def test_where_forms_differ_the_one_that_was_used_stands_in_both(tmp_path):
    sform, qform = np.diag([1.0, 1, 2, 1]), np.diag([1.0, 1, 2, 1])
    qform[0, 3] = 50
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), sform)
    image.set_sform(sform, 4, update_affine=False)
    image.set_qform(qform, 1, update_affine=False)
    (tmp_path / "s" / "a").mkdir(parents=True)
    image.to_filename(tmp_path / "s" / "a" / "c.nii")
    cache = make_cache(tmp_path / "s", tmp_path / "c")
    back = restore(cache, ("a", "c"), np.zeros((4, 5, 6)))
    for form, code in (("sform", 4), ("qform", 1)):
        np.testing.assert_allclose(getattr(back, f"get_{form}")(), sform)
        assert int(back.header[f"{form}_code"]) == code


def test_an_affine_that_only_a_form_can_tell_gets_one(tmp_path):
    path = tmp_path / "s" / "a" / "c.nii"
    path.parent.mkdir(parents=True)
    nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), None).to_filename(path)
    data = bytearray(path.read_bytes())
    data[80:92] = np.full(3, np.nan, "<f4").tobytes()  # pixdim
    data[252:256] = bytes(4)  # the codes
    path.write_bytes(data)
    cache = open_cache(make_cache(tmp_path / "s", tmp_path / "c"))
    back = restore(cache, ("a", "c"), np.zeros((4, 5, 6)))
    assert (int(back.header["sform_code"]), int(back.header["qform_code"])) == (2, 0)
    back.to_filename(tmp_path / "back.nii")
    affine = nibabel.load(tmp_path / "back.nii").affine
    np.testing.assert_array_equal(affine, cache["a"].column("affine")[0])


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("bool", "uint8"), ("uint8", "uint8"), ("float16", "float32"), ("float64", "float64")],
)
def test_a_mask_or_scores_of_several_labels(turned, dtype, stored):
    cache = open_cache(turned[1])
    rng = np.random.default_rng(0)
    scores = (rng.random((9, 12, 8, 3)) * 2).astype(dtype)
    name = cache["head"].cases[5]
    shape = tuple(cache["head"].column("source_shape")[5, :3].tolist())
    many = restore(cache, ("head", name), scores)
    one = restore(cache, ("head", name), scores[..., 1])
    assert many.shape == (*shape, 3)
    assert one.shape == shape
    assert one.get_data_dtype() == stored
    np.testing.assert_array_equal(np.asanyarray(many.dataobj)[..., 1], np.asanyarray(one.dataobj))


def test_planes_keep_their_channels_behind_three_axes(vector_cache):
    cache = open_cache(vector_cache)
    name, case = cache.cases[0]
    image = cache[name][case].image
    back = restore(cache, (name, case), image)
    shape = cache[name].column("source_shape")[0].tolist()
    assert back.shape == (*shape[:2], 1, 3)


def test_by_the_command_line_as_by_the_function(turned, tmp_path):
    cache = open_cache(turned[1])
    voxels = cache["head"]["RAS"].image
    np.save(tmp_path / "pred.npy", voxels)
    for name in ("out.nii", "out.nii.gz"):
        words = [str(turned[1]), str(tmp_path / "pred.npy"), str(tmp_path / name)]
        done = CliRunner().invoke(main, ["restore", *words, "--case", "head/RAS", "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["dtype"] == "int16"
        want = restore(cache, ("head", "RAS"), voxels)
        got = nibabel.load(tmp_path / name)
        np.testing.assert_array_equal(np.asanyarray(got.dataobj), np.asanyarray(want.dataobj))
        np.testing.assert_array_equal(got.affine, want.affine)
        first = (tmp_path / name).read_bytes()
        CliRunner().invoke(main, ["restore", *words, "--case", "head/RAS"])
        assert (tmp_path / name).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.nii", "out.nii.gz", "pred.npy"]


def saved(folder, what):
    path = folder / "bad.npy"
    if what == "text":
        path.write_text("no array")
    elif what == "pickle":
        np.save(path, np.array([{}], object), allow_pickle=True)
    elif what == "npz":
        with path.open("wb") as file:
            np.savez(file, a=np.zeros(3))
    elif what == "shape":
        np.save(path, np.zeros((9, 12, 9)))
    elif what == "sound":
        np.save(path, np.zeros((9, 12, 8)))
    elif what == "complex":
        np.save(path, np.zeros((9, 12, 8), complex))
    return path


@pytest.mark.parametrize(
    ("what", "case", "target", "text"),
    [
        ("text", "head/RAS", "o.nii", "expected an array that numpy.save wrote"),
        ("pickle", "head/RAS", "o.nii", "expected an array that numpy.save wrote"),
        ("npz", "head/RAS", "o.nii", "several arrays"),
        ("missing", "head/RAS", "o.nii", "No such file"),
        ("shape", "head/RAS", "o.nii", "got shape (9, 12, 9), expected (9, 12, 8)"),
        ("complex", "head/RAS", "o.nii", "got complex128"),
        ("shape", "head", "o.nii", "expected CLASS/CASE"),
        ("sound", "tail/RAS", "o.nii", "got class 'tail'"),
        ("shape", "head/RAS", "o.png", "expected one that ends with .nii or .nii.gz"),
        ("sound", "head/XYZ", "o.nii", "has no case 'XYZ', expected one such as"),
    ],
)
def test_what_cannot_be_restored_is_refused(turned, tmp_path, what, case, target, text):
    words = [str(turned[1]), str(saved(tmp_path, what)), str(tmp_path / target)]
    done = CliRunner().invoke(main, ["restore", *words, "--case", case])
    assert done.exit_code == 2
    assert text in " ".join(done.output.split())
    assert not (tmp_path / target).exists()


def test_a_folder_that_is_not_there_is_told(turned, tmp_path):
    voxels = open_cache(turned[1])["head"]["RAS"].image
    np.save(tmp_path / "pred.npy", voxels)
    words = [str(turned[1]), str(tmp_path / "pred.npy"), str(tmp_path / "no" / "o.nii")]
    done = CliRunner().invoke(main, ["restore", *words, "--case", "head/RAS"])
    assert done.exit_code != 0
    assert "cannot be written: No such file" in " ".join(done.output.split())


def test_nothing_is_written_into_the_cache(turned, tmp_path):
    target = turned[1] / "head" / "o.nii"
    words = [str(turned[1]), str(saved(tmp_path, "sound")), str(target)]
    done = CliRunner().invoke(main, ["restore", *words, "--case", "head/RAS"])
    assert done.exit_code == 2
    assert not target.exists()


def test_a_grid_that_no_memory_holds_is_refused(turned, monkeypatch):
    monkeypatch.setattr(sys.modules["niicache_builder.restore"], "memory_bytes", lambda: 1000)
    with pytest.raises(NoMemoryError, match="got 'RAS' on a grid of"):
        restore(turned[1], ("head", "RAS"), np.zeros((9, 12, 8)))


def test_a_path_and_a_list_will_do(turned):
    image = restore(turned[1], ("head", "RAS"), np.zeros((9, 12, 8)).tolist())
    assert image.get_data_dtype() == np.float64


def test_no_such_case(turned):
    cache = open_cache(turned[1])
    for case, text in ((("head", "XYZ"), "has no case 'XYZ'"), ("head", "expected")):
        with pytest.raises(OptionError, match=text):
            restore(cache, case, np.zeros((9, 12, 8)))


def test_a_source_is_not_overwritten(tmp_path):
    source = tmp_path / "source" / "a"
    source.mkdir(parents=True)
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    nibabel.save(image, source / "x.nii.gz")
    before = (source / "x.nii.gz").read_bytes()
    cache = make_cache(tmp_path / "source", tmp_path / "cache")
    np.save(tmp_path / "p.npy", np.zeros((3, 4, 5), np.uint8))
    words = ["restore", str(cache), str(tmp_path / "p.npy")]
    refused = CliRunner().invoke(main, [*words, str(source / "x.nii.gz"), "--case", "a/x"])
    assert refused.exit_code == 2
    assert "got the name of a source of the cache" in refused.output
    assert (source / "x.nii.gz").read_bytes() == before
    for _ in range(2):  # any other file may be replaced
        done = CliRunner().invoke(main, [*words, str(tmp_path / "x.nii.gz"), "--case", "a/x"])
        assert done.exit_code == 0, done.output
