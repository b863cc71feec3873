"""A folder that somebody prepared for a build to go wrong in."""

from __future__ import annotations

import json
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from building import build0, folders

from niicache.errors import DamageError
from niicache_builder import repair, verify
from niicache_builder.commit import clean_up, entry_of, placed
from niicache_builder.examine import is_kept
from niicache_builder.lock import HOLDER, hold

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_said_to_wait_outside_of_the_cache_stays(tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (cache / ".build").mkdir()
    paths = ["../precious", str(precious), "a/../../precious", "", "a//b", "x\0y", 7, None, "mine"]
    (cache / ".build" / "placed.json").write_text(json.dumps(paths))
    assert placed(cache) == {"mine"}
    folders(tmp_path / "s", {"a": 3})
    build0(source, cache)
    assert precious.read_text() == "mine"
    for text in ("7", "[" * 10_000, '{"a": 1}', "\xff"):
        (cache / ".build").mkdir(exist_ok=True)
        (cache / ".build" / "placed.json").write_text(text)
        assert placed(cache) == frozenset()


def outside(tmp_path: Path) -> Path:
    """Return a folder of somebody else."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "x").write_text("mine")
    return folder


def contents(folder: Path) -> dict[str, str | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def mend(source: Path, cache: Path) -> None:
    repair(cache, source, workers=0)


@pytest.mark.parametrize("act", ["build", "repair"])
@pytest.mark.parametrize("name", [".build", ".retired", ".lock", "a", "a/image/c"])
def test_nothing_is_written_through_a_link(name: str, act: str, tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    away = outside(tmp_path)
    before = contents(away)
    inside = cache / name
    if inside.is_dir():
        shutil.rmtree(inside)
    inside.unlink(missing_ok=True)
    inside.symlink_to(away / "x" if name == ".lock" else away)
    (cache / "README.txt").unlink()  # something to repair
    folders(tmp_path / "more", {"a": 3})
    acts = {"build": partial(build0, tmp_path / "more"), "repair": partial(mend, source)}
    with pytest.raises(DamageError) as caught:
        acts[act](cache)
    assert str(inside) in {problem.path for problem in caught.value.problems}
    assert contents(away) == before
    inside.unlink()
    build0(tmp_path / "more", cache)
    assert not verify(cache).problems


def test_the_name_of_a_builder_is_written_through_no_link(tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    away = outside(tmp_path)
    (cache / ".build").mkdir()
    for name in ("holder.partial", HOLDER):
        (cache / ".build" / name).symlink_to(away / "x")
    build0(folders(tmp_path / "s", {"a": 3}), cache)
    assert (away / "x").read_text() == "mine"
    assert not verify(cache).problems


def test_a_cache_may_be_reached_by_a_link(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 2})
    (tmp_path / "real").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "real")
    build0(source, tmp_path / "c")
    assert not verify(tmp_path / "c").problems
    assert (tmp_path / "c").is_symlink()


@pytest.mark.parametrize("name", [".lock", ".build/x", ".retired/x", ".retired/sub/x"])
def test_what_no_build_left_is_found_where_builds_leave_things(name: str, tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    assert not verify(cache).problems
    (cache / name).parent.mkdir(parents=True, exist_ok=True)
    (cache / name).write_text("mine")
    (problem,) = verify(cache, quick=True).problems
    top = "/".join(name.split("/")[:2])
    assert (problem.code, problem.path) == ("unexpected", str(cache / top))


@pytest.mark.parametrize("name", [".lock", ".build/x", ".retired/x"])
def test_a_repair_takes_it_out_and_never_the_lock_that_it_holds(name: str, tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    (cache / name).parent.mkdir(exist_ok=True)
    (cache / name).write_text("mine")
    lock = (cache / ".lock").stat().st_ino
    assert repair(cache, remove_unexpected=True).removed == (name,)
    assert not verify(cache).problems
    assert (cache / ".lock").stat().st_ino == lock


def test_a_name_that_is_about_to_be_said_is_not_strange(tmp_path: Path) -> None:
    cache = tmp_path / "c"
    build0(folders(tmp_path / "s", {"a": 2}), cache)
    (cache / ".build").mkdir()
    (cache / ".build" / "holder.json.00ff.partial").write_text("{")
    assert not verify(cache).problems


def test_the_name_of_a_builder_goes_last_and_what_cannot_go_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / ".build"
    (work / "folder").mkdir(parents=True)
    for name in ("a", HOLDER, "z"):
        (work / name).write_bytes(b"")
    seen = []
    real = type(work).unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        seen.append((path.name, (work / HOLDER).exists()))
        real(path, missing_ok)

    monkeypatch.setattr(type(work), "unlink", unlink)
    clean_up(tmp_path)
    assert {name for name, _ in seen} >= {"a", "z", "folder"}
    assert all(named for _, named in seen)
    assert not work.exists()


def test_a_copy_elsewhere_is_not_kept(tmp_path: Path) -> None:
    entry = entry_of(b"bytes")
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / entry.sha256).write_bytes(b"bytes")
    cache = tmp_path / "c"
    cache.mkdir()
    (cache / ".retired").symlink_to(tmp_path / "away")
    assert not is_kept(cache, entry)
    (cache / ".retired").unlink()
    (tmp_path / "away").rename(cache / ".retired")
    assert is_kept(cache, entry)


@pytest.mark.parametrize("name", [".build", ".retired", ".lock"])
def test_a_link_is_found_where_builds_leave_things(name: str, tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    (cache / name).unlink(missing_ok=True)
    (cache / name).symlink_to(outside(tmp_path))
    (problem,) = verify(cache, quick=True).problems
    assert (problem.code, problem.path) == ("unexpected", str(cache / name))
    assert "link" in problem.got


def test_what_builds_leave_is_not_strange(tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    folders(tmp_path / "s", {"a": 3})
    build0(source, cache)
    assert list((cache / ".retired").iterdir())  # the generation before
    assert not verify(cache).problems
    with hold(cache):
        (cache / ".build" / "half.partial").write_bytes(b"half")
        assert not verify(cache).problems
