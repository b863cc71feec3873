"""What an interrupted build has finished already."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.format.names import WORK, shard_path
from niicache_builder.record import UnitResult, load_result
from niicache_builder.work import Staged, layouts_of, result_path, seal, staged_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from niicache.format.manifest import FileEntry
    from niicache_builder.plan import Plan
    from niicache_builder.unit import Unit


def finished(unit: Unit, plan: Plan, target: Path) -> UnitResult | None:
    """Return the result of a unit whose shards are whole, staged or in place already.

    Args:
        unit: One of the plan's.
        plan: What is being built.
        target: Folder of the cache.
    """
    work = target / WORK
    result = load_result(result_path(work, unit.id))
    if result is None:
        return None
    for array, layout in layouts_of(plan.recipe).items():
        path = target / shard_path(unit.class_name, array, unit.index, len(layout.chunk))
        entry = result.files.get(array)
        # A staged shard was synced before its record was written: its length is proof enough.
        # One in place may be of another generation, so its bytes have to be read.
        staged = staged_path(work, unit.id, array)
        if entry is None or not (_has_size(staged, entry) or is_file_of(path, entry)):
            return None
    return _grouped(result, unit)


def _grouped(result: UnitResult, unit: Unit) -> UnitResult:
    """Return a result with the groups of now: a unit is the same whatever groups its cases have."""
    records = tuple(
        record
        if record is None or case is None
        else replace(record, facts=replace(record.facts, group=case.files.group))
        for record, case in zip(result.records, unit.slots, strict=True)
    )
    return replace(result, records=records)


def adopt(units: Iterable[Unit], work: Path) -> None:
    """Make durable what a build had written when it was killed, and give it its names.

    Args:
        units: Those of the plan.
        work: Folder of the build, held by this one.

    Raises:
        OSError: The file system refused.
    """
    wanted = {unit.id for unit in units}
    for record in sorted(work.glob("*.json.*.partial")):
        result = load_result(record)
        if result is None or result.id not in wanted or result_path(work, result.id).exists():
            continue
        partials = {name: _written(work, result, name) for name in result.files}
        found = {name: path for name, path in partials.items() if path is not None}
        if len(found) == len(partials):
            seal(Staged(result=result, partials=found, record=record), work)


def forget(units: Iterable[Unit], work: Path) -> None:
    """Remove what was made of units whose sources turned out to be others; the rest stays.

    An interrupted build may go on from the rest, and without it nobody could tell what it has put
    in place.

    Args:
        units: Those units.
        work: Folder of the build.
    """
    for unit in units:
        for path in work.glob(f"{unit.id}.*"):
            path.unlink()


def _written(work: Path, result: UnitResult, array: str) -> Path | None:
    """Return a shard under its temporary name, or its own; its bytes are read to be sure."""
    path = staged_path(work, result.id, array)
    names = (path, *sorted(work.glob(f"{path.name}.*.partial")))
    return next((one for one in names if is_file_of(one, result.files[array])), None)


def _has_size(path: Path, entry: FileEntry) -> bool:
    try:
        return path.stat().st_size == entry.size
    except OSError:
        return False


def is_file_of(path: Path, entry: FileEntry) -> bool:
    """Return whether a file has the bytes that an entry says; reads all of it."""
    if not _has_size(path, entry):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
