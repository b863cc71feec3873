"""What most breaks start from: two states of a tiny source, and the caches of both."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from building import copy, folders, live, voxels, write

from breaks.warm import Done, run, scratch
from niicache_builder import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHARDS_OF_2 = "import niicache_builder.arrays as arrays; arrays.SHARD_CASES = 2\n"
ANY_ROOM = "import niicache_builder.machine as machine; machine.SPARE_BYTES = -(10**9)\n"
"""Lets a build begin on any disk."""

SHAPE = (5, 4, 3)


@cache
def old() -> Path:
    """Return a source of one class, for metadata cost more than cases here: six shards."""
    return folders(scratch() / "old", {"a": 11}, shape=SHAPE)


@cache
def new() -> Path:
    """Return what the source becomes: two cases changed, one went, two came."""
    source = copy(old(), scratch() / "new")
    write(source / "a" / "case001.nii.gz", voxels(99, SHAPE))
    write(source / "a" / "case009.nii.gz", voxels(98, SHAPE))
    (source / "a" / "case005.nii.gz").unlink()
    write(source / "a" / "new.nii.gz", voxels(97, SHAPE))
    write(source / "a" / "other.nii.gz", voxels(96, SHAPE))
    return source


@cache
def old_cache() -> Path:
    """Return an undisturbed cache of the old source."""
    return _undisturbed(old(), scratch() / "old-cache")


@cache
def new_cache() -> Path:
    """Return an undisturbed rebuild of that cache from the new source."""
    return _undisturbed(new(), copy(old_cache(), scratch() / "new-cache"))


def _undisturbed(source: Path, target: Path) -> Path:
    done = run(*words(source, target), before=SHARDS_OF_2)
    assert done.code == 0, done.err
    return target


def words(source: Path, target: Path, *, workers: int = 0) -> list[str | Path]:
    """Return the words of a build."""
    return ["build", source, target, "--workers", str(workers), "--json"]


def finish(source: Path, target: Path, *, before: str = "") -> dict[str, Any]:
    """Build without a disturbance, and return what the build says of itself.

    Raises:
        AssertionError: It failed.
    """
    done = run(*words(source, target), before=SHARDS_OF_2 + before)
    assert done.code == 0, f"the next run ended with {done.code}: {done.err}"
    said: dict[str, Any] = json.loads(done.out)
    return said


@dataclass(frozen=True)
class Task:
    """A build that gets disturbed.

    Attributes:
        name: What it is.
        source: What it builds.
        before: The cache that is there when it begins, None for none.
        after: The cache that is there when it is done.
    """

    name: str
    source: Callable[[], Path]
    before: Callable[[], Path] | None
    after: Callable[[], Path]

    def __str__(self) -> str:
        return self.name

    def begin(self, target: Path) -> None:
        """Put at the target what is there before."""
        if self.before is not None:
            copy(self.before(), target)

    def is_in_force(self, target: Path, *, done: bool = False) -> bool:
        """Return whether it is committed.

        Args:
            target: Folder of the cache.
            done: It said that it was done, so it has to be.

        Raises:
            AssertionError: What is in force is neither what was there before nor what comes
                after, or it is damaged.
        """
        root = target / "zarr.json"
        if not root.exists():
            assert not done, "it is done and there is no cache"
            assert self.before is None, "the old cache is gone"
            return False
        found = verify(target).problems
        assert found == (), f"the cache is damaged: {found}"
        if root.read_bytes() == (self.after() / "zarr.json").read_bytes():
            return True
        assert not done, "it is done and the old cache is in force"
        assert self.before is not None, "the cache is another"
        assert root.read_bytes() == (self.before() / "zarr.json").read_bytes(), "of no generation"
        return False


FIRST = Task("a first build", old, None, old_cache)
REBUILD = Task("a rebuild", new, old_cache, new_cache)
TASKS = (FIRST, REBUILD)


def same_tree(target: Path, expected: Path) -> None:
    """Check that a cache is another one byte for byte, and that nothing else lies beside it.

    Raises:
        AssertionError: Names what differs.
    """
    one, other = live(target), live(expected)
    differing = sorted(
        path for path in one.keys() | other.keys() if one.get(path) != other.get(path)
    )
    assert not differing, f"not as an undisturbed build makes it: {differing}"


def said_by(done: Done) -> str:
    """Return how a command ended, for messages."""
    return f"exit code {done.code}, {done.err[-500:]!r}"
