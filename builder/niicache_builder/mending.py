"""From what is left of a cache, and what was done again, to the cache as it was. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache.format.names import shard_path
from niicache_builder.cases import Layout
from niicache_builder.plan import Plan, skipped_case
from niicache_builder.recipe import Decisions
from niicache_builder.record import CaseRecord, UnitResult
from niicache_builder.room import disk_bytes, worker_bytes
from niicache_builder.scan import Scan
from niicache_builder.unit import Unit, make_unit
from niicache_builder.work import layouts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from niicache.format.manifest import Manifest
    from niicache_builder.commit import Contents
    from niicache_builder.reread import Place, Sources
    from niicache_builder.salvage import ClassSalvage, Crcs

AS_IT_WAS = "as the cache has it"


def shards_to_do(
    manifest: Manifest, damaged: Collection[str], left: Mapping[str, ClassSalvage]
) -> frozenset[Place]:
    """Return the shards that sources are needed for.

    Those that are damaged; and all of a class of which a column is, because it tells facts of
    voxels.
    """
    recipe = manifest.recipe
    return frozenset(
        (entry.name, index)
        for entry in manifest.classes
        for index in range(-(-entry.slots // recipe.image.shard_cases))
        if not left[entry.name].is_known
        or any(path in damaged for _, path in shard_paths(manifest, entry.name, index))
    )


def shard_paths(manifest: Manifest, class_name: str, index: int) -> Iterator[tuple[str, str]]:
    """Yield array and path of the files of a shard."""
    for array, layout in layouts_of(manifest.recipe).items():
        yield array, shard_path(class_name, array, index, len(layout.chunk))


def make_mending_plan(manifest: Manifest, todo: Collection[Place], sources: Sources) -> Plan:
    """Return the plan that writes some shards again, and leaves the others as they are."""
    recipe, size = manifest.recipe, manifest.recipe.image.shard_cases
    units: list[Unit] = []
    for entry in manifest.classes:
        for index, start in enumerate(range(0, entry.slots, size)):
            slots = range(start, min(start + size, entry.slots))
            held = [sources.cases.get((entry.name, slot)) for slot in slots]
            again = (entry.name, index) in todo
            units.append(make_unit(entry.name, index, tuple(held) if again else (), recipe))
    doing = tuple(unit for unit in units if (unit.class_name, unit.index) in todo)
    lost = tuple(sorted(sources.lost.values()))
    cases = tuple(sources.cases.values())
    classes = tuple(entry.name for entry in manifest.classes)
    files = tuple(case.files for case in cases)
    layout = Layout(
        name="",
        reason=AS_IT_WAS,
        root=sources.root,
        classes=classes,
        cases=files,
        channels=manifest.channels,
    )
    return Plan(
        scan=Scan(layout=layout, cases=cases, problems=lost, warnings=()),
        recipe=recipe,
        decisions=Decisions(
            spatial_dims=AS_IT_WAS,
            label_kind=AS_IT_WAS,
            shape=AS_IT_WAS,
            dtype=AS_IT_WAS,
            chunk=AS_IT_WAS,
            codec=AS_IT_WAS,
        ),
        slots={},
        units=tuple(units),
        todo=doing,
        skipped=(*manifest.skipped, *(skipped_case(problem, sources.root) for problem in lost)),
        problems=lost,
        warnings=(),
        previous=None,
        split=manifest.split,
        on_duplicates="warn",
        columns=manifest.columns,
        disk_bytes=sum(disk_bytes(unit, recipe) for unit in doing),
        worker_bytes=worker_bytes(cases, recipe) if cases else 0,
    )


def all_results(
    plan: Plan,
    manifest: Manifest,
    left: Mapping[str, ClassSalvage],
    done: Mapping[str, UnitResult],
    crcs: Crcs,
) -> dict[str, UnitResult]:
    """Return a result of every unit: what was done again, and the others as the cache has them.

    Args:
        plan: Of the mending.
        manifest: Of the damaged cache.
        left: What is left of it.
        done: Results of the units that were done again.
        crcs: Checksums of the shards that are sound.
    """
    results = {}
    for unit in plan.units:
        one = left[unit.class_name]
        if unit.id not in done:
            results[unit.id] = _as_it_was(unit, manifest, one, crcs)
        else:
            again = _with_known(done[unit.id], unit, manifest, one)
            whole = again.key == _key(manifest, unit)
            results[unit.id] = _with_sound(again, unit, manifest, crcs) if whole else again
    return results


def _key(manifest: Manifest, unit: Unit) -> str:
    return manifest.shards[f"{unit.class_name}/{unit.index}"]


def _as_it_was(unit: Unit, manifest: Manifest, one: ClassSalvage, crcs: Crcs) -> UnitResult:
    size = manifest.recipe.image.shard_cases
    slots = range(unit.index * size, min((unit.index + 1) * size, one.slots))
    records = [_record(one, slot, manifest) for slot in slots]
    paths = dict(shard_paths(manifest, unit.class_name, unit.index))
    return UnitResult(
        id=unit.id,
        key=_key(manifest, unit),
        records=tuple(records),
        failures=(),
        files={array: manifest.files[path] for array, path in paths.items()},
        crcs={array: crcs[unit.class_name, array, unit.index] for array in paths},
    )


def _record(one: ClassSalvage, slot: int, manifest: Manifest) -> CaseRecord | None:
    facts = one.facts(slot)
    if facts is None or one.spots is None:
        return None
    values = manifest.label_values
    counts = {v: n for v, n in zip(values, facts.label_count, strict=True) if n}
    return CaseRecord(facts=facts, counts=counts if values else None, spots=one.spots[slot])


def _with_known(
    result: UnitResult, unit: Unit, manifest: Manifest, one: ClassSalvage
) -> UnitResult:
    """Return a result with what the cache knew: times of files that were only touched, say."""
    start = unit.index * manifest.recipe.image.shard_cases
    records: list[CaseRecord | None] = []
    for slot, record in enumerate(result.records, start):
        if record is None:
            records.append(None)
            continue
        known = {name: values[slot] for name, values in one.columns.items()}
        known.pop("label_count", None)  # follows from the counts
        counts = record.counts if manifest.label_values else None
        records.append(replace(record, facts=replace(record.facts, **known), counts=counts))
    return replace(result, records=tuple(records))


def _with_sound(result: UnitResult, unit: Unit, manifest: Manifest, crcs: Crcs) -> UnitResult:
    """Return a result with the shards that are sound as they are."""
    files, checksums = dict(result.files), dict(result.crcs)
    for array, path in shard_paths(manifest, unit.class_name, unit.index):
        sound = crcs.get((unit.class_name, array, unit.index))
        if sound is not None:
            files[array], checksums[array] = manifest.files[path], sound
    return replace(result, files=files, crcs=checksums)


def unproven(
    plan: Plan, manifest: Manifest, done: Mapping[str, UnitResult], lost: Collection[Place]
) -> list[Problem]:
    """Return the shards that came out of other sources than the manifest says.

    A shard that lacks cases has another key by right; its cases were compared one by one.
    """
    size = manifest.recipe.image.shard_cases
    short = {(name, slot // size) for name, slot in lost}
    return [
        Problem(
            code="source-changed",
            path=str(plan.scan.layout.root),
            got=f"other sources of shard {unit.index}",
            expected=f"key {_key(manifest, unit):.16}",
            hint="find the sources that the cache was built from, or build it again",
            class_name=unit.class_name,
            case=", ".join(case.files.name for case in unit.slots if case),
        )
        for unit in plan.todo
        if (unit.class_name, unit.index) not in short
        and not done[unit.id].failures
        and done[unit.id].key != _key(manifest, unit)
    ]


def only_mended(contents: Contents, manifest: Manifest, damaged: Collection[str]) -> Contents:
    """Return contents that leave every sound file as it is, where no case was lost.

    Another version of a library may write other bytes that mean the same; then a mended shard has
    other checksums too.
    """
    new = contents.manifest.files
    mended = {
        path
        for path, entry in new.items()
        if path in damaged or ("/chunks/" in path and manifest.files.get(path) != entry)
    }
    files = {path: new[path] if path in mended else entry for path, entry in manifest.files.items()}
    return replace(
        contents,
        manifest=replace(manifest, files=files),
        small={path: data for path, data in contents.small.items() if path in mended},
        staged={path: file for path, file in contents.staged.items() if path in mended},
    )
