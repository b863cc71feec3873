"""A source that changes under the build: one consistent version of a case, or none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from building import build0, folders, opened, write

from niicache.errors import SourceError
from niicache_builder import case as case_module
from niicache_builder.nifti import NiftiError, read_header, read_voxels
from niicache_builder.source_file import OpenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHAPE = (5, 4, 3)
LARGE = (64, 64, 60)  # more than one piece


def once(what: Callable[[], object]) -> Callable[[], None]:
    """Return a function that does something the first time it is called."""
    left = [what]

    def call() -> None:
        if left:
            left.pop()()

    return call


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return folders(tmp_path / "s", {"a": 3})


def before_reading(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Do something when everything was scanned and nothing was read."""
    act = once(what)

    def read(path: Path) -> object:
        act()
        return read_voxels(path)

    monkeypatch.setattr(case_module, "read_voxels", read)


def amid_reading(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Do something when the first bytes of a file were read, and its last were not."""
    act, raw = once(what), OpenFile.raw

    def slowly(self: OpenFile, digest: Any) -> Iterator[bytes]:
        for number, piece in enumerate(raw(self, digest)):
            yield piece
            if number == 0:
                act()

    monkeypatch.setattr(OpenFile, "raw", slowly)


def replaced(path: Path, data: np.ndarray[Any, Any]) -> None:
    """Put another file in a file's place, as a careful program does."""
    new = write(path.with_name(f"new-{path.name}"), data)
    new.replace(path)


@pytest.mark.parametrize("change", ["replaced", "rewritten", "gone", "shortened", "same size"])
def test_what_changes_after_the_scan_stays_out_and_comes_in_the_next_time(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = write(source / "a" / "late.nii", np.zeros(SHAPE, "int16"))
    new = np.arange(60, dtype="int16").reshape(SHAPE)

    def act() -> None:
        if change == "gone":
            path.unlink()
        elif change == "shortened":
            path.write_bytes(path.read_bytes()[:400])
        elif change == "replaced":
            replaced(path, new)
        elif change == "rewritten":
            write(path, new[:4])
        else:
            write(path, new)

    with monkeypatch.context() as patch:
        before_reading(patch, act)
        with pytest.raises(SourceError) as error:
            build0(source, tmp_path / "none")
        (problem,) = error.value.problems
        assert problem.path == str(path)
        assert problem.code in {"unreadable", "changed", "truncated"}
        assert not (tmp_path / "none" / "zarr.json").exists()
        write(path, np.zeros(SHAPE, "int16"))
        before_reading(patch, act)
        built = build0(source, tmp_path / "c", on_error="skip")
    assert [entry.case for entry in built.manifest.skipped] == ["late"]
    assert len(opened(tmp_path / "c")) == 3
    if change not in {"gone", "shortened"}:
        again = build0(source, tmp_path / "c", on_error="skip")
        assert not again.manifest.skipped
        assert len(opened(tmp_path / "c")) == 4


@pytest.mark.parametrize("name", ["big.nii", "big.nii.gz"])
def test_a_file_that_is_replaced_while_it_is_read_is_the_one_that_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old = np.random.default_rng(0).integers(0, 30_000, LARGE).astype("int16")
    path = write(tmp_path / name, old)
    header = read_header(path)
    amid_reading(monkeypatch, lambda: replaced(path, old + np.int16(1)))
    found = read_voxels(path)
    assert found.header == header
    np.testing.assert_array_equal(found.data, old)


@pytest.mark.parametrize("name", ["big.nii", "big.nii.gz"])
def test_a_file_that_is_deleted_while_it_is_read_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old = np.random.default_rng(0).integers(0, 30_000, LARGE).astype("int16")
    path = write(tmp_path / name, old)
    amid_reading(monkeypatch, path.unlink)
    np.testing.assert_array_equal(read_voxels(path).data, old)


@pytest.mark.parametrize("cut", [0, 100_000])
@pytest.mark.parametrize("name", ["big.nii", "big.nii.gz"])
def test_a_file_that_is_written_to_while_it_is_read_is_refused_as_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cut: int
) -> None:
    old = np.random.default_rng(0).integers(0, 30_000, LARGE).astype("int16")
    path = write(tmp_path / name, old)
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns - 10**10))

    def act() -> None:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size - 50_000)
            file.write(bytes(1000))
            if cut:
                file.truncate(path.stat().st_size - cut)

    amid_reading(monkeypatch, act)
    with pytest.raises(NiftiError) as error:
        read_voxels(path)
    # Not as damaged: it is whole as soon as its writer is done.
    assert error.value.kind == "changed"


def test_image_and_mask_are_of_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("case000", "case001"):
        write(tmp_path / "s/a/images" / f"{name}.nii", np.ones((5, 4, 6), "int16"))
        write(tmp_path / "s/a/labels" / f"{name}.nii", np.ones((5, 4, 6), "uint8"))

    def both() -> None:
        replaced(tmp_path / "s/a/images/case000.nii", np.zeros((5, 4, 6), "int16"))
        replaced(tmp_path / "s/a/labels/case000.nii", np.zeros((5, 4, 6), "uint8"))

    amid_reading(monkeypatch, both)
    built = build0(tmp_path / "s", tmp_path / "c", on_error="skip", spatial_dims=3)
    # Slots are ordered by a hash, so that either case may be the one that is read first.
    for image, label, _ in opened(tmp_path / "c").values():
        assert image.max() == label.max()
    assert {entry.code for entry in built.manifest.skipped} <= {"changed"}
    assert built.manifest.skipped
