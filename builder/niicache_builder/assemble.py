"""From the results of units, new and old, to the contents of the cache to be."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from niicache.errors import Problem, SourceError
from niicache.format.manifest import ClassEntry, Manifest, Recipe, SkippedCase
from niicache.format.names import (
    CACHEDIR_SIGNATURE,
    CACHEDIR_TAG,
    FORMAT_VERSION,
    README,
    SKIPPED,
    WORK,
    shard_path,
)
from niicache_builder.attempt import KILLS_WORKER
from niicache_builder.commit import Contents, entry_of
from niicache_builder.duplicates import MISLEADING, duplicates
from niicache_builder.interrupts import held_back
from niicache_builder.meaning import voxel_warnings
from niicache_builder.plan import Plan, skipped_case
from niicache_builder.report.skipped import skipped_csv
from niicache_builder.reused import reused
from niicache_builder.spots import count_spots
from niicache_builder.statistics import MAX_LABEL_VALUES
from niicache_builder.work import layouts_of, staged_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from niicache.cache import Cache
    from niicache.format.facts import CaseFacts
    from niicache_builder.record import CaseRecord, UnitResult
    from niicache_builder.tables import ClassTable
    from niicache_builder.unit import Unit

README_TEXT = """This folder is a cache of training images, written by niicache.

It is one Zarr v3 hierarchy: any Zarr v3 library reads it. Each folder is a class; `image` and
`label` hold the voxels as (case, *spatial, channel), `cases` what is known of each case.
It can be built again from its sources. Do not change files in it: `niicache verify` would call
them damaged, and so would every training run that reads them.
"""

PASSING = frozenset({"unreadable", "too-large", "changed", KILLS_WORKER})
"""Problems of the moment: such a case is tried again even if its files stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """One class, put together from its units.

    Attributes:
        name: The class.
        records: One a slot, no vacancy at the end.
        units: The units that hold those slots, with their results.
    """

    name: str
    records: Sequence[CaseRecord | None]
    units: Sequence[tuple[Unit, UnitResult]]


def assemble(
    plan: Plan, target: Path, results: Mapping[str, UnitResult], old: Cache | None
) -> tuple[Contents, tuple[Problem, ...]]:
    """Put together everything that the commit will write, and what is odd about the voxels.

    Args:
        plan: What was to be done.
        target: Folder of the cache.
        results: Result of every unit in ``plan.todo``.
        old: The committed cache, which the other units are taken from.

    Raises:
        SourceError: Not one case could be read, or an image lies in two classes or splits and that
            is not allowed.
    """
    # zarr takes a quarter of a second to load: workers need not, nor what ends before this. Torn
    # out of it, Python would call Ctrl-C an error of the class that was being made.
    with held_back():
        from niicache_builder.tables import metadata_files

    recipe = plan.recipe
    classes = _classes(plan, results, old)
    failures = sorted(problem for result in results.values() for problem in result.failures)
    if not classes:
        raise SourceError(failures)
    warnings = _warnings(classes, plan)
    misleading = [one for one in warnings if one.code in MISLEADING]
    if misleading and plan.on_duplicates == "stop":
        raise SourceError(misleading)
    skipped = sorted((*plan.skipped, *_failed(failures, plan)))
    values = _label_values(classes)
    document, small = metadata_files(
        recipe, [_table(one, recipe, values) for one in classes], values, plan.columns
    )
    small |= {README: README_TEXT.encode(), CACHEDIR_TAG: CACHEDIR_SIGNATURE.encode()}
    if skipped:
        small[SKIPPED] = skipped_csv(skipped)
    shards = _shards(classes, recipe)
    files = {path: entry_of(data) for path, data in small.items()}
    files |= {path: result.files[array] for path, (_, result, array) in shards.items()}
    staged = {
        path: staged_path(target / WORK, unit.id, array)
        for path, (unit, _, array) in shards.items()
    }
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        recipe=recipe,
        classes=tuple(_entry(one, values, recipe) for one in classes),
        label_values=values,
        shards={f"{u.class_name}/{u.index}": r.key for one in classes for u, r in one.units},
        files=dict(sorted(files.items())),
        skipped=tuple(skipped),
        split=plan.split,
        columns=plan.columns,
        channels=_channels(plan),
    )
    waiting = {path: file for path, file in staged.items() if file.exists()}
    contents = Contents(manifest=manifest, document=document, small=small, staged=waiting)
    return contents, warnings


def _channels(plan: Plan) -> tuple[str, ...]:
    """Return the names of the channels, where the source gives one for each."""
    names = plan.scan.layout.channels
    return names if len(names) == plan.recipe.image.shape[-1] else ()


def _warnings(classes: Iterable[_Class], plan: Plan) -> tuple[Problem, ...]:
    records = {one.name: [record for record in one.records if record] for one in classes}
    root, kind = plan.scan.layout.root, plan.recipe.label_kind
    facts = {name: [record.facts for record in held] for name, held in records.items()}
    copies = duplicates(facts, root=root, split=plan.split, columns=plan.columns)
    return (*voxel_warnings(records, root=root, label_kind=kind), *copies)


def _shards(classes: Iterable[_Class], recipe: Recipe) -> dict[str, tuple[Unit, UnitResult, str]]:
    """Return path to unit, result and array of every shard of the cache to be."""
    return {
        shard_path(unit.class_name, array, unit.index, len(layout.chunk)): (unit, result, array)
        for one in classes
        for unit, result in one.units
        for array, layout in layouts_of(recipe).items()
    }


def _classes(plan: Plan, results: Mapping[str, UnitResult], old: Cache | None) -> list[_Class]:
    by_class: dict[str, list[tuple[Unit, UnitResult]]] = {}
    for unit in plan.units:
        result = results[unit.id] if unit.id in results else reused(unit, plan, old)
        by_class.setdefault(unit.class_name, []).append((unit, result))
    classes = []
    for name, pairs in by_class.items():
        records = [record for _, result in pairs for record in result.records]
        while records and records[-1] is None:
            records.pop()
        held = -(-len(records) // plan.recipe.image.shard_cases)
        if held:
            classes.append(_Class(name=name, records=records, units=pairs[:held]))
    return classes


def _table(one: _Class, recipe: Recipe, values: tuple[float, ...]) -> ClassTable:
    from niicache_builder.tables import ClassTable

    crcs: dict[str, list[int]] = {}
    for array, layout in layouts_of(recipe).items():
        needed = -(-len(one.records) // layout.chunk[0]) * layout.blocks
        every = (crc for _, result in one.units for crc in result.crcs[array])
        crcs[array] = list(itertools.islice(every, needed))
    return ClassTable(
        name=one.name,
        facts=[None if record is None else _final(record, values) for record in one.records],
        crcs=crcs,
        spots=[None if record is None else record.spots for record in one.records],
    )


def _final(record: CaseRecord, values: tuple[float, ...]) -> CaseFacts:
    counts = record.counts or {}
    return replace(record.facts, label_count=tuple(counts.get(value, 0) for value in values))


def _entry(one: _Class, values: tuple[float, ...], recipe: Recipe) -> ClassEntry:
    held = [record for record in one.records if record is not None]
    spots = None
    if recipe.spots is not None:
        grid = recipe.image.shape[:-1]
        spots = sum(count_spots(record.spots, values, grid) for record in held)
    return ClassEntry(name=one.name, cases=len(held), slots=len(one.records), spots=spots)


def _label_values(classes: Iterable[_Class]) -> tuple[float, ...]:
    """Return every label value, or nothing where any case has too many to be labels."""
    values: set[float] = set()
    for one in classes:
        for record in filter(None, one.records):
            if record.counts is None:
                return ()
            values |= record.counts.keys()
    return tuple(sorted(values)) if len(values) <= MAX_LABEL_VALUES else ()


def _failed(problems: Sequence[Problem], plan: Plan) -> Iterator[SkippedCase]:
    stamps = {case.identity: case.stamp for case in plan.scan.cases} if problems else {}
    for problem in problems:
        size, mtime_ns = stamps[problem.class_name, problem.case]
        if problem.code in PASSING:
            size, mtime_ns = 0, 0
        yield replace(skipped_case(problem, plan.scan.layout.root), size=size, mtime_ns=mtime_ns)
