"""Repairs: from the sources, all or nothing, and nothing that was sound is touched."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from breaks.damage import flip
from building import (
    build0,
    contents,
    copy,
    folders,
    live,
    masks,
    opened,
    same,
    shards,
    stamps,
    tree,
    vectors,
    voxels,
    write,
)
from click.testing import CliRunner, Result
from test_resume import PowerLossError, failing

from niicache.cache import open_cache
from niicache.errors import (
    CacheError,
    DamageError,
    FormatError,
    LockedError,
    OptionError,
    SourceError,
)
from niicache.format.names import WORK
from niicache_builder import repair, verify
from niicache_builder.cli.main import main
from niicache_builder.lock import hold
from niicache_builder.mending import make_mending_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from niicache_builder import Repaired

IMAGE = "a/image/c/0/0/0/0/0"
LABEL = "a/label/c/1/0/0/0/0"
OTHER = "b/image/c/0/0/0/0/0"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a source and its cache, which has a history: one slot is vacant, one was so."""
    root = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 3)
        source = masks(root / "s", {"a": 7, "b": 2})
        build0(source, root / "c", chunk=(1,))
        for name, number in (("case001", 3), ("case004", 5)):
            for half in ("images", "labels"):
                (source / "a" / half / f"{name}.nii.gz").unlink()
            assert number
        build0(source, root / "c", chunk=(1,))
        image = voxels(55, (6, 4, 6))
        write(source / "a" / "images" / "late.nii.gz", image)
        write(source / "a" / "labels" / "late.nii.gz", (image % 3).astype("uint8"))
        build0(source, root / "c", chunk=(1,))
    shutil.rmtree(root / "c" / ".retired")
    names = open_cache(root / "c")["a"].slot_names
    assert "" in names
    assert "late" in names
    return source, root / "c"


@pytest.fixture
def source(state: tuple[Path, Path], tmp_path: Path) -> Path:
    return copy(state[0], tmp_path / "s")


@pytest.fixture
def cache(state: tuple[Path, Path], tmp_path: Path) -> Path:
    return copy(state[1], tmp_path / "c")


def repair0(cache: Path, source: Path | None = None, **options: Any) -> Repaired:
    """Repair in this process."""
    return repair(cache, source, workers=0, **options)


def cases_of(cache: Path, path: str) -> list[str]:
    """Return the cases of a shard."""
    name, _, _, index, *_ = path.split("/")
    names = open_cache(cache)[name].slot_names
    return [name for name in names[3 * int(index) : 3 * int(index) + 3] if name]


# What is mended, and from what.


@pytest.mark.parametrize(
    "paths",
    [
        [IMAGE, LABEL, OTHER],
        ["a/cases/mean/c/0/0", "a/cases/label_count/c/0/0"],
        ["a/cases/name/c/0", "a/cases/group/c/0", "a/cases/label/c/0", "b/cases/image/c/0"],
        ["a/cases/image/c/0", "a/cases/image_hash/c/0", "a/cases/key/c/0", IMAGE],
        ["a/chunks/image/c/0", IMAGE, "a/cases/image_mtime_ns/c/0"],
    ],
    ids=str,
)
def test_what_sources_tell(
    state: tuple[Path, Path], source: Path, cache: Path, paths: list[str]
) -> None:
    for path in paths:
        (cache / path).write_bytes(b"nothing")
    before = stamps(cache)
    assert repair0(cache, source).mended == tuple(sorted(paths))
    assert tree(cache) == tree(state[1])
    after = stamps(cache)
    # The manifest is written last and says what it said; nothing else that was sound is written.
    assert {path for path in after if after[path] != before[path]} == {*paths, "zarr.json"}


SMALL = ["README.txt", "CACHEDIR.TAG", "a/zarr.json", "a/image/zarr.json", "b/cases/std/zarr.json"]


def test_what_the_manifest_tells_needs_no_source(state: tuple[Path, Path], cache: Path) -> None:
    for path in SMALL:
        flip(cache / path, 9)
    (cache / "b/chunks/label/c/0").unlink()  # the shards tell
    assert repair0(cache).mended == tuple(sorted([*SMALL, "b/chunks/label/c/0"]))
    assert tree(cache) == tree(state[1])


def test_sound_is_left_alone(state: tuple[Path, Path], cache: Path) -> None:
    before = stamps(cache)
    done = repair0(cache)
    assert (done.mended, done.removed, done.left, done.quarantined) == ((), (), (), ())
    assert stamps(cache) == before
    assert tree(cache) == tree(state[1])


def test_a_whole_class_that_went_of_a_cache_without_a_history(tmp_path: Path) -> None:
    source, target = vectors(tmp_path / "s", {"a": 5, "b": 1}), tmp_path / "c"
    build0(source, target)
    intact = tree(target)
    shutil.rmtree(target / "a")
    with pytest.raises(OptionError, match="give --source"):
        repair0(target)
    repair0(target, source)
    assert tree(target) == intact


def test_groups_come_from_the_table(tmp_path: Path) -> None:
    source, target = folders(tmp_path / "s", {"a": 4}), tmp_path / "c"
    rows = [f"a,a/case00{i}.nii.gz,,patient{i // 2}" for i in range(4)]
    (source / "t.csv").write_text("\n".join(["class,image,label,group", *rows]) + "\n")
    build0(source / "t.csv", target)
    intact = tree(target)
    (target / "a/cases/group/c/0").unlink()
    repair0(target, source / "t.csv")
    assert tree(target) == intact
    # With sound columns the folder of the table says as much as the table.
    (target / "a/image/c/0/0/0/0").unlink()
    repair0(target, source)
    assert tree(target) == intact


def test_files_that_were_touched_are_still_the_same(
    state: tuple[Path, Path], source: Path, cache: Path
) -> None:
    for path in source.rglob("*.gz"):
        os.utime(path, ns=(5, 5))
    (cache / IMAGE).unlink()
    (cache / "b/cases/mean/c/0/0").unlink()
    repair0(cache, source)
    assert tree(cache) == tree(state[1])
    (cache / "b/cases/image_mtime_ns/c/0").unlink()  # only this one tells the time of then
    repair0(cache, source)
    assert verify(cache).problems == ()
    assert set(open_cache(cache)["b"].column("image_mtime_ns").tolist()) == {5}
    assert same(opened(cache), opened(state[1]))


def test_skipped_cases_stay_skipped(tmp_path: Path) -> None:
    source, target = folders(tmp_path / "s", {"a": 4}), tmp_path / "c"
    (source / "a" / "case001.nii.gz").write_bytes(b"nothing")
    build0(source, target, on_error="skip")
    intact = tree(target)
    for path in ("skipped.csv", "a/image/c/0/0/0/0", "a/cases/name/c/0"):
        (target / path).write_bytes(b"")
    repair0(target, source)
    assert tree(target) == intact


# What cannot be mended.


def gone(path: Path) -> None:
    path.unlink()


def changed(path: Path) -> None:
    """Write other content, of the same size and time."""
    info = path.stat()
    data = bytearray(path.read_bytes())
    data[4] ^= 1  # the time in the header of a gzip stream
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def broken(path: Path) -> None:
    path.write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("spoil", "half"), [(gone, "labels"), (changed, "images"), (broken, "images")]
)
def test_a_source_that_is_not_what_it_was(
    state: tuple[Path, Path], source: Path, cache: Path, spoil: Callable[[Path], None], half: str
) -> None:
    lost, *others = cases_of(cache, IMAGE)
    aside = copy(source, source.with_name("aside"))
    spoil(source / "a" / half / f"{lost}.nii.gz")
    for name in others:
        os.utime(source / "a" / "images" / f"{name}.nii.gz", ns=(5, 5))
    flip(cache / IMAGE, 77)
    flip(cache / OTHER, 77)
    before = stamps(cache)
    with pytest.raises(SourceError) as caught:
        repair0(cache, source)
    (problem,) = caught.value.problems
    assert (problem.class_name, problem.case) == ("a", lost)
    assert problem.code == ("source-missing" if spoil is gone else "source-changed")
    assert "--quarantine" in problem.hint
    assert stamps(cache) == before

    old = open_cache(cache)
    slot = list(old["a"].slot_names).index(lost)
    done = repair0(cache, source, quarantine=True)
    assert [(p.class_name, p.case) for p in done.quarantined] == [("a", lost)]
    found = verify(cache)
    assert found.problems == ()
    now, intact = open_cache(cache), open_cache(state[1])
    view = now["a"]
    assert lost not in view.cases
    assert view.slot_names[slot] == ""
    assert slot not in view.occupied.tolist()  # so no batch draws it
    assert len(view) == len(intact["a"]) - 1
    times = dict(zip(intact["a"].cases, intact["a"].column("image_mtime_ns"), strict=True))
    assert all(
        times[name] == time
        for name, time in zip(view.cases, view.column("image_mtime_ns"), strict=True)
    )  # what is known is not asked for again
    held = contents(intact)
    assert same(contents(now), {key: value for key, value in held.items() if key != ("a", lost)})
    assert [(one.class_name, one.case) for one in now.manifest.skipped] == [("a", lost)]
    assert lost in (cache / "skipped.csv").read_text()
    assert set(others) <= set(view.cases)
    # Its source is back: the next build takes it in again.
    build0(aside, cache, chunk=(1,))
    assert same(opened(cache), held)
    assert open_cache(cache).manifest.skipped == ()


def test_the_last_case_of_a_class_is_not_taken(source: Path, cache: Path) -> None:
    """Labels are numbers of classes: with one gone, those after it would mean something else."""
    shutil.rmtree(source / "b")
    flip(cache / OTHER, 77)
    before = stamps(cache)
    with pytest.raises(SourceError, match="class 'b' would have no case left"):
        repair0(cache, source, quarantine=True)
    assert stamps(cache) == before


def test_wrong_workers_are_refused(source: Path, cache: Path) -> None:
    with pytest.raises(OptionError, match="workers: got -2"):
        repair(cache, source, workers=-2)


def test_without_any_source_nothing_is_changed(source: Path, cache: Path) -> None:
    for path in shards(cache):
        flip(cache / path, 9)
    before = stamps(cache)
    for folder in ("a", "b"):
        shutil.rmtree(source / folder)
    for options in ({}, {"quarantine": True}):
        with pytest.raises(SourceError):
            repair0(cache, source, **options)
        assert stamps(cache) == before


def test_sources_in_another_order_are_not_taken(tmp_path: Path) -> None:
    """The columns that say which case is where are gone, and the cache has a history."""
    source, target = folders(tmp_path / "s", {"a": 5}), tmp_path / "c"
    build0(source, target)
    (source / "a" / "case002.nii.gz").rename(source / "a" / "other.nii.gz")
    build0(source, target)
    shutil.rmtree(target / "a" / "cases")
    before = live(target)
    for options in ({}, {"quarantine": True}):
        with pytest.raises(SourceError, match="find the sources"):
            repair0(target, source, **options)
        assert live(target) == before
    (source / "a" / "case000.nii.gz").unlink()
    with pytest.raises(SourceError, match="case-untold"):
        repair0(target, source)


def test_a_damaged_manifest_says_what_to_do(source: Path, cache: Path) -> None:
    flip(cache / "zarr.json", 999)
    before = stamps(cache)
    with pytest.raises(FormatError, match="delete the cache and build it again"):
        repair0(cache, source)
    assert stamps(cache) == before


# What does not belong.


def test_what_does_not_belong_stays_unless_it_shall_go(
    state: tuple[Path, Path], source: Path, cache: Path
) -> None:
    (cache / "a" / "x").mkdir()
    (cache / "a" / "x" / "y").write_bytes(b"")
    (cache / "z" / "empty").mkdir(parents=True)
    (cache / "link").symlink_to(source)
    flip(cache / IMAGE, 77)
    done = repair0(cache, source)
    assert done.mended == (IMAGE,)
    assert sorted(Path(p.path).relative_to(cache).as_posix() for p in done.left) == [
        "a/x/y", "link", "z"
    ]  # fmt: skip
    done = repair0(cache, remove_unexpected=True)
    assert (done.mended, sorted(done.removed), done.left) == ((), ["a/x/y", "link", "z"], ())
    assert tree(cache) == tree(state[1])
    assert not any((cache / name).exists() for name in ("a/x", "z", "link", ".build"))
    assert source.is_dir()
    assert (source / "a").is_dir()


def test_what_is_in_the_way_is_not_written_through(
    state: tuple[Path, Path], source: Path, cache: Path, tmp_path: Path
) -> None:
    shutil.move(cache / "a", tmp_path / "elsewhere")
    (cache / "a").symlink_to(tmp_path / "elsewhere")
    (cache / IMAGE).unlink()
    shutil.move(cache / "b" / "image" / "c", tmp_path / "c of b")
    (cache / "b" / "image" / "c").write_bytes(b"a file")
    before = stamps(cache), stamps(tmp_path / "elsewhere")
    with pytest.raises(DamageError, match="--remove-unexpected") as caught:
        repair0(cache, source)
    assert {p.path for p in caught.value.problems} == {
        str(cache / "a"), str(cache / "b" / "image" / "c")
    }  # fmt: skip
    assert (stamps(cache), stamps(tmp_path / "elsewhere")) == before
    # Which case is where in class a is told by nothing that is left: it has a history.
    with pytest.raises(SourceError):
        repair0(cache, source, remove_unexpected=True)
    (cache / "a").unlink()
    shutil.move(tmp_path / "elsewhere", cache / "a")
    repair0(cache, source, remove_unexpected=True)
    assert tree(cache) == tree(state[1])


# Readers, interruptions, other builds.


def test_damaged_files_are_not_kept_for_readers(
    state: tuple[Path, Path], source: Path, cache: Path
) -> None:
    flip(cache / IMAGE, 77)
    flip(cache / "a/cases/mean/c/0/0", 77)
    repair0(cache, source)
    assert not (cache / ".retired").exists()
    # A quarantine replaces sound files too: those are.
    lost = cases_of(cache, IMAGE)[0]
    reader = open_cache(cache)
    held = {name: reader["a"][name] for name in cases_of(cache, LABEL)}
    (source / "a" / "images" / f"{lost}.nii.gz").unlink()
    flip(cache / IMAGE, 77)
    digest = reader.manifest.files[IMAGE].sha256
    repair0(cache, source, quarantine=True)
    kept = {path.name for path in (cache / ".retired").iterdir()}
    assert kept
    assert digest not in kept
    for name, sample in held.items():
        assert np.array_equal(reader["a"][name].image, sample.image)
    assert state[1].is_dir()


@pytest.mark.parametrize("quarantine", [False, True])
def test_a_repair_that_is_interrupted_at_any_step(
    tmp_path: Path, quarantine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
    source, cache = folders(tmp_path / "s", {"a": 5}), tmp_path / "c"
    build0(source, cache)
    shard = "a/image/c/0/0/0/0"
    first = [name for name in open_cache(cache)["a"].slot_names[:2] if name]
    if quarantine:
        (source / "a" / f"{first[0]}.nii.gz").unlink()
    for path in (shard, "a/chunks/image/c/0"):
        flip(cache / path, 77)
    expected = copy(cache, tmp_path / "expected")
    with failing(10**9, once=True) as done:
        repair0(expected, source, quarantine=quarantine)
    last = done.index(f"replace {expected / 'zarr.json'}") + 1
    for number in {1, last // 3, 2 * last // 3, last - 1, last, last + 1}:
        target = copy(cache, tmp_path / "t")
        with pytest.raises(PowerLossError), failing(number, once=False):
            repair0(target, source, quarantine=quarantine)
        assert open_cache(target).classes == ("a",)  # a manifest is in force
        repair0(target, source, quarantine=quarantine)
        assert verify(target).problems == ()
        # What is left in the folder of the work, once the manifest is in place, is no harm.
        left = {path: data for path, data in live(target).items() if path.split("/")[0] != WORK}
        assert left == live(expected), number
        shutil.rmtree(target)


def test_a_rebuild_that_was_interrupted_is_taken_back(
    state: tuple[Path, Path], source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 3)
    newer = copy(source, source.with_name("newer"))
    name = cases_of(cache, IMAGE)[0]
    size = 6 if name == "late" else 5 + int(name.removeprefix("case")) % 3
    write(newer / "a" / "images" / f"{name}.nii.gz", voxels(99, (size, 4, 6)))
    counted = copy(cache, cache.with_name("counted"))
    with failing(10**9, once=True) as done:
        build0(newer, counted, chunk=(1,))
    last = max(i for i, step in enumerate(done, 1) if step.endswith("/zarr.json"))
    with pytest.raises(PowerLossError), failing(last, once=False):
        build0(newer, cache, chunk=(1,))
    assert verify(cache).problems == ()
    assert any(note.endswith("that rebuild put them") for note in verify(cache).notes)
    flip(cache / OTHER, 9)
    repair0(cache, source)
    assert live(cache) == tree(state[1])
    assert verify(cache).notes == ()


def test_a_cache_that_is_held(source: Path, cache: Path) -> None:
    flip(cache / IMAGE, 77)
    with hold(cache), pytest.raises(LockedError):
        repair0(cache, source)


def test_a_build_that_comes_in_between(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(cache / IMAGE, 77)
    module = sys.modules[repair.__module__]
    plan = make_mending_plan

    def meanwhile(*arguments: Any) -> Any:
        shutil.rmtree(source / "b")
        build0(source, cache, chunk=(1,))
        return plan(*arguments)

    monkeypatch.setattr(module, "make_mending_plan", meanwhile)
    with pytest.raises(CacheError, match="another build came in between"):
        repair0(cache, source)


def test_a_source_that_changes_while_it_is_read(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(cache / IMAGE, 77)
    path = source / "a" / "images" / f"{cases_of(cache, IMAGE)[0]}.nii.gz"
    before = live(cache)

    def meanwhile(*_: Any) -> None:
        changed(path)

    monkeypatch.setattr(sys.modules[repair.__module__], "check_same", meanwhile)
    with pytest.raises(SourceError, match="find the sources"):
        repair0(cache, source)
    assert live(cache) == before


# The command line.


def call(*words: str | Path) -> Result:
    result = CliRunner().invoke(main, ["repair", "--workers", "0", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_exit_codes_and_json(source: Path, cache: Path) -> None:
    assert call(cache).exit_code == 0
    flip(cache / IMAGE, 77)
    assert call(cache).exit_code == 2
    (cache / "x").write_bytes(b"")
    result = call(cache, "--source", source, "--json")
    value = json.loads(result.stdout)
    assert (result.exit_code, value["schema"]) == (4, "niicache.repair/1")
    assert (value["mended"], value["removed"], value["quarantined"]) == ([IMAGE], [], [])
    assert [one["code"] for one in value["left"]] == ["unexpected"]
    assert "x" in call(cache, "--remove-unexpected").stdout
    lost = cases_of(cache, IMAGE)[0]
    (source / "a" / "images" / f"{lost}.nii.gz").unlink()
    flip(cache / IMAGE, 77)
    refused = call(cache, "--source", source)
    assert (refused.exit_code, "--quarantine" in refused.stderr) == (1, True)
    result = call(cache, "--source", source, "--quarantine")
    assert result.exit_code == 3
    assert lost in result.stdout
    with hold(cache):
        flip(cache / OTHER, 77)
        assert call(cache, "--source", source).exit_code == 5
    (cache / "zarr.json").write_bytes(b"{}")
    assert call(cache, "--source", source).exit_code == 4
