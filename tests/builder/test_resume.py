"""Interruptions of every kind: nothing is lost, nothing half-written is taken for whole."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from building import (
    build0,
    command,
    contents,
    copy,
    environment,
    folders,
    live,
    masks,
    opened,
    run,
    same,
    tree,
    voxels,
    write,
)

from niicache.cache import open_cache
from niicache.errors import (
    DiskError,
    InterruptedBuildError,
    LockedError,
    NotACacheError,
    UncommittedError,
)
from niicache.format.manifest import ArrayLayout
from niicache_builder import verify
from niicache_builder.durable import write_file
from niicache_builder.resume import is_file_of
from niicache_builder.shards import ShardWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEPS = ("fsync", "replace", "link", "unlink", "rmdir", "mkdir")
"""Every function of ``os`` through which a build changes what is on disk or makes it last."""

SHAPE = {"shape": (6, 5), "codec": "none"}
"""Without compression all shards of a number of cases have one size: size tells nothing."""


class PowerLossError(BaseException):
    """Nothing reaches the disk from now on; no handler of the code under test knows it."""


@contextlib.contextmanager
def failing(number: int, *, once: bool) -> Iterator[list[str]]:
    """Let the disk fail at the N-th step: once, or for good as when the power goes.

    Yields:
        What the steps that were asked for so far were about.
    """
    done: list[str] = []
    real = {name: getattr(os, name) for name in STEPS}

    def patched(name: str) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            done.append(f"{name} {arguments[-1]}")
            if len(done) == number and once:
                raise OSError(5, "Input/output error")
            if len(done) >= number and not once:
                raise PowerLossError
            return real[name](*arguments, **options)

        return step

    try:
        for name in STEPS:
            setattr(os, name, patched(name))
        yield done
    finally:
        for name, function in real.items():
            setattr(os, name, function)


@pytest.fixture(scope="module")
def before_and_after(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return two states of a source and their caches.

    From one to the other a case changes, one comes, a class goes, and a class comes.
    """
    root = tmp_path_factory.mktemp("states")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
        old = folders(root / "old", {"a": 4, "b": 1})
        build0(old, root / "cache", **SHAPE)
        new = copy(old, root / "new")
        write(new / "a" / "case001.nii.gz", voxels(99, (5, 4, 3)))
        write(new / "a" / "new.nii.gz", voxels(98, (5, 4, 3)))
        shutil.rmtree(new / "b")
        write(new / "c" / "other.nii.gz", voxels(97, (5, 4, 3)))
        build0(new, copy(root / "cache", root / "rebuilt"), **SHAPE)
        build0(new, root / "fresh", **SHAPE)
    return {
        "old": old,
        "new": new,
        "cache": root / "cache",
        "rebuilt": root / "rebuilt",
        "fresh": root / "fresh",
        "contents": {"old": opened(root / "cache"), "new": opened(root / "rebuilt")},
    }


@pytest.fixture
def two_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)


def instants(source: Path, target: Path, count: int) -> list[int]:
    """Return numbers of steps of a build: spread over all, most around shards and the manifest.

    A build of a few cases has 800 steps, and most of them are about one more column.
    """
    with failing(10**9, once=True) as done:
        build0(source, target, **SHAPE)
    root = f"replace {target / 'zarr.json'}"
    assert sum(step == root for step in done) == 1
    marks = ("/image/c/", ".image", "placed.json", ".retired", ".build")
    near = [i for i, step in enumerate(done, 1) if any(mark in step for mark in marks)]
    last = done.index(root) + 1
    rng = random.Random(count)  # noqa: S311 - a test's own choice of instants
    chosen = {1, 2, last - 1, last, last + 1, len(done)}
    chosen |= set(rng.sample(near, min(len(near), 2 * count // 3)))
    chosen |= set(rng.sample(range(1, len(done) + 1), count // 3))
    return sorted(chosen)


def interrupted(source: Path, target: Path, number: int, *, once: bool) -> bool:
    """Build with a failing disk; return whether that showed."""
    try:
        with failing(number, once=once):
            build0(source, target, **SHAPE)
    except (PowerLossError, DiskError):
        return True
    return False


def is_one_or_the_other(target: Path, states: dict[str, Any]) -> None:
    """Check that a cache is in force, whole, and either the old one or the new one."""
    found = verify(target)
    assert found.problems == ()
    held = opened(target)
    assert same(held, states["contents"]["old"]) or same(held, states["contents"]["new"])


@pytest.mark.usefixtures("two_a_shard")
@pytest.mark.parametrize("once", [False, True], ids=["power loss", "refusal"])
def test_a_rebuild_that_fails_at_any_step(
    before_and_after: dict[str, Any], tmp_path: Path, once: bool
) -> None:
    states = before_and_after
    counted = copy(states["cache"], tmp_path / "count")
    for number in instants(states["new"], counted, 3 if once else 15):
        target = copy(states["cache"], tmp_path / f"{number}")
        reader = open_cache(target)
        failed = interrupted(states["new"], target, number, once=once)
        assert failed or once
        is_one_or_the_other(target, states)
        assert same(contents(reader), states["contents"]["old"])
        build0(states["new"], target, **SHAPE)
        assert live(target) == live(states["rebuilt"]), number
        assert not (target / ".build").exists()
        shutil.rmtree(target)


@pytest.mark.usefixtures("two_a_shard")
def test_a_first_build_that_fails_at_any_step(
    before_and_after: dict[str, Any], tmp_path: Path
) -> None:
    states = before_and_after
    committed = 0
    for number in instants(states["new"], tmp_path / "count", 8):
        target = tmp_path / f"{number}"
        assert interrupted(states["new"], target, number, once=False)
        try:
            open_cache(target)
        except (UncommittedError, NotACacheError):
            assert not committed
        else:
            committed += 1
            is_one_or_the_other(target, states)
        build0(states["new"], target, **SHAPE)
        assert tree(target) == tree(states["fresh"]), number
        shutil.rmtree(target)
    assert committed


@pytest.mark.usefixtures("two_a_shard")
def test_a_change_of_mind_after_an_interruption(
    before_and_after: dict[str, Any], tmp_path: Path
) -> None:
    """The source goes back to what it was, times included: nothing of the new one is left."""
    states = before_and_after
    counted = copy(states["cache"], tmp_path / "count")
    for number in instants(states["new"], counted, 6):
        target = copy(states["cache"], tmp_path / f"{number}")
        assert interrupted(states["new"], target, number, once=False)
        build0(states["old"], target, **SHAPE)
        assert verify(target).problems == ()
        assert verify(target).notes == ()
        assert same(opened(target), states["contents"]["old"])
        # Any reader of Zarr sees the same, without help from what was retired.
        shutil.rmtree(target / ".retired", ignore_errors=True)
        assert verify(target).problems == ()
        shutil.rmtree(target)


@pytest.mark.usefixtures("two_a_shard")
@pytest.mark.parametrize("options", [{"shape": (7, 7)}, {"shape": (6, 5, 3), "spatial_dims": 3}])
def test_other_options_after_an_interruption(
    before_and_after: dict[str, Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    states = before_and_after
    build0(states["old"], tmp_path / "expected", **options)
    numbers = instants(states["new"], copy(states["cache"], tmp_path / "count"), 3)
    for first, number in zip(itertools.cycle([True, False]), numbers, strict=False):
        target = tmp_path / f"{number}"
        if not first:
            copy(states["cache"], target)
        interrupted(states["new"], target, number, once=False)
        build0(states["old"], target, **options)
        assert live(target) == tree(tmp_path / "expected")
        assert verify(target).problems == ()


@pytest.mark.parametrize("made", ["c", "c/image", "c/image/c", "c/image/c/0/0"])
def test_folders_that_an_interrupted_build_made_go(
    before_and_after: dict[str, Any], tmp_path: Path, made: str
) -> None:
    """Not each of them has a file of its own, so none is found by way of one alone."""
    target = copy(before_and_after["cache"], tmp_path / "cache")
    (target / made).mkdir(parents=True)
    (target / ".build").mkdir()
    placed = ["c/image/c/0/0/0/0", "c/zarr.json"]
    (target / ".build" / "placed.json").write_text(json.dumps(placed), encoding="utf-8")
    build0(before_and_after["old"], target, **SHAPE)
    assert not (target / "c").exists()
    assert verify(target).problems == ()


@pytest.mark.usefixtures("two_a_shard")
def test_interrupted_again_and_again(before_and_after: dict[str, Any], tmp_path: Path) -> None:
    """Each run gets a few steps further, with the source changing there and back in between."""
    states = before_and_after
    rng = random.Random(0)  # noqa: S311 - a test's own choice of instants
    for trial in range(3):
        target = copy(states["cache"], tmp_path / f"{trial}")
        for _ in range(4):
            source = states[rng.choice(["old", "new"])]
            interrupted(source, target, rng.randint(1, 700), once=False)
            is_one_or_the_other(target, states)
        build0(states["new"], target, **SHAPE)
        is_one_or_the_other(target, states)
        assert same(opened(target), states["contents"]["new"])
        assert verify(target).notes == ()


@pytest.mark.usefixtures("two_a_shard")
def test_everything_lasts_before_it_counts(
    before_and_after: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of syncs: a power loss may take any name and byte that was not synced."""
    target = copy(before_and_after["cache"], tmp_path / "c")
    replaceable = {str(target / path) for path in tree(target)}
    events: list[tuple[str, int, str]] = []
    fsync, replace, link = os.fsync, os.replace, os.link

    def traced_fsync(fd: int) -> None:
        events.append(("sync", os.fstat(fd).st_ino, ""))
        fsync(fd)

    def traced_replace(one: Any, other: Any) -> None:
        events.append(("replace", Path(one).stat().st_ino, str(other)))
        replace(one, other)

    def traced_link(one: Any, other: Any) -> None:
        events.append(("link", 0, str(one)))
        link(one, other)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "replace", traced_replace)
    monkeypatch.setattr(os, "link", traced_link)
    build0(before_and_after["new"], target, **SHAPE)

    def synced(inode: int, after: int, until: int) -> bool:
        return any(kind == "sync" and i == inode for kind, i, _ in events[after:until])

    placed = [
        (at, inode, Path(path))
        for at, (kind, inode, path) in enumerate(events)
        if kind == "replace" and ".build" not in Path(path).parts
    ]
    commit = next(at for at, _, path in placed if path == target / "zarr.json")
    assert commit == placed[-1][0]
    for at, inode, path in placed:
        assert synced(inode, 0, at), f"{path} had its name before its bytes"
        limit = len(events) if at == commit else commit
        assert synced(path.parent.stat().st_ino, at, limit), f"the name {path} may be lost"
    links = [at for at, (kind, _, _) in enumerate(events) if kind == "link"]
    first = next(at for at, _, path in placed if str(path) in replaceable)
    assert links
    assert links[-1] < first
    assert synced((target / ".retired").stat().st_ino, links[-1], first)


def test_a_staged_shard_that_is_short_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = masks(tmp_path / "s", {"a": 4})
    build0(source, tmp_path / "expected")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["niicache_builder.build"], "commit", _stop)
        with pytest.raises(InterruptedBuildError):
            build0(source, tmp_path / "c")
    (staged,) = (tmp_path / "c" / ".build").glob("*.image")
    staged.write_bytes(staged.read_bytes()[:-1])
    built = build0(source, tmp_path / "c")
    assert (built.resumed, built.written) == (0, 1)
    assert tree(tmp_path / "c") == tree(tmp_path / "expected")


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("two_a_shard")
@pytest.mark.parametrize("torn", ["", "image", "json"])
def test_what_was_written_and_not_durable_yet_is_done_again_only_where_it_is_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: str
) -> None:
    """A build that is killed between the two leaves shards and record under temporary names."""
    source = folders(tmp_path / "s", {"a": 4})
    build0(source, tmp_path / "expected", **SHAPE)
    with monkeypatch.context() as patch:
        patch.setattr("niicache_builder.executors.seal", _stop)
        with pytest.raises(InterruptedBuildError):
            build0(source, tmp_path / "c", **SHAPE)
    if torn:
        (file,) = (tmp_path / "c" / ".build").glob(f"*.{torn}.*.partial")
        data = file.read_bytes()
        file.write_bytes(bytes(len(data)) if torn == "image" else data[:-1])
    built = build0(source, tmp_path / "c", **SHAPE)
    assert (built.resumed, built.written) == ((0, 2) if torn else (1, 1))
    assert tree(tmp_path / "c") == tree(tmp_path / "expected")


def test_a_commit_whose_name_may_not_last_says_so_and_the_next_build_makes_it_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    synced: list[Path] = []

    def sync(path: Path) -> None:
        synced.append(path)
        if path == target and (target / "zarr.json").exists() and len(synced) < refusing:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("niicache_builder.durable.sync_folder", sync)
    monkeypatch.setattr("niicache_builder.commit.sync_folder", sync)
    refusing = 10**9
    with pytest.raises(DiskError, match=r"is in force, but .* Input/output error; a loss of power"):
        build0(source, target)
    assert verify(target).problems == ()
    refusing = 0
    synced.clear()
    assert not build0(source, target).changed
    assert target in synced


def test_a_target_that_cannot_be_read_is_not_called_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, target)

    def refused(root: Path, path: str, most: int) -> bytes:
        del root, path, most
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("niicache.cache.read_below", refused)
    with pytest.raises(NotACacheError, match=r"c: cannot be read: Too many open files"):
        build0(source, target)


def test_a_record_that_is_damaged_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = masks(tmp_path / "s", {"a": 4})
    build0(source, tmp_path / "expected")
    for content in (b"", b"{}", b"[1]", b"null", b'{"id": 1}', b"\xff", b"x" * 9):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["niicache_builder.build"], "commit", _stop)
            with pytest.raises(InterruptedBuildError):
                build0(source, tmp_path / "c")
        records = [p for p in (tmp_path / "c" / ".build").glob("*.json") if len(p.stem) == 64]
        assert len(records) == 1
        records[0].write_bytes(content)
        built = build0(source, tmp_path / "c")
        assert built.resumed == 0
        assert tree(tmp_path / "c") == tree(tmp_path / "expected")
        shutil.rmtree(tmp_path / "c")


def test_what_was_finished_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_shards: int
) -> None:
    source = masks(tmp_path / "s", {"a": 7, "b": 2})
    from niicache_builder.case import read_voxels

    read: list[str] = []

    def stop_at_last(path: Path) -> Any:
        if path.parts[-3] == "b":
            raise KeyboardInterrupt
        read.append(path.name)
        return read_voxels(path)

    with monkeypatch.context() as patch:
        patch.setattr("niicache_builder.case.read_voxels", stop_at_last)
        with pytest.raises(InterruptedBuildError, match="3 of 4 shards finished"):
            build0(source, tmp_path / "c")
    with pytest.raises(UncommittedError, match="run the same `niicache build`"):
        open_cache(tmp_path / "c")
    built = build0(source, tmp_path / "c")
    assert (built.resumed, built.written) == (3, 1)
    build0(source, tmp_path / "expected")
    assert tree(tmp_path / "c") == tree(tmp_path / "expected")
    assert len(read) == 14
    assert small_shards == 3


def test_two_writers_of_one_shard_do_not_mix(tmp_path: Path) -> None:
    """A worker that outlived its parent for a moment, and the one that does its unit again."""
    layout = ArrayLayout(
        dtype="int16", shape=(8, 8, 1), chunk=(1, 8, 8, 1), shard_cases=3, fill=0, codec=None
    )
    cases = [np.full((1, 8, 8, 1), i, "<i2") for i in range(3)]
    path = tmp_path / "unit.image"
    with ShardWriter(path, layout) as late, ShardWriter(path, layout) as early:
        late.write(cases[0])
        for one in cases:
            early.write(one)
        entry = early.commit()
        late.write(cases[1])
        assert is_file_of(path, entry)
        late.write(cases[2])
        assert late.commit() == entry
        assert is_file_of(path, entry)
    assert list(tmp_path.iterdir()) == [path]
    write_file(path, b"other", via=tmp_path)
    assert list(tmp_path.iterdir()) == [path]


# Real processes.

PS = shutil.which("ps") or ""
SMALL_SHARDS = "import niicache_builder.arrays as arrays; arrays.SHARD_CASES = 3"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Return a source that takes a while, and the tree of its undisturbed cache."""
    root = tmp_path_factory.mktemp("many")
    source = masks(root / "s", {"a": 150, "b": 47}, shape=(20, 30, 10))
    done = run("build", source, root / "c", "--workers", "2", before=SMALL_SHARDS)
    assert done.returncode == 0, done.stderr
    return source, tree(root / "c")


# A shell starts what runs in the background deaf to Ctrl-C, and so everything below it.
LISTENS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def start(*arguments: str | Path, before: str = SMALL_SHARDS) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("build", *arguments, before=LISTENS + before),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def await_work(process: subprocess.Popen[str], target: Path, *, shards: int = 0) -> None:
    """Wait until a build has begun, and has staged some shards."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if (target / ".build" / "holder.json").exists():
            staged = [p for p in (target / ".build").glob("*.json") if len(p.stem) == 64]
            if len(staged) >= shards:
                return
        time.sleep(0.002)


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_random_instants(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path, workers: int
) -> None:
    source, expected = many
    target = tmp_path / "c"
    rng = random.Random(workers)  # noqa: S311 - a test's own choice of instants
    killed = 0
    for _ in range(5):
        process = start(source, target, "--workers", str(workers))
        await_work(process, target)
        time.sleep(rng.uniform(0, 0.5))
        killed += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if (target / "zarr.json").exists():
            assert verify(target).problems == ()
    assert killed >= 2
    done = run("build", source, target, "--workers", str(workers), before=SMALL_SHARDS)
    assert done.returncode == 0, done.stderr
    assert tree(target) == expected


def children_of(pid: int) -> set[int]:
    found = subprocess.run(
        [PS, "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return set(map(int, found.stdout.split()))


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def workers_of(pid: int) -> set[int]:
    """Return the workers of a build: forked off a server, or started by the build itself."""
    children = {one: _command_line(one) for one in children_of(pid)}
    servers = (children_of(one) for one, words in children.items() if "forkserver" in words)
    return {one for one, words in children.items() if "spawn_main" in words}.union(*servers)


def await_workers(process: subprocess.Popen[str]) -> set[int]:
    """Wait until a build has both of its workers, and return them."""
    found: set[int] = set()
    while process.poll() is None and len(found) < 2:
        found = workers_of(process.pid)
    return found


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has buried yet does not."""
    found = subprocess.run(
        [PS, "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()[:1] not in {"", "Z"}


@pytest.mark.skipif(not PS, reason="lists processes with ps")
def test_workers_do_not_outlive_their_parent(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    source, expected = many
    process = start(source, tmp_path / "c", "--workers", "2")
    children = await_workers(process) | children_of(process.pid)
    await_work(process, tmp_path / "c", shards=3)
    assert process.poll() is None
    process.kill()
    # Workers that live on would keep these open for ever.
    process.communicate(timeout=30)
    # The next build starts at once, beside workers that may not have noticed yet.
    done = run("build", source, tmp_path / "c", "--workers", "2", before=SMALL_SHARDS)
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "c") == expected
    assert children
    until = time.monotonic() + 10
    while any(map(_is_alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(_is_alive, children))


@pytest.mark.parametrize(("workers", "shards"), [(0, 0), (0, 4), (2, 0), (2, 1)])
def test_ctrl_c(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path, workers: int, shards: int
) -> None:
    source, expected = many
    target = tmp_path / "c"
    process = start(source, target, "--workers", str(workers))
    await_work(process, target, shards=shards)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert out == ""
    assert "Traceback" not in err
    assert "run the same command to go on" in err
    with pytest.raises(UncommittedError):
        open_cache(target)
    done = run("build", source, target, "--workers", str(workers), before=SMALL_SHARDS)
    assert done.returncode == 0, done.stderr
    assert tree(target) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_sigterm_does_what_ctrl_c_does(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path, workers: int
) -> None:
    source, expected = many
    target = tmp_path / "c"
    process = start(source, target, "--workers", str(workers))
    await_work(process, target, shards=1)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert "Traceback" not in err
    assert "leaked" not in err
    assert "error [interrupted]: " in err
    assert "run the same command to go on" in err
    done = run("build", source, target, "--workers", str(workers), before=SMALL_SHARDS)
    assert done.returncode == 0, done.stderr
    assert tree(target) == expected


@pytest.mark.skipif(not PS, reason="lists processes with ps")
def test_a_worker_that_is_killed_is_replaced(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    source, expected = many
    target = tmp_path / "c"
    process = start(source, target, "--workers", "2")
    victims = await_workers(process)
    await_work(process, target, shards=1)
    os.kill(victims.pop(), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "a worker process was killed near the cases" in err
    assert tree(target) == expected


SLOW = """
import time
import niicache_builder.case as case
read = case.read_voxels
def slowly(path):
    time.sleep(0.3)
    return read(path)
case.read_voxels = slowly
"""


def test_two_builds_at_once(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 12})
    target = tmp_path / "c"
    first = start(source, target, "--workers", "0", before=SLOW)
    await_work(first, target)
    second = run("build", source, target, "--workers", "0", "--json")
    assert second.returncode == 5
    assert json.loads(second.stdout)["code"] == "locked"
    assert f"process {first.pid} on " in second.stderr
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert "12 cases" in out
    assert verify(target).problems == ()
    assert run("build", source, target, "--workers", "0").returncode == 0


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 4})
    target = tmp_path / "c"
    first = start(source, target, "--workers", "0", before=SLOW)
    await_work(first, target)
    with pytest.raises(LockedError):
        build0(source, target)
    first.kill()
    first.communicate()
    build0(source, target)
    assert verify(target).problems == ()
    assert np.array_equal(open_cache(target)["a"][0].image, voxels(0, (5, 4, 3)))
