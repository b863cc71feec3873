"""A plan, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from niicache.splits import Member, split_counts
from niicache_builder.report.splits import split_lines
from niicache_builder.report.units import counted, in_bytes
from niicache_builder.report.warned import warning_lines
from niicache_builder.room import decoded_bytes

if TYPE_CHECKING:
    from collections.abc import Collection

    from niicache.format.manifest import ArrayLayout
    from niicache_builder.plan import Plan

SCHEMA = "niicache.plan/1"


def plan_text(plan: Plan) -> str:
    """Return the plan as lines: what, and why."""
    recipe, why, layout = plan.recipe, plan.decisions, plan.scan.layout
    todo = len(plan.todo)
    lines = [
        f"source   {layout.root / layout.table}: {layout.name} layout",
        f"axes     {why.spatial_dims}",
        f"labels   {why.label_kind}",
        f"shape    {recipe.image.shape}, channel last ({why.shape})",
        *(f"{name:<8} {what}" for name, what in why.preparation.items()),
        f"dtype    {recipe.image.dtype} ({why.dtype})",
        f"image    {_layout_text(recipe.image)} ({why.chunk})",
    ]
    if recipe.label is not None:
        lines.append(
            f"label    {recipe.label.shape} {recipe.label.dtype}, {_layout_text(recipe.label)}"
        )
    lines.append(f"codec    {why.codec}")
    for name, slots in plan.slots.items():
        cases = sum(map(bool, slots))
        shards = -(-len(slots) // recipe.image.shard_cases)
        lines.append(f"class    {name}: {counted(cases, 'case')} in {counted(shards, 'shard')}")
    lines += [
        f"to write {todo:,} of {counted(len(plan.units), 'shard')}",
        f"on disk  at most about {in_bytes(plan.disk_bytes)} more",
        f"decoded  {in_bytes(_decoded(plan))} in memory",
        f"building about {in_bytes(plan.worker_bytes)} of memory a worker",
    ]
    lines += split_lines(planned_splits(plan))
    if plan.skipped:
        lines.append(f"skipped  {counted(len(plan.skipped), 'case')}:")
        lines += [f"  {problem}" for problem in plan.problems]
    lines += warning_lines(plan.warnings)
    return "\n".join(lines)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as a JSON object with its schema's version."""
    return {
        "schema": SCHEMA,
        "layout": {"name": plan.scan.layout.name, "reason": plan.scan.layout.reason},
        "decisions": asdict(plan.decisions),
        "recipe": plan.recipe.to_json(),
        "classes": [
            {"name": name, "cases": sum(map(bool, slots)), "slots": len(slots)}
            for name, slots in plan.slots.items()
        ],
        "splits": planned_splits(plan),
        "shards": len(plan.units),
        "shards_to_write": len(plan.todo),
        "disk_bytes": plan.disk_bytes,
        "decoded_bytes": _decoded(plan),
        "worker_bytes": plan.worker_bytes,
        "problems": [problem.to_json() for problem in plan.problems],
        "warnings": [warning.to_json() for warning in plan.warnings],
        "notes": list(plan.scan.layout.notes),
    }


def planned_splits(
    plan: Plan, skipped: Collection[tuple[str, str]] = ()
) -> dict[str, dict[str, int]]:
    """Return split to class to number of cases.

    Args:
        plan: What was planned.
        skipped: (class, case) of those that do not come into the cache after all.
    """
    out = {(entry.class_name, entry.case) for entry in plan.skipped} | set(skipped)
    files = (case.files for case in plan.scan.cases if case.identity not in out)
    members = (Member(one.class_name, one.name, one.group) for one in files)
    return split_counts(plan.split, members)


def _decoded(plan: Plan) -> int:
    return decoded_bytes(map(len, plan.slots.values()), plan.recipe)


def _layout_text(layout: ArrayLayout) -> str:
    codec = "not compressed"
    if layout.codec is not None:
        codec = f"{layout.codec.cname} {layout.codec.clevel}"
    return f"chunks {layout.chunk}, {layout.shard_cases:,} cases a shard, {codec}"
