"""What voxels and names make one doubt is told, in plan and result, and changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from building import build0, folders, live, masks, run, vectors, voxels, write

from niicache.errors import SourceError
from niicache_builder import BuildOptions, build, plan_build
from niicache_builder.report.warned import warning_lines

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.errors import Problem
    from niicache_builder import Built

SHAPE = (5, 4, 6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return masks(tmp_path / "s", {"a": 3, "b": 2})


def said(built: Built) -> set[tuple[str, str, str]]:
    """Return code, class and case of every warning, each of which says enough."""
    for warning in built.warnings:
        assert warning.got
        assert warning.expected
        assert warning.hint
    assert list(built.warnings) == sorted(built.warnings)
    return {(w.code, w.class_name, w.case) for w in built.warnings}


def image_of(source: Path, name: str = "a/images/case001") -> tuple[Path, np.ndarray[Any, Any]]:
    path = source / f"{name}.nii.gz"
    return path, np.asanyarray(nib.load(path).dataobj)


def mask(source: Path, values: Any, dtype: str = "float32") -> Path:
    """Replace the second mask of the first class; ``values`` go around in it."""
    path, old = image_of(source, "a/labels/case001")
    return write(path, np.resize(np.array(values, dtype), old.shape))


def test_a_sound_source_has_no_warning(source: Path, tmp_path: Path) -> None:
    assert said(build0(source, tmp_path / "c")) == set()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite(source: Path, tmp_path: Path, value: float) -> None:
    path, old = image_of(source)
    data = old.astype("float32")
    data[1, 2, 3] = value
    write(path, data)
    built = build0(source, tmp_path / "c")
    assert said(built) == {("image-nonfinite", "a", "case001")}
    (warning,) = built.warnings
    assert warning.path == str(path)
    assert warning.got.startswith("1 of ")


def test_an_image_of_one_value(source: Path, tmp_path: Path) -> None:
    path, old = image_of(source)
    write(path, np.full_like(old, 7))
    assert said(build0(source, tmp_path / "c")) == {("image-constant", "a", "case001")}


def test_an_image_of_one_voxel_is_not_called_constant(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "s" / "a" / f"{number}.nii", np.full((1, 1, 1), number, "int16"))
    assert said(build0(tmp_path / "s", tmp_path / "c")) == set()


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([0], "mask-empty"),
        ([0, 0.5, 1], "mask-values"),
        ([0, 1, -1], "mask-values"),
        (np.arange(1000) / 2, "mask-values"),
        ([0, 1, np.nan], "label-nonfinite"),
    ],
)
def test_masks_that_are_odd(source: Path, tmp_path: Path, values: Any, code: str) -> None:
    path = mask(source, values)
    if len(values) > 256:
        write(source / "a/images/case001.nii.gz", voxels(9, (11, 10, 6)))
        write(path, np.resize(np.array(values, "float32"), (11, 10, 6)))
    built = build0(source, tmp_path / "c")
    assert said(built) == {(code, "a", "case001")}
    assert built.warnings[0].path == str(path)


def test_a_mask_of_one_label_that_is_not_0_is_not_empty(source: Path, tmp_path: Path) -> None:
    mask(source, [1])
    assert said(build0(source, tmp_path / "c")) == set()


def test_a_mask_with_a_slope_is_told_before_and_after(source: Path, tmp_path: Path) -> None:
    path = mask(source, [0, 1, 2], "uint8")
    image = nib.load(path)
    header = image.header.copy()
    header.set_slope_inter(2, 1)
    raw = bytearray(nib.Nifti1Image(np.asanyarray(image.dataobj), None, header).to_bytes())
    raw[112:120] = np.array([2, 1], "float32").tobytes()
    path.unlink()
    path.with_name("case001.nii").write_bytes(raw)
    plan = plan_build(source, tmp_path / "c", BuildOptions(workers=0))
    assert [warning.code for warning in plan.warnings] == ["mask-scaled"]
    assert said(build0(source, tmp_path / "c")) == {("mask-scaled", "a", "case001")}


def test_a_vector_that_is_not_finite(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 2})
    write(source / "a" / "labels" / "case001.nii.gz", np.array([1, np.nan], "float32"))
    assert said(build0(source, tmp_path / "c")) == {("label-nonfinite", "a", "case001")}


def test_vectors_may_be_negative_fractions_and_zero(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 2})
    write(source / "a" / "labels" / "case000.nii.gz", np.array([-0.5, 0.25], "float32"))
    write(source / "a" / "labels" / "case001.nii.gz", np.zeros(2, "float32"))
    assert said(build0(source, tmp_path / "c")) == set()


def test_the_same_image_twice_and_in_two_classes(source: Path, tmp_path: Path) -> None:
    first = (source / "a/images/case000.nii.gz").read_bytes()
    for name in ("a/images/case007", "b/images/case008"):
        (source / f"{name}.nii.gz").write_bytes(first)
        label = source / f"{name.replace('images', 'labels')}.nii.gz"
        label.write_bytes((source / "a/labels/case000.nii.gz").read_bytes())
    with pytest.raises(SourceError) as caught:
        build(source, tmp_path / "c", BuildOptions(workers=0))
    assert [problem.code for problem in caught.value.problems] == ["image-in-two-classes"]
    assert "--on-duplicates warn" in str(caught.value)
    assert not (tmp_path / "c" / "zarr.json").exists()
    built = build0(source, tmp_path / "c")
    assert built.resumed == len(built.plan.units)
    assert said(built) == {
        ("image-twice", "a", "case007"),
        ("image-in-two-classes", "b", "case008"),
    }
    for warning in built.warnings:
        assert str(source / "a/images/case000.nii.gz") in warning.got


def anew(path: Path, number: int) -> list[Path]:
    """Write the voxels of a file into others: compressed anew, with another header, as floats."""
    data = np.asarray(nib.load(path).dataobj)
    affine = np.diag([9.0, 9.0, 9.0, 1.0])
    return [
        write(path.with_name(f"other{number}.nii"), data),
        write(path.with_name(f"other{number + 1}.nii.gz"), data, affine=affine),
        write(path.with_name(f"other{number + 2}.nii.gz"), data.astype("float32")),
    ]


@pytest.mark.parametrize("dtype", ["auto", "int16"])
def test_the_same_voxels_in_other_files(tmp_path: Path, dtype: str) -> None:
    source = folders(tmp_path / "s", {"a": 3, "b": 2})
    first = source / "a/case000.nii.gz"
    anew(first, 1)
    (source / "a/other1.nii").rename(source / "b/other1.nii")
    write(source / "a/turned.nii", np.asarray(nib.load(first).dataobj)[::-1].copy())
    with pytest.raises(SourceError) as caught:
        build0(source, tmp_path / "c", dtype=dtype, on_duplicates="stop")
    assert [(one.code, one.case) for one in caught.value.problems] == [
        ("image-in-two-classes", "other1")
    ]
    built = build0(source, tmp_path / "c", dtype=dtype)
    copies = [one for one in built.warnings if one.code.startswith("image-")]
    assert {(one.code, one.class_name, one.case) for one in copies} == {
        ("image-in-two-classes", "b", "other1"),
        ("image-twice", "a", "other2"),
        ("image-twice", "a", "other3"),
    }
    assert all(one.got.startswith(f"the voxels of {first} (class a, case") for one in copies)
    # What was built before is compared with what is added.
    write(source / "b/added.nii", np.asarray(nib.load(first).dataobj))
    added = build0(source, tmp_path / "c", dtype=dtype)
    assert (added.written, len(added.plan.units)) == (1, 2)
    assert ("image-in-two-classes", "b", "added") in said(added)


def test_copies_are_found_by_their_files_where_old_shards_tell_no_voxels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folders(tmp_path / "s", {"a": 3, "b": 2})
    with monkeypatch.context() as patch:
        patch.setattr("niicache_builder.plan.later_columns", lambda *_: ("qform_code",))
        build0(source, tmp_path / "c")
    (source / "b/copy.nii.gz").write_bytes((source / "a/case000.nii.gz").read_bytes())
    anew(source / "a/case001.nii.gz", 1)[0].rename(source / "b/anew.nii")
    (source / "a/other2.nii.gz").unlink()
    (source / "a/other3.nii.gz").unlink()
    built = build0(source, tmp_path / "c")
    assert "voxels_crc" not in built.manifest.columns
    assert said(built) == {("image-in-two-classes", "b", "copy")}
    again = build0(source, tmp_path / "other")
    assert said(again) == {("image-in-two-classes", "b", name) for name in ("copy", "anew")}


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (-1, -1, -1), (1, 1, -1), (-1, -1, 1)])
@pytest.mark.parametrize("shape", [(20, 19, 18), (20, 19), (1, 19, 1)])
def test_copies_are_found_however_they_lie(
    tmp_path: Path, signs: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    source = tmp_path / "s"
    flip = tuple(slice(None, None, sign) for sign in signs[: len(shape)])
    for number in range(3):
        data = np.random.default_rng(number).normal(size=shape).astype("float32")
        write(source / f"a/{number}.nii", data, affine=np.diag([1.5, 2.0, 2.5, 1.0]))
        turned = np.diag([*(s * e for s, e in zip(signs, (1.5, 2.0, 2.5), strict=True)), 1.0])
        write(source / f"b/{number}.nii", data[flip].copy(), affine=turned)
    found = {
        one
        for one in said(build0(source, tmp_path / "c", orient="RAS", spatial_dims=3))
        if "image-" in one[0]
    }
    assert found == {("image-in-two-classes", "b", str(number)) for number in range(3)}


@pytest.mark.parametrize("channels", [(), (2,)])
def test_copies_are_found_after_preparation_and_with_channels(
    tmp_path: Path, channels: tuple[int, ...]
) -> None:
    source = tmp_path / "s"
    for number in range(4):
        write(source / f"a/{number}.nii.gz", voxels(number, (5, 4, 6, *channels)))
    data = np.asarray(nib.load(source / "a/2.nii.gz").dataobj)
    turned = np.diag([-1.5, 2.0, 2.5, 1.0])
    write(source / "b/turned.nii.gz", data[::-1], affine=turned)
    write(source / "b/same.nii", data)
    built = build0(source, tmp_path / "c", orient="RAS")
    assert {one for one in said(built) if one[0].startswith("image-")} == {
        ("image-in-two-classes", "b", "same"),
        ("image-in-two-classes", "b", "turned"),
    }


def test_images_of_one_value_are_no_copies(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2, "b": 2})
    for number, name in enumerate("ab"):
        path = write(source / f"{name}/blank.nii", np.zeros((5, 4, 3), "int16"))
        with path.open("r+b") as file:
            file.seek(148)  # descrip
            file.write(bytes([65 + number]))
    assert {code for code, *_ in said(build0(source, tmp_path / "c"))} == {"image-constant"}


def test_names_that_differ_by_case_only(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2, "b": 1})
    write(source / "a" / "CASE001.nii", voxels(77, (5, 4, 3)))
    write(source / "b" / "CASE001.nii", voxels(78, (5, 4, 3)))
    assert said(build0(source, tmp_path / "c")) == {("name-case", "a", "case001")}


def test_integers_that_scaling_takes_beyond_the_type_are_refused(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2})
    path = source / "a" / "case001.nii.gz"
    data = np.full((5, 4, 3), 30_000, "int16")
    raw = bytearray(nib.Nifti1Image(data, np.eye(4)).to_bytes())
    raw[112:120] = np.array([2, 0], "float32").tobytes()
    path.unlink()
    path.with_name("case001.nii").write_bytes(raw)
    with pytest.raises(SourceError, match=r"dtype-loses.*60000"):
        build0(source, tmp_path / "c", dtype="int16")
    assert build0(source, tmp_path / "c").plan.recipe.image.dtype == "float32"


def test_a_rebuild_warns_of_cases_that_it_does_not_read_again(source: Path, tmp_path: Path) -> None:
    path, old = image_of(source)
    write(path, np.full_like(old, 7))
    mask(source, [0], "uint8")
    first = said(build0(source, tmp_path / "c"))
    assert {code for code, *_ in first} == {"image-constant", "mask-empty"}
    before = live(tmp_path / "c")
    built = build0(source, tmp_path / "c")
    assert not built.changed
    assert said(built) == first
    assert live(tmp_path / "c") == before


def test_warnings_are_in_the_report_and_leave_the_exit_code_alone(
    source: Path, tmp_path: Path
) -> None:
    mask(source, [0], "uint8")
    _, old = image_of(source)
    for number in range(2):
        write(source / "b" / "images" / f"case00{number}.nii.gz", np.full_like(old[:5], number))
        write(source / "b" / "labels" / f"case00{number}.nii.gz", np.ones(SHAPE, "uint8"))
    result = run("build", source, tmp_path / "c", "--workers", "0", "--json")
    assert result.returncode == 0
    found = json.loads(result.stdout)["warnings"]
    assert {(one["code"], one["case"]) for one in found} == {
        ("mask-empty", "case001"),
        ("image-constant", "case000"),
        ("image-constant", "case001"),
    }
    text = run("build", source, tmp_path / "c", "--workers", "0").stdout
    (line,) = [line for line in text.splitlines() if "[image-constant]" in line]
    assert line.startswith(f"warning: {source / 'b/images/case000.nii.gz'}: ")
    assert line.endswith(" (and 1 more file)")


def test_warnings_of_headers_are_told_before_the_voxels_are_read(
    source: Path, tmp_path: Path
) -> None:
    path, _ = image_of(source)
    raw = bytearray(nib.load(path).to_bytes())
    raw[72:74] = b"\3\0"  # bitpix
    path.unlink()
    path.with_name("case001.nii").write_bytes(raw)
    result = run("build", source, tmp_path / "c", "--dry-run", "--json")
    assert result.returncode == 0
    (warning,) = json.loads(result.stdout)["warnings"]
    assert (warning["code"], warning["got"]) == ("header-field", "bitpix 3")
    assert "[header-field]" in run("build", source, tmp_path / "c", "--dry-run").stdout
    assert "[header-field]" in run("build", source, tmp_path / "c", "--workers", "0").stderr


def test_a_case_that_is_skipped_has_no_warning(source: Path, tmp_path: Path) -> None:
    path, old = image_of(source)
    raw = bytearray(nib.Nifti1Image(old, None).to_bytes())
    raw[72:74] = b"\3\0"
    path.unlink()
    plain = path.with_name("case001.nii")
    plain.write_bytes(raw)
    mask(source, [0, 1], "uint8")
    (source / "a/labels/case001.nii.gz").write_bytes(b"")
    built = build0(source, tmp_path / "c", on_error="skip")
    assert [entry.code for entry in built.manifest.skipped] == ["empty-file"]
    assert said(built) == set()


def test_no_warning_makes_no_line() -> None:
    nothing: list[Problem] = []
    assert warning_lines(nothing) == []
