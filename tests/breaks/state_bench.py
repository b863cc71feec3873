"""A cache and its sources on disk, beside the model of both; every step is compared with it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from building import build0

from breaks.state_disk import differing, entry_of, kept_aside, regular
from breaks.state_model import Generation, Identity, Sources, Version
from niicache.cache import Cache, open_cache
from niicache.errors import CacheError, DiskError, SourceError
from niicache.format.names import ROOT
from niicache_builder.slots import hashed_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SHARD_CASES = 2
BUILD: dict[str, Any] = {"spatial_dims": 3, "labels": "mask"}
"""What every build is told."""


class Bench:
    """Both, and what was done to the cache.

    Attributes:
        sources: The sources.
        cache: Folder of the cache.
        now: What is committed, None before the first commit.
        hurt: Paths that were spoiled since they were last known to be whole.
        generations: How often the cache may have been replaced.
    """

    def __init__(self, top: Path) -> None:
        self.sources = Sources(top / "s")
        self.cache = top / "c"
        self.now: Generation | None = None
        self.hurt: set[str] = set()
        self.generations = 0

    # What is damaged.

    @property
    def files(self) -> Mapping[str, bytes]:
        """Every file of the committed cache as it has to be."""
        return {} if self.now is None else self.now.files

    @property
    def may(self) -> set[str]:
        """Paths of the cache that may be called damaged."""
        return self.hurt & differing(self.cache, self.files)

    @property
    def must(self) -> set[str]:
        """Those that have to be; a copy that a rebuild put aside is as good as the file."""
        return {path for path in self.may if not kept_aside(self.cache, path, self.files)}

    @property
    def foreign(self) -> set[str]:
        """Paths that were spoiled and are no more of this cache."""
        rest = self.hurt - self.files.keys()
        return {path for path in rest if (self.cache / path).exists()}

    @property
    def is_lost(self) -> bool:
        """Whether there is no manifest to go by."""
        return self.now is None or regular(self.cache / ROOT) != self.files[ROOT]

    @property
    def is_blocked(self) -> bool:
        """Whether a folder lies in the place of a file."""
        return any((self.cache / path).is_dir() for path in self.hurt)

    def tree(self) -> dict[str, bytes | None]:
        """Return everything but what builds leave to builds; folders and pipes as None."""
        aside = {".build", ".retired", ".lock"}
        return {
            path.relative_to(self.cache).as_posix(): regular(path)
            for path in self.cache.rglob("*")
            if path.relative_to(self.cache).parts[0] not in aside
        }

    # What a build has to do.

    def may_build(self, *, skip: bool) -> bool:
        """Return whether a build of the sources as they are has to succeed."""
        cases, sound = self.sources.cases, self.sources.sound()
        if not sound or (not skip and len(sound) < len(cases)):
            return False
        if self.now is None:
            return True
        if self.is_lost:
            return False
        related = not cases.keys().isdisjoint(self.now.cases.keys() | self.now.skipped)
        # Where names of cases are damaged a build cannot tell, and goes on.
        return related or any(not is_shard(path) for path in self.may)

    def build(self, *, skip: bool, **options: Any) -> None:
        """Build, and compare what came of it."""
        self.generations += 1
        expected = self.may_build(skip=skip)
        on_error = "skip" if skip else "stop"
        before = self.tree() if self.cache.exists() else {}
        try:
            with small_shards():
                build0(self.sources.root, self.cache, on_error=on_error, **BUILD, **options)
        except (SourceError, CacheError) as error:
            if expected:
                raise AssertionError(f"the build is refused: {error}") from error
            assert self.tree() == before, "a build that is refused changes the cache"
        except DiskError as error:
            # A folder in the place of a file: a build says so, only a repair takes it away.
            if not self.is_blocked:
                raise AssertionError(f"the build fails: {error}") from error
            self.look()
        else:
            assert expected or any(not is_shard(path) for path in self.hurt), "the build succeeds"
            self.committed()

    def look(self) -> None:
        """After something was interrupted: find out which of both generations is in force."""
        root = regular(self.cache / ROOT)
        if root is not None and root != self.files.get(ROOT) and ROOT not in self.hurt:
            self.committed()

    def committed(self, *, without: set[Identity] | None = None) -> None:
        """Take what is on disk for the new generation, if it is what it has to be.

        Args:
            without: Cases that a repair left out; else this was a build.
        """
        cache = open_cache(self.cache)
        old = self.now or Generation()
        manifest = cache.manifest
        if without is not None:
            new = old.without(without)
        else:
            skipped = frozenset((one.class_name, one.case) for one in manifest.skipped)
            assert skipped == self.sources.cases.keys() - self.sources.sound().keys(), "skipped"
            new = Generation(cases=self._built(cache), shape=self.sources.shape, skipped=skipped)
        files = {ROOT: (self.cache / ROOT).read_bytes()}
        for path, entry in manifest.files.items():
            data = regular(self.cache / path)
            if data is None or entry_of(data) != entry:
                data = old.files.get(path, b"")
                assert path in self.hurt, f"{path} is not what the new manifest says"
                assert entry_of(data) == entry, f"the new manifest takes over damage of {path}"
            else:
                self.hurt.discard(path)
            files[path] = data
        self.hurt.discard(ROOT)
        self.now = replace(new, files=files, slots=self._slots(cache, new))

    def _built(self, cache: Cache) -> dict[Identity, Version]:
        """Return what the cache holds: what is in the sources, or looks like that from outside."""
        held: dict[Identity, Version] = {}
        hashes = {
            (view.name, name): str(digest)
            for view in cache
            for name, digest in zip(view.cases, view.column("image_hash"), strict=True)
        }
        for case, version in self.sources.sound().items():
            # Size and time decide: what a killed build has read may have changed since, unseen.
            possible = [one for one in self.sources.past[case] if one.looks_like(version)]
            found = [
                one for one in possible if entry_of(one.files["images"]).sha256 == hashes[case]
            ]
            assert found, f"the cache holds {case} as it never was"
            held[case] = found[0]
        return held

    def _slots(self, cache: Cache, new: Generation) -> dict[str, tuple[str, ...]]:
        slots = {view.name: tuple(view.slot_names) for view in cache}
        held = {(owner, name) for owner, names in slots.items() for name in names if name}
        assert held == new.cases.keys(), f"cases are {sorted(held)}, not {sorted(new.cases)}"
        return slots

    # What a repair needs.

    def needed(self, paths: set[str], *, columns: bool) -> set[Identity]:
        """Return the cases whose sources it takes to mend some files.

        Args:
            paths: The files.
            columns: Whether it takes them for columns too; some follow from the manifest.
        """
        assert self.now is not None
        found = set()
        for owner, names in self.now.slots.items():
            for path in (one for one in paths if one.startswith(f"{owner}/")):
                if is_shard(path):
                    first = SHARD_CASES * int(path.split("/")[3])
                    found |= {(owner, name) for name in names[first : first + SHARD_CASES] if name}
                elif columns and path.startswith(f"{owner}/cases/"):
                    found |= {(owner, name) for name in names if name}
        return found

    def untold(self) -> bool:
        """Return whether a class may not tell which of its cases is where."""
        assert self.now is not None
        for owner in {path.split("/")[0] for path in self.may if "/cases/" in path}:
            slots = self.now.slots[owner]
            if self.sources.names(owner) != set(slots) or list(slots) != hashed_order(slots):
                return True
        return False

    def unproven(self, lost: set[Identity]) -> bool:
        """Return whether hashes may be damaged that would prove the cases beside those lost."""
        columns = {path.split("/")[0] for path in self.may if "/cases/" in path}
        return not columns.isdisjoint(owner for owner, _ in lost)

    def emptied(self, lost: set[Identity]) -> bool:
        """Return whether a class would lose its last case."""
        assert self.now is not None
        return {owner for owner, _ in self.now.cases} != {
            owner for owner, _ in self.now.cases.keys() - lost
        }

    def gone(self, cases: set[Identity]) -> set[Identity]:
        """Return those of some cases whose sources are not what they were."""
        assert self.now is not None
        there = self.sources.cases
        return {case for case in cases if not self.now.cases[case].is_copy_of(there.get(case))}


@contextlib.contextmanager
def small_shards() -> Iterator[None]:
    """Put two cases into a shard, so that few cases fill several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", SHARD_CASES)
        yield


def is_shard(path: str) -> bool:
    """Return whether a file of a cache holds voxels."""
    return path.split("/")[1:3] in (["image", "c"], ["label", "c"])
