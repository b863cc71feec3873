"""The record of a run on disk is the old one or the new one, and whole, whatever happens."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from niicache.errors import OptionError
from niicache.position import Record
from niicache.runs import RECORD, open_run, read_record, write_record

RECORD_OF_ONE = Record(stream={"seed": 1}, steps=3, epoch=0, count=0)
RECORD_OF_TWO = replace(RECORD_OF_ONE, count=2)


def test_the_record_on_disk_is_the_last_one_written(tmp_path):
    folder = open_run(tmp_path / "a" / "run")
    assert read_record(folder) is None
    for count in range(3):
        write_record(folder, replace(RECORD_OF_ONE, count=count))
    assert read_record(folder) == replace(RECORD_OF_ONE, count=2)
    assert [file.name for file in folder.iterdir()] == [RECORD]


def test_a_record_that_was_torn_at_any_byte_is_refused(tmp_path):
    write_record(tmp_path, RECORD_OF_ONE)
    whole = (tmp_path / RECORD).read_bytes()
    for size in range(len(whole)):
        (tmp_path / RECORD).write_bytes(whole[:size])
        with pytest.raises(OptionError, match="delete the file to begin the run anew"):
            read_record(tmp_path)


@pytest.mark.parametrize("foreign", [b"[]", b"3", b"null", b'{"epoch": 3}', b"\xff\xfe", b"{}" * 9])
def test_a_foreign_file_is_refused(tmp_path, foreign):
    (tmp_path / RECORD).write_bytes(foreign)
    with pytest.raises(OptionError, match="expected the record of a run"):
        read_record(tmp_path)


def test_a_run_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OptionError, match=r"run: got .*, expected a folder"):
        open_run(tmp_path / "run")


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_record_is_safe_from_power_cuts_before_it_has_its_name_and_its_name_after(
    tmp_path, monkeypatch
):
    write_record(tmp_path, RECORD_OF_ONE)
    old, done = (tmp_path / RECORD).read_bytes(), []
    sync, rename = os.fsync, Path.replace

    def noted_sync(fd):
        sync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        done.append(("sync", path.name, path.read_bytes() if path.is_file() else None))

    def noted_rename(path, target):
        assert (tmp_path / RECORD).read_bytes() == old
        done.append(("rename", path.name, None))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    write_record(tmp_path, RECORD_OF_TWO)
    spare = done[0][1]
    assert spare != RECORD
    assert done == [
        ("sync", spare, (tmp_path / RECORD).read_bytes()),
        ("rename", spare, None),
        ("sync", tmp_path.name, None),
    ]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_file_system_that_refuses_leaves_the_old_record_alone(tmp_path, monkeypatch, call):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    write_record(tmp_path, RECORD_OF_ONE)
    monkeypatch.setattr(os if call == "fsync" else Path, call, refuse)
    with pytest.raises(OptionError, match="cannot be written: No space left on device; make room"):
        write_record(tmp_path, RECORD_OF_TWO)
    assert read_record(tmp_path) == RECORD_OF_ONE
    assert names(tmp_path) == [RECORD]


def test_a_folder_that_was_deleted_meanwhile_is_made_again(tmp_path):
    write_record(open_run(tmp_path / "run"), RECORD_OF_ONE)
    (tmp_path / "run" / RECORD).unlink()
    (tmp_path / "run").rmdir()
    write_record(tmp_path / "run", RECORD_OF_TWO)
    assert read_record(tmp_path / "run") == RECORD_OF_TWO


def test_what_is_there_but_cannot_be_read_is_no_new_run(tmp_path):
    (tmp_path / RECORD).mkdir()
    with pytest.raises(OptionError, match=f"{RECORD}: cannot be read: "):
        read_record(tmp_path)


def test_a_folder_may_lie_at_home_and_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_run("~/deep/run") == open_run(tmp_path / "deep" / "run") == tmp_path / "deep/run"
