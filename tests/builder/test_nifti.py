"""Reading NIfTI: nibabel is the judge of what is right, flipped bits of what is refused."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import pickle
import shutil
import struct
import tracemalloc
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel import imageglobals

from niicache.errors import NiicacheError, Problem
from niicache_builder.nifti import (
    NiftiError,
    files_of,
    hash_files,
    read_header,
    read_voxels,
    stem,
)

NIBABEL = Path(nib.__file__).parent / "tests" / "data"
NILEARN = Path(nib.__file__).parent.parent / "nilearn" / "datasets" / "data"
REAL = sorted([*NIBABEL.glob("*.nii"), *NIBABEL.glob("*.nii.gz"), *NILEARN.glob("*.nii.gz")])
HALVES = [NIBABEL / "nifti1.hdr", NIBABEL / "nifti2.hdr"]
SLOW_DISK = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float32", "float64"]


def load(path: Path) -> Any:
    """Read as plain NIfTI, where nib.load would see CIFTI, by nibabel alone."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    two = raw[4:7] in {b"n+2", b"ni2"}
    if len(files_of(path)) > 1:
        return (nib.Nifti2Pair if two else nib.Nifti1Pair).from_filename(path)
    return (nib.Nifti2Image if two else nib.Nifti1Image).from_filename(path)


def agree(path: Path) -> None:
    """Hold a file that we read against nibabel's reading."""
    judge = load(path)
    header, voxels = read_header(path), read_voxels(path)
    raw = judge.dataobj.get_unscaled()
    assert voxels.header == header
    assert header.shape == judge.shape == voxels.data.shape
    assert header.dtype == raw.dtype.newbyteorder("=").name == voxels.data.dtype.name
    assert voxels.data.dtype.isnative
    assert voxels.data.flags.f_contiguous
    assert voxels.data.flags.writeable
    assert header.voxels_nbytes == voxels.data.nbytes
    np.testing.assert_array_equal(voxels.data, raw)
    scaled = voxels.data * header.slope + header.inter
    np.testing.assert_allclose(scaled, np.asanyarray(judge.dataobj), rtol=1e-6)
    np.testing.assert_allclose(header.affine, judge.affine, rtol=1e-12)
    np.testing.assert_allclose(header.spacing, nib.affines.voxel_sizes(judge.affine), rtol=1e-12)
    files = files_of(path)
    assert header.size == sum(file.stat().st_size for file in files)
    assert header.mtime_ns == sum(file.stat().st_mtime_ns for file in files)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert voxels.sha256 == hash_files(path) == digest


def refused(path: Path) -> NiftiError:
    """Return the error that both readings end in, as a problem that can be shown."""
    with pytest.raises(NiftiError) as error:
        read_voxels(path)
    problem = error.value.problem("a/b.nii", "cls", "case")
    assert isinstance(problem, Problem)
    assert (problem.code, problem.path, problem.class_name) == (error.value.kind, "a/b.nii", "cls")
    assert problem.got
    assert problem.expected
    assert problem.hint
    return error.value


def save(path: Path, data: np.ndarray, affine: Any = None, **fields: Any) -> Path:
    """Write with nibabel, then set header fields by name."""
    affine = np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine
    pair = len(files_of(path)) > 1
    (nib.Nifti1Pair if pair else nib.Nifti1Image)(data, affine).to_filename(path)
    return patch(path, **fields)


def patch(path: Path, **fields: Any) -> Path:
    head = files_of(path)[0]
    raw = head.read_bytes()
    raw = gzip.decompress(raw) if head.suffix == ".gz" else raw
    header = nib.Nifti1Header(raw[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    raw = header.binaryblock + raw[348:]
    head.write_bytes(gzip.compress(raw) if head.suffix == ".gz" else raw)
    return path


def ramp(*shape: int, dtype: str = "int16") -> np.ndarray:
    return (np.arange(np.prod(shape)) % 97).astype(dtype).reshape(shape)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_files_equal_nibabels_reading(path: Path) -> None:
    agree(path)


def test_the_real_files_are_all_there() -> None:
    assert len(REAL) >= 12
    assert {path.name for path in REAL} >= {"example4d.nii.gz", "row_major.dconn.nii"}


@pytest.mark.parametrize("path", HALVES, ids=lambda path: path.name)
def test_a_real_hdr_with_an_img_of_its_size(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    assert refused(tmp_path / path.name).kind == "unreadable"
    assert path.stem in refused(tmp_path / path.name).got
    header = nib.Nifti1Pair.header_class if "1" in path.stem else nib.Nifti2Pair.header_class
    offset = int(header(path.read_bytes()[: header.sizeof_hdr])["vox_offset"])
    voxels = np.random.default_rng(0).integers(0, 255, 91 * 109 * 91 * 2, np.uint8)
    (tmp_path / path.with_suffix(".img").name).write_bytes(bytes(offset) + voxels.tobytes())
    agree(tmp_path / path.name)


def test_analyze_is_named() -> None:
    assert refused(NIBABEL / "analyze.hdr").kind == "analyze-7.5"


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=7),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    version=st.sampled_from([1, 2]),
    name=st.sampled_from(["a.nii", "a.nii.gz", "a.hdr", "A.NII.GZ", "a.hdr.gz"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW_DISK)
def test_what_nibabel_writes_is_read_as_it_was(
    tmp_path: Path, shape: list[int], dtype: str, order: str, version: int, name: str, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    data = np.frombuffer(draw.bytes(np.prod(shape) * np.dtype(dtype).itemsize), dtype)
    data = np.nan_to_num(data).reshape(shape)
    affine = np.eye(4)
    affine[:3] = draw.normal(size=(3, 4))
    pair = ".hdr" in name
    kinds = [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair, nib.Nifti2Pair]
    kind = kinds[version - 1 + 2 * pair]
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    image = kind(data, affine, header)
    path = tmp_path / name
    image.to_filename(path)
    voxels = read_voxels(path)
    judge = kind.from_filename(path)
    assert voxels.header.shape == tuple(shape)
    assert voxels.header.dtype == dtype
    np.testing.assert_array_equal(voxels.data, data)
    np.testing.assert_allclose(voxels.header.affine, judge.affine, rtol=1e-12)
    assert read_header(path) == voxels.header
    assert voxels.header.warnings == ()


def test_scaling_is_told_and_not_applied(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", ramp(4, 5, 6), scl_slope=2.5, scl_inter=-7.0)
    agree(path)
    assert read_header(path).slope == 2.5
    assert read_header(path).inter == -7.0


@pytest.mark.parametrize(("slope", "odd"), [(0.0, 0), (np.nan, 1), (np.inf, 1), (-np.inf, 1)])
def test_a_slope_that_says_nothing(tmp_path: Path, slope: float, odd: int) -> None:
    path = save(tmp_path / "a.nii", ramp(4, 5, 6), scl_slope=slope, scl_inter=3.0)
    agree_unscaled = read_header(path)
    assert (agree_unscaled.slope, agree_unscaled.inter) == (1.0, 0.0)
    assert len(agree_unscaled.warnings) == odd
    np.testing.assert_array_equal(read_voxels(path).data, np.asanyarray(load(path).dataobj))


def test_an_intercept_that_is_not_finite_is_refused_as_nibabel_does(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(4, 5, 6), scl_slope=2.0, scl_inter=np.nan)
    with pytest.raises(nib.spatialimages.HeaderDataError):
        load(path)
    assert refused(path).kind == "bad-scaling"


def oblique() -> np.ndarray:
    affine = nib.affines.from_matvec(
        nib.eulerangles.euler2mat(0.1, 0.2, 0.3) * [2, 3, 4], [1, 2, 3]
    )
    return np.asarray(affine)


def test_sform_is_used_where_qform_differs(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(4, 5, 6), None)
    image.set_sform(oblique(), 1)
    image.set_qform(np.diag([2.0, 3.0, 4.0, 1.0]), 1)
    image.to_filename(tmp_path / "a.nii")
    agree(tmp_path / "a.nii")
    (warning,) = read_header(tmp_path / "a.nii").warnings
    assert warning.code == "forms-differ"
    assert "sform is used" in str(warning)
    image.set_qform(oblique(), 1)
    image.to_filename(tmp_path / "b.nii")
    assert read_header(tmp_path / "b.nii").warnings == ()


def test_qform_alone_and_no_form_at_all(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(4, 5, 6), None)
    image.set_qform(oblique(), 1)
    image.set_sform(None, 0)
    image.to_filename(tmp_path / "a.nii")
    agree(tmp_path / "a.nii")
    path = save(tmp_path / "b.nii", ramp(4, 5, 6), sform_code=0)
    agree(path)
    assert read_header(path).affine[0] == (-2.0, 0.0, 0.0, 3.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_an_unusable_sform_gives_way_to_the_qform(tmp_path: Path, bad: float) -> None:
    image = nib.Nifti1Image(ramp(4, 5, 6), None)
    image.set_sform(np.eye(4), 1)
    image.set_qform(oblique(), 1)
    image.to_filename(tmp_path / "a.nii")
    header = read_header(patch(tmp_path / "a.nii", srow_x=[bad] * 4))
    np.testing.assert_allclose(header.affine, image.get_qform(), rtol=1e-6)
    (warning,) = header.warnings
    assert warning.code == "affine"
    assert warning.got.startswith("sform that is ")


def test_no_usable_form_gives_the_affine_of_pixdim_and_then_the_identity(tmp_path: Path) -> None:
    row = [np.nan] * 4
    path = save(tmp_path / "a.nii", ramp(4, 5, 6), srow_y=row, quatern_b=5.0, qform_code=1)
    np.testing.assert_allclose(read_header(path).affine, load(path).header.get_base_affine())
    assert len(read_header(path).warnings) == 2
    header = read_header(patch(path, pixdim=[1, np.nan, 1, 1, 1, 1, 1, 1]))
    np.testing.assert_array_equal(header.affine, np.eye(4))
    assert header.spacing == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("unit", "mm"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001), (10, 1.0)])
def test_lengths_are_mm_whatever_the_unit(tmp_path: Path, unit: int, mm: float) -> None:
    header = read_header(save(tmp_path / "a.nii", ramp(4, 5, 6), xyzt_units=unit))
    np.testing.assert_allclose(header.spacing, np.array([2, 3, 4]) * mm)
    np.testing.assert_allclose(header.affine, np.diag([2 * mm, 3 * mm, 4 * mm, 1]))


def test_fields_that_nibabel_mends_are_warnings_and_its_logger_stays_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"sform_code": 77, "bitpix": 3, "xyzt_units": 7, "pixdim": [0, -2, 3, 4, 1, 1, 1, 1]}
    path = save(tmp_path / "a.nii", ramp(4, 5, 6), **fields)
    before = (imageglobals.logger.handlers[:], imageglobals.logger.level, imageglobals.error_level)
    with caplog.at_level(logging.DEBUG):
        odd = " ".join(map(str, read_header(path).warnings))
    assert all(name in odd for name in fields)
    assert not caplog.records
    assert capsys.readouterr().err == ""
    after = (imageglobals.logger.handlers, imageglobals.logger.level, imageglobals.error_level)
    assert before == after
    agree(path)


def test_text_of_the_header_never_leaves(tmp_path: Path) -> None:
    text = {"descrip": b"DOE^JOHN", "db_name": b"DOE^JOHN", "aux_file": b"DOE^JOHN"}
    path = save(tmp_path / "a.nii", ramp(4, 5, 6), sform_code=9, **text)
    assert "DOE" not in repr(read_header(path))
    assert "DOE" not in repr(read_voxels(path).header)
    for field, value in (("datatype", 128), ("vox_offset", 3), ("magic", b"DOE")):
        error = refused(patch(path, **{field: value}))
        assert "DOE" not in str(error)
        assert error.__context__ is None


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"datatype": 128}, "unsupported-dtype"),
        ({"datatype": 32}, "unsupported-dtype"),
        ({"datatype": 1536}, "unsupported-dtype"),
        ({"datatype": 3}, "unsupported-dtype"),
        ({"dim": [0, 4, 5, 6, 1, 1, 1, 1]}, "bad-dims"),
        ({"dim": [8, 4, 5, 6, 1, 1, 1, 1]}, "bad-dims"),
        ({"dim": [-3, 4, 5, 6, 1, 1, 1, 1]}, "bad-dims"),
        ({"dim": [3, 4, 0, 6, 1, 1, 1, 1]}, "bad-dims"),
        ({"dim": [3, -4, 5, 6, 1, 1, 1, 1]}, "bad-dims"),
        ({"dim": [7] + [32767] * 7}, "bad-dims"),
        ({"dim": [3, 4, 5, 7, 1, 1, 1, 1]}, "truncated"),
        ({"dim": [3, 4, 5, 5, 1, 1, 1, 1]}, "too-long"),
        ({"vox_offset": 0}, "bad-offset"),
        ({"vox_offset": 348}, "bad-offset"),
        ({"vox_offset": 352.5}, "bad-offset"),
        ({"vox_offset": np.nan}, "bad-offset"),
        ({"vox_offset": np.inf}, "bad-offset"),
        ({"vox_offset": 368}, "truncated"),
        ({"magic": b"ni1"}, "pair-mismatch"),
        ({"magic": b"xyz"}, "not-nifti"),
        ({"sizeof_hdr": 347}, "not-nifti"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_headers_that_are_refused(
    tmp_path: Path, fields: dict[str, Any], kind: str, name: str
) -> None:
    path = save(tmp_path / name, ramp(4, 5, 6), **fields)
    assert refused(path).kind == kind
    with pytest.raises(NiftiError, match=kind):
        read_header(path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.nii", b"", "empty-file"),
        ("a.nii.gz", b"", "empty-file"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "lfs-pointer"),
        ("a.nii.gz", b"\n<!DOCTYPE html><html></html>", "html-page"),
        ("a.nii", b"<html><body>Log in</body></html>", "html-page"),
        ("a.nii", gzip.compress(bytes(1000), mtime=0), "gzip-named-plain"),
        ("a.nii.gz", bytes(1000), "plain-named-gz"),
        ("a.nii", bytes(1000), "not-nifti"),
        ("a.nii", b"PK\x03\x04" + bytes(1000), "not-nifti"),
        ("a.nii", struct.pack("<i", 348) + bytes(100), "truncated"),
        ("a.nii.gz", gzip.compress(struct.pack("<i", 540) + bytes(400), mtime=0), "truncated"),
    ],
)
def test_files_that_are_no_nifti(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).kind == kind
    with pytest.raises(NiftiError, match=kind):
        read_header(tmp_path / name)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "folder.nii").mkdir()
    for name in ("pipe.nii", "folder.nii", "absent.nii", "zero\0byte.nii", "x" * 300 + ".nii"):
        assert refused(tmp_path / name).kind == "unreadable"
        with pytest.raises(NiftiError, match="unreadable"):
            hash_files(tmp_path / name)


def test_a_nifti2_copied_in_text_mode_is_named(tmp_path: Path) -> None:
    nib.Nifti2Image(ramp(4, 5, 6), np.eye(4)).to_filename(tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[8:12] = b"\n\x1a\n\0"
    (tmp_path / "a.nii").write_bytes(raw)
    assert "text mode" in refused(tmp_path / "a.nii").hint


def test_pairs_may_not_be_mixed_up(tmp_path: Path) -> None:
    save(tmp_path / "a.hdr", ramp(4, 5, 6))
    agree(tmp_path / "a.hdr")
    assert read_header(tmp_path / "a.img") == read_header(tmp_path / "a.hdr")
    (tmp_path / "a.img").write_bytes((tmp_path / "a.img").read_bytes()[:-1])
    assert refused(tmp_path / "a.hdr").kind == "truncated"
    (tmp_path / "a.img").write_bytes(b"")
    assert refused(tmp_path / "a.hdr").kind == "empty-file"
    single = save(tmp_path / "b.nii", ramp(4, 5, 6))
    single.rename(tmp_path / "b.hdr")
    (tmp_path / "b.img").write_bytes(bytes(240))
    assert refused(tmp_path / "b.hdr").kind == "pair-mismatch"


def test_a_hdr_is_hashed_and_checked_to_its_end(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(600_000 - 8)
    extension = b"\1\0\0\0" + struct.pack("<ii", 600_000, 6) + noise
    for name in ("a.hdr", "b.hdr.gz"):
        path = save(tmp_path / name, ramp(4, 5, 6))
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if name.endswith("gz") else raw
        whole = raw[:348] + extension
        path.write_bytes(gzip.compress(whole) if name.endswith("gz") else whole)
        agree(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    assert refused(path).kind == "gzip-damaged"


def test_a_gz_that_was_cut_off_is_found_with_the_header(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32767, (200, 200, 5), np.int16)
    path = save(tmp_path / "a.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:-50_000])
    with pytest.raises(NiftiError, match="truncated"):
        read_header(path)


def test_several_gzip_members_and_zero_padding_are_legal(tmp_path: Path) -> None:
    raw = (NIBABEL / "anatomical.nii").read_bytes()
    cuts = [0, 1, 300, 348, 700, len(raw)]
    parts = [gzip.compress(raw[a:b]) for a, b in pairwise(cuts)]
    path = tmp_path / "a.nii.gz"
    for content in (b"".join([*parts, gzip.compress(b"")]), b"".join(parts) + bytes(700)):
        path.write_bytes(content)
        np.testing.assert_array_equal(
            read_voxels(path).data, load(NIBABEL / "anatomical.nii").dataobj
        )
        assert read_header(path).shape == (33, 41, 25)


@pytest.mark.parametrize("extra", [b"x", b"\x1f", b"\x1f\x8b\x08", b"\0\0x", b"abc" * 40000])
def test_garbage_after_the_gzip_stream_is_refused(tmp_path: Path, extra: bytes) -> None:
    path = save(tmp_path / "a.nii.gz", ramp(4, 5, 6))
    path.write_bytes(path.read_bytes() + extra)
    assert refused(path).kind in {"gzip-damaged", "truncated"}


@pytest.mark.parametrize("extra", [b"\0", bytes(500), gzip.compress(b"\0", mtime=0)])
def test_bytes_after_the_voxels_are_refused(tmp_path: Path, extra: bytes) -> None:
    path = save(tmp_path / "a.nii", ramp(4, 5, 6))
    path.write_bytes(path.read_bytes() + extra)
    assert refused(path).kind == "too-long"
    zipped = tmp_path / "b.nii.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert refused(zipped).kind == "too-long"


def test_a_bomb_costs_what_its_header_promises(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((10, 10, 10))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(300_000_000), 1))
    tracemalloc.start()
    error = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.kind == "too-long"
    assert peak < 5_000_000


def test_a_promise_that_no_deflate_stream_can_keep_is_refused_at_the_header(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", ramp(4, 5, 6), dim=[3, 3000, 3000, 3000, 1, 1, 1, 1])
    with pytest.raises(NiftiError, match="truncated"):
        read_header(path)


def test_the_header_is_read_without_the_rest(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32767, (200, 200, 50), np.int16)
    path = save(tmp_path / "a.nii.gz", noise)
    whole = path.read_bytes()
    before = read_header(path)
    damaged = whole[:5000] + bytes(len(whole) - 5004) + whole[-4:]
    path.write_bytes(damaged)
    assert read_header(path).shape == before.shape
    assert refused(path).kind in {"gzip-damaged", "too-long"}


@cache
def _sample(name: str) -> tuple[bytes, np.ndarray, tuple[int, ...]]:
    """A real image, cut so that hundreds of copies are quick to read."""
    data = np.asanyarray(load(NIBABEL / "anatomical.nii").dataobj)[8:20, 8:20, 5:15]
    image = nib.Nifti1Image(data, np.diag([2, 2, 2, 1]))
    raw = image.to_bytes()
    return (gzip.compress(raw) if name.endswith("gz") else raw), data, data.shape


@given(data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=SLOW_DISK)
def test_a_flipped_bit_in_a_gz_is_refused_or_changes_nothing(
    tmp_path: Path, data: st.DataObject
) -> None:
    whole, voxels, shape = _sample("a.nii.gz")
    raw = bytearray(whole)
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    path = tmp_path / "a.nii.gz"
    path.write_bytes(raw)
    try:
        header = read_header(path)
        read = read_voxels(path)
    except NiftiError:
        return
    assert header.shape == read.header.shape == shape
    np.testing.assert_array_equal(read.data, voxels)


def test_every_flipped_bit_of_the_gzip_frame(tmp_path: Path) -> None:
    whole, voxels, shape = _sample("a.nii.gz")
    path = tmp_path / "a.nii.gz"
    kept = 0
    for bit in [*range(8 * 30), *range(8 * len(whole) - 8 * 20, 8 * len(whole))]:
        raw = bytearray(whole)
        raw[bit // 8] ^= 1 << bit % 8
        path.write_bytes(raw)
        try:
            read = read_voxels(path)
        except NiftiError:
            continue
        kept += 1
        assert read.header.shape == shape
        np.testing.assert_array_equal(read.data, voxels)
    # Time, extra flags, operating system and the text flag of RFC 1952 say nothing about voxels.
    assert 0 < kept < 80


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW_DISK)
def test_truncation_at_any_length_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["a.nii", "a.nii.gz"]))
    whole = _sample(name)[0]
    path = tmp_path / name
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    kinds = {"truncated", "gzip-damaged", "empty-file", "plain-named-gz", "not-nifti"}
    assert refused(path).kind in kinds


@pytest.mark.parametrize("keep", [1, 2, 10, 17, 18, 40, -9, -8, -7, -4, -1])
def test_truncation_near_both_ends_of_a_gz(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(_sample("a.nii.gz")[0][:keep])
    assert refused(path).kind in {"truncated", "gzip-damaged", "plain-named-gz"}


@given(data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=SLOW_DISK)
def test_nothing_but_nifti_error_escapes_from_mutated_bytes(
    tmp_path: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["a.nii", "a.nii.gz", "a.hdr", "b.nii"]))
    two = name == "b.nii"
    raw = bytearray((NIBABEL / "row_major.dconn.nii").read_bytes() if two else _sample("a.nii")[0])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 560) | st.integers(0, len(raw) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        raw[at : at + len(piece)] = piece
    path = tmp_path / name
    if name == "a.hdr":
        raw[344:348] = b"ni1\0"
        (tmp_path / "a.img").write_bytes(raw[352:])
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    for read in (read_header, read_voxels):
        with suppress(NiftiError):
            read(path)


def test_the_error_crosses_processes_and_stands_in_the_tree() -> None:
    error = NiftiError("truncated", "1 byte", "2 bytes", "copy it again")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert isinstance(copy, NiicacheError)
    assert (copy.kind, copy.got, copy.expected, copy.hint) == (
        "truncated",
        "1 byte",
        "2 bytes",
        "copy it again",
    )
    assert str(copy) == str(error)


def test_voxels_in_place_are_a_view_of_the_bytes_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", ramp(4, 5, 6))
    base = read_voxels(path).data
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert base.nbytes == 352 + 240


def test_an_odd_offset_is_read_aligned(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(4, 5, 6))
    raw = patch(path, vox_offset=353).read_bytes()
    path.write_bytes(raw[:352] + b"\0" + raw[352:])
    agree(path)
    assert read_voxels(path).data.flags.aligned


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("a.nii", "a"),
        ("a.b.NII.GZ", "a.b"),
        ("a.hdr", "a"),
        ("a.img.gz", "a"),
        ("a.nii.bz2", None),
        ("nii", None),
        ("a.gz", None),
        ("a.nii\n", None),
    ],
)
def test_stem(name: str, want: str | None) -> None:
    assert stem(name) == want


def test_files_of_a_pair_from_either_half() -> None:
    assert files_of(Path("d/a.nii.gz")) == (Path("d/a.nii.gz"),)
    for half in ("d/a.hdr", "d/a.img"):
        assert files_of(Path(half)) == (Path("d/a.hdr"), Path("d/a.img"))
    assert files_of(Path("A.IMG.gz")) == (Path("A.HDR.gz"), Path("A.IMG.gz"))
