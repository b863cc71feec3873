"""Write again what is damaged of a cache, from its sources, and nothing else."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.cache import Cache, open_cache
from niicache.errors import DamageError, OptionError, Problem, SourceError
from niicache.files import retired
from niicache.format.names import WORK
from niicache.options import check_count
from niicache_builder.assemble import assemble
from niicache_builder.commit import clean_up, clean_up_failed, commit
from niicache_builder.durable import partial_name, settle
from niicache_builder.examine import Examination, examine
from niicache_builder.execute import execute, said_by
from niicache_builder.foreign import in_the_way, make_way, remove
from niicache_builder.lock import hold
from niicache_builder.machine import check_disk, check_memory
from niicache_builder.mending import (
    all_results,
    make_mending_plan,
    only_mended,
    shards_to_do,
    unproven,
)
from niicache_builder.options import default_workers
from niicache_builder.progress import Progress, Silent
from niicache_builder.refusals import check_classes, check_proof, check_same
from niicache_builder.reread import Sources, reread
from niicache_builder.resume import forget
from niicache_builder.salvage import ClassSalvage, salvage, sound_crcs
from niicache_builder.verify import problems_of
from niicache_builder.workers import ready_workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache_builder.commit import Contents
    from niicache_builder.plan import Plan

QUARANTINE = "bring it back, or say --quarantine to go on without the case"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair did.

    Attributes:
        mended: Paths of files that were damaged and are whole again, or went with their class.
        quarantined: Cases that the cache holds no more, and why.
        removed: What did not belong in the cache and went.
        left: What does not belong in the cache and is still there.
    """

    mended: tuple[str, ...] = ()
    quarantined: tuple[Problem, ...] = ()
    removed: tuple[str, ...] = ()
    left: tuple[Problem, ...] = ()


def repair(
    path: str | Path,
    source: str | Path | None = None,
    *,
    quarantine: bool = False,
    remove_unexpected: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Repaired:
    """Make a damaged cache what it was.

    Nothing is changed unless all of it can be mended. Sound files are not touched, and a file
    counts as damaged until the one in its place is durable, so this may be interrupted and
    repeated.

    Args:
        path: Folder of the cache.
        source: What it was built from; not needed where only files without voxels are damaged.
        quarantine: Leave out cases whose sources are gone or changed: their slots become vacant.
        remove_unexpected: Delete what does not belong in a cache.
        workers: Processes; 0 works in this one; the CPUs of this process if None.
        progress: Told how it goes.

    Raises:
        NotACacheError, UncommittedError: There is no cache there.
        FormatError: The manifest is damaged, and with it what everything else is proven by.
        OptionError: Sources are needed and not given.
        SourceError: Sources are gone or changed, and quarantine was not asked for.
        DamageError: Something that does not belong there is in the way.
        LockedError: A build, or another repair, holds the cache.
        DiskError, NoMemoryError, InterruptedBuildError: As a build.
    """
    target = Path(path).expanduser()
    progress = progress or Silent()
    workers = default_workers() if workers is None else workers
    check_count("workers", workers, 0)
    with said_by(target):
        cache = open_cache(target)
        found = examine(cache, (), progress)
        foreign = [name for name, one in found.wrong.items() if one.kind == "unexpected"]
        removed = tuple(foreign) if remove_unexpected else ()
        if not remove_unexpected:
            _check_way(cache, found)
        job = _Job(cache, found, workers=workers, quarantine=quarantine, progress=progress)
        quarantined: tuple[Problem, ...] = ()
        if job.damaged:
            quarantined = job.mend(None if source is None else Path(source), removed)
        elif removed:
            with hold(target):
                check_same(cache)
                remove(target, removed)
                clean_up_failed(target)
    left = () if remove_unexpected else tuple(_problems(cache, found, foreign))
    return Repaired(
        mended=tuple(sorted(job.damaged)), quarantined=quarantined, removed=removed, left=left
    )


def _check_way(cache: Cache, found: Examination) -> None:
    names = in_the_way(cache.path, found.wrong)
    if names:
        hint = "move it away, or say --remove-unexpected"
        problems = _problems(cache, found, names)
        raise DamageError([replace(problem, hint=hint) for problem in problems])


def _problems(cache: Cache, found: Examination, names: list[str]) -> list[Problem]:
    some = replace(found, wrong={name: found.wrong[name] for name in names})
    return list(problems_of(cache, some, deep=False))


class _Job:
    """One repair of one cache.

    Attributes:
        damaged: Paths that are damaged, or elsewhere since a rebuild was interrupted.
    """

    def __init__(
        self,
        cache: Cache,
        found: Examination,
        *,
        workers: int,
        quarantine: bool,
        progress: Progress,
    ) -> None:
        wrong = {name for name, one in found.wrong.items() if one.kind != "unexpected"}
        self.damaged = frozenset(wrong | found.kept)
        self._cache, self._kept = cache, found.kept
        self._workers, self._quarantine, self._progress = workers, quarantine, progress

    def mend(self, source: Path | None, foreign: tuple[str, ...]) -> tuple[Problem, ...]:
        """Write again what is damaged, delete what is foreign, return the cases left out."""
        cache, target = self._cache, self._cache.path
        left = salvage(cache, self.damaged - self._kept)
        todo = shards_to_do(cache.manifest, self.damaged - self._kept, left)
        sources = self._sources(left, todo, source)
        plan = make_mending_plan(cache.manifest, todo, sources)
        if plan.scan.cases:
            check_memory(plan)
            check_disk(plan, target)
            if self._workers:
                ready_workers()
        with hold(target):
            check_same(cache)
            contents, lost = self._done(plan, sources, left)
            remove(target, foreign)
            make_way(target, self.damaged)
            commit(target, contents, cache.manifest, damaged=self.damaged)
            clean_up(target)
        return lost

    def _sources(
        self,
        left: Mapping[str, ClassSalvage],
        todo: frozenset[tuple[str, int]],
        source: Path | None,
    ) -> Sources:
        if not todo:
            return Sources(root=self._cache.path, cases={}, lost={})
        if source is None:
            raise OptionError(
                f"source: got none, expected what {self._cache.path} was built from, because "
                f"{len(todo):,} shards have to be written again; give --source"
            )
        sources = reread(self._cache, left, todo, source, self._progress)
        if sources.lost and not self._quarantine:
            lost = (replace(problem, hint=QUARANTINE) for problem in sources.lost.values())
            raise SourceError(sorted(lost))
        check_classes(self._cache.manifest, sources.lost.values())
        check_proof(self._cache, left, sources)
        return sources

    def _done(
        self, plan: Plan, sources: Sources, left: Mapping[str, ClassSalvage]
    ) -> tuple[Contents, tuple[Problem, ...]]:
        """Do the work; return what the cache shall be, and the cases that it will lack."""
        cache, target = self._cache, self._cache.path
        manifest = cache.manifest
        done, _ = execute(
            plan, target, self._workers, skip=self._quarantine, progress=self._progress
        )
        unlike = unproven(plan, manifest, done, sources.lost)
        if unlike:
            forget(plan.todo, target / WORK)
            clean_up_failed(target)
            raise SourceError(sorted(unlike))
        crcs = sound_crcs(cache, left, self.damaged - self._kept, self._kept)
        results = all_results(plan, manifest, left, done, crcs)
        contents, _ = assemble(plan, target, results, cache)
        failures = [problem for result in done.values() for problem in result.failures]
        lost = tuple(sorted((*sources.lost.values(), *failures)))
        check_classes(manifest, lost)
        if not lost:
            contents = only_mended(contents, manifest, self.damaged)
        contents = self._without_sound(contents)
        return replace(contents, staged={**contents.staged, **self._from_retired(contents)}), lost

    def _without_sound(self, contents: Contents) -> Contents:
        """Leave shards alone that are sound, though one beside them was done again."""
        old, new = self._cache.manifest.files, contents.manifest.files
        staged = {
            path: file
            for path, file in contents.staged.items()
            if path in self.damaged or new[path] != old.get(path)
        }
        return replace(contents, staged=staged)

    def _from_retired(self, contents: Contents) -> dict[str, Path]:
        """Stage the shards that an interrupted rebuild put aside and that shall stay."""
        root, old = self._cache.path, self._cache.manifest.files
        staged = {}
        for number, path in enumerate(sorted(self._kept)):
            entry = contents.manifest.files.get(path)
            if entry == old[path] and path not in {*contents.small, *contents.staged}:
                staged[path] = root / WORK / f"kept{number}"
                partial = partial_name(staged[path])
                shutil.copyfile(retired(root, entry), partial)
                settle(partial, staged[path])
        return staged
