"""What a rebuild takes from the cache at its target: damage is mended, a refusal is said."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from building import build0, folders, stamps, tree

import niicache.files
from niicache.errors import DiskError
from niicache_builder import BuildOptions, plan_build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMN = "a/cases/mean/c/0/0"
CRCS = "a/chunks/image/c/0"


def refusing(monkeypatch: pytest.MonkeyPatch, path: str, error: int) -> None:
    """Let the file system refuse to read a file."""
    read = niicache.files.read_below

    def refused(root: Path, name: str, most: int) -> bytes:
        if name == path:
            raise OSError(error, os.strerror(error), name.rpartition("/")[2])
        return read(root, name, most)

    monkeypatch.setattr("niicache.files.read_below", refused)


@pytest.mark.parametrize("path", [COLUMN, CRCS])
@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE, errno.EACCES])
def test_a_file_that_cannot_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, error: int
) -> None:
    source, target = folders(tmp_path / "s", {"a": 3}), tmp_path / "c"
    build0(source, target)
    before = stamps(target)
    with monkeypatch.context() as patch:
        refusing(patch, path, error)
        for build in (build0, lambda *places: plan_build(*places, BuildOptions())):
            with pytest.raises(DiskError) as caught:
                build(source, target)
            assert f"{os.strerror(error)} ({target / path})" in str(caught.value)
        assert stamps(target) == before
    assert not build0(source, target).changed


def test_a_refusal_matters_not_where_a_copy_was_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = folders(tmp_path / "s", {"a": 3}), tmp_path / "c"
    entry = build0(source, target).manifest.files[COLUMN]
    (target / ".retired").mkdir()
    (target / ".retired" / entry.sha256).write_bytes((target / COLUMN).read_bytes())
    refusing(monkeypatch, COLUMN, errno.EIO)
    assert build0(source, target).written == 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def link(path: Path) -> None:
    path.rename(path.parents[6] / "aside")
    path.symlink_to(path.parents[6] / "aside")


@pytest.mark.parametrize("spoil", [os.unlink, cut, link, os.mkfifo])
def test_what_is_damaged_is_written_again(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    source, target = folders(tmp_path / "s", {"a": 3}), tmp_path / "c"
    build0(source, target)
    intact = tree(target)
    if spoil is os.mkfifo:
        (target / COLUMN).unlink()
    spoil(target / COLUMN)
    assert build0(source, target).written == 1
    assert {path: data for path, data in tree(target).items() if ".retired" not in path} == intact


def test_a_folder_in_the_place_of_a_shard_is_named(tmp_path: Path) -> None:
    source, target = folders(tmp_path / "s", {"a": 3}), tmp_path / "c"
    build0(source, target)
    shard = target / "a/image/c/0/0/0/0"
    shard.unlink()
    shard.mkdir()
    with pytest.raises(DiskError, match=f"Is a directory .* to {shard}"):
        build0(source, target)
