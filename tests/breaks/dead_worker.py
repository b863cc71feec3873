"""A worker that is killed: at any instant from outside, or by the same case again and again."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from breaks.tiny import FIRST, SHARDS_OF_2, said_by, same_tree, words
from breaks.warm import Command, start
from niicache.cache import open_cache
from niicache_builder import verify
from niicache_builder.attempt import KILLS_WORKER

SECONDS = 5.0
"""Within which a death has to be noticed."""

KILLER = """
import os, signal, time
import niicache_builder.case as case
read = case.read_voxels
def killed(path):
    time.sleep({pause})
    if str(path) == {path!r} and not os.path.exists({survivors!r}):
        if {once}:
            open({survivors!r}, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return read(path)
case.read_voxels = killed
"""


def once(seed: int, folder: Path) -> None:
    """Kill a worker of a build, in one of three ways.

    Raises:
        AssertionError: It was not noticed in time, its shard is not in the cache as it should be,
            or a case that kills its workers is not named.
    """
    rng = np.random.default_rng(seed)
    (_from_outside, _by_a_case_once, _by_a_case_always)[seed % 3](rng, folder, f"seed {seed}")


def _from_outside(rng: np.random.Generator, folder: Path, where: str) -> None:
    slowly = KILLER.format(path="", pause=0.05, survivors="", once=False)
    build = start(
        *words(FIRST.source(), folder / "cache", workers=2), before=SHARDS_OF_2, in_workers=slowly
    )
    victims = _workers(build)
    time.sleep(rng.uniform(0, 0.3))
    killed = time.monotonic()
    os.kill(victims[int(rng.integers(len(victims)))], signal.SIGKILL)
    while "a worker process was killed" not in build.err.read_text() and _is_at_work(build):
        assert time.monotonic() - killed < SECONDS, f"{where}: not noticed"
        time.sleep(0.01)
    done = build.wait()
    assert done.code == 0, f"{where}: {said_by(done)}"
    same_tree(folder / "cache", FIRST.after())


def _by_a_case_once(rng: np.random.Generator, folder: Path, where: str) -> None:
    code = _killer(_victim(rng), folder, once=True)
    build = start(
        *words(FIRST.source(), folder / "cache", workers=2), before=SHARDS_OF_2, in_workers=code
    )
    done = build.wait()
    assert done.code == 0, f"{where}: {said_by(done)}"
    assert (folder / "survivors").exists()
    same_tree(folder / "cache", FIRST.after())


def _by_a_case_always(rng: np.random.Generator, folder: Path, where: str) -> None:
    victim, target = _victim(rng), folder / "cache"
    on_error = ("stop", "skip")[int(rng.integers(2))]
    build = start(
        *words(FIRST.source(), target, workers=2),
        *("--on-error", on_error),
        before=SHARDS_OF_2,
        in_workers=_killer(victim, folder, once=False),
    )
    done = build.wait()
    said = json.loads(done.out)
    name = victim.name.removesuffix(".nii.gz")
    if on_error == "stop":
        assert done.code == 1, f"{where}: {said_by(done)}"
        assert [(one["code"], one["path"], one["case"]) for one in said["problems"]] == [
            (KILLS_WORKER, str(victim), name)
        ], f"{where}: {said}"
        assert not (target / "zarr.json").exists(), f"{where}: something was committed"
    else:
        assert done.code == 3, f"{where}: {said_by(done)}"
        (skipped,) = said["skipped"]
        assert (skipped["code"], skipped["case"]) == (KILLS_WORKER, name), f"{where}: {skipped}"
        assert verify(target).problems == ()
        held = set(open_cache(target)[victim.parent.name].cases)
        assert held == {path.name.removesuffix(".nii.gz") for path in _cases()} - {name}, where
    # Whatever killed the workers is gone: the same command brings the case in.
    again = start(*words(FIRST.source(), target, workers=2), before=SHARDS_OF_2).wait()
    assert again.code == 0, f"{where}: {said_by(again)}"
    assert name in open_cache(target)[victim.parent.name].cases
    assert verify(target).problems == ()


def _victim(rng: np.random.Generator) -> Path:
    return _cases()[int(rng.integers(len(_cases())))]


def _cases() -> list[Path]:
    return sorted(FIRST.source().rglob("*.nii.gz"))


def _killer(victim: Path, folder: Path, *, once: bool) -> str:
    survivors = str(folder / "survivors")
    return KILLER.format(path=str(victim), pause=0, survivors=survivors, once=once)


def _is_at_work(build: Command) -> bool:
    return Path(f"/proc/{build.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _workers(build: Command) -> list[int]:
    """Wait until both workers are there, and return them."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        (server,) = _children(build.pid, "forkserver") or (0,)
        found = _children(server, "forkserver") if server else []
        if len(found) == 2:
            return found
        time.sleep(0.002)
    raise AssertionError("no workers within half a minute")


def _children(pid: int, word: str) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(one) for one in found if word in Path(f"/proc/{one}/cmdline").read_text()]
    except OSError:
        return []
