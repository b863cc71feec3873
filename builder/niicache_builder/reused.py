"""What an unchanged shard of the committed cache would give if it were done again."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from niicache.format.names import shard_path
from niicache_builder.previous import refreshed
from niicache_builder.record import CaseRecord, UnitResult, unit_key
from niicache_builder.spots import spots_of
from niicache_builder.work import layouts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.cache import Cache
    from niicache.format.facts import CaseFacts
    from niicache.format.manifest import ArrayLayout
    from niicache_builder.plan import Plan
    from niicache_builder.unit import Unit


def reused(unit: Unit, plan: Plan, old: Cache | None) -> UnitResult:
    """Return the result of a unit whose shard stays as it is.

    Args:
        unit: The unit.
        plan: That it is of.
        old: The committed cache.
    """
    if old is None or plan.previous is None:
        raise AssertionError(f"{unit.class_name}/{unit.index} is neither done nor there")
    size = plan.recipe.image.shard_cases
    begin = unit.index * size
    facts = plan.previous.slots[unit.class_name][begin : begin + size]
    values = old.manifest.label_values
    view = old[unit.class_name]
    spots = None if plan.recipe.spots is None else view.spots()
    records = tuple(
        None
        if case is None or before is None
        else CaseRecord(
            facts=refreshed(before, case),
            counts=_counts(values, before) if values else None,
            spots={} if spots is None else spots_of(spots[0][slot], spots[1], values),
        )
        for slot, case, before in zip(itertools.count(begin), unit.slots, facts, strict=False)
    )
    layouts = layouts_of(plan.recipe)
    return UnitResult(
        id=unit.id,
        key=unit_key(plan.recipe, records),
        records=records,
        failures=(),
        files={
            array: old.manifest.files[shard_path(view.name, array, unit.index, len(layout.chunk))]
            for array, layout in layouts.items()
        },
        crcs={
            array: tuple(view.crcs(array)[_chunks_of(unit.index, layout)].tolist())
            for array, layout in layouts.items()
        },
    )


def _counts(values: Sequence[float], facts: CaseFacts) -> dict[float, int]:
    """Return how often each value occurs in a case; values of other cases alone do not count."""
    return {v: n for v, n in zip(values, facts.label_count, strict=True) if n}


def _chunks_of(index: int, layout: ArrayLayout) -> slice:
    return slice(index * layout.shard_chunks, (index + 1) * layout.shard_chunks)
