"""What a build did, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from niicache_builder.report.plan import plan_json, planned_splits
from niicache_builder.report.splits import split_lines
from niicache_builder.report.units import counted, in_bytes
from niicache_builder.report.warned import warning_lines

if TYPE_CHECKING:
    from niicache_builder.build import Built

SCHEMA = "niicache.build/1"


def built_text(built: Built, path: str) -> str:
    """Return the result as lines."""
    manifest = built.manifest
    cases = sum(entry.cases for entry in manifest.classes)
    size = sum(entry.size for entry in manifest.files.values())
    image = manifest.recipe.image
    why = built.plan.decisions
    classes = counted(len(manifest.classes), "class")
    lines = [
        f"{path}: {counted(cases, 'case')} in {classes}, {in_bytes(size)} on disk",
        *(f"  {entry.name}: {entry.cases:,}" for entry in manifest.classes),
        f"images {image.shape} {image.dtype} ({why.dtype})",
        f"axes {why.spatial_dims}",
        f"labels {why.label_kind}",
        *(f"{name} {what}" for name, what in why.preparation.items()),
    ]
    if not built.changed:
        lines.append("nothing had changed, nothing was written")
    else:
        resumed = f", {built.resumed:,} were finished before" if built.resumed else ""
        lines.append(
            f"{built.written:,} of {counted(len(built.plan.units), 'shard')} written{resumed}"
        )
    gone = sorted(set(built.plan.scan.layout.classes) - {entry.name for entry in manifest.classes})
    if gone:
        lines.append(f"without a single case, and so not in the cache: class {', '.join(gone)}")
    skipped = {(entry.class_name, entry.case) for entry in manifest.skipped}
    lines += split_lines(planned_splits(built.plan, skipped))
    if manifest.skipped:
        lines.append(f"{counted(len(manifest.skipped), 'case')} skipped: {path}/skipped.csv")
    lines += warning_lines(built.warnings)
    return "\n".join(lines)


def built_json(built: Built, path: str) -> dict[str, Any]:
    """Return the result as a JSON object with its schema's version."""
    return {
        "schema": SCHEMA,
        "path": path,
        "changed": built.changed,
        "shards_written": built.written,
        "shards_resumed": built.resumed,
        "disk_bytes": sum(entry.size for entry in built.manifest.files.values()),
        "classes": built.manifest.to_json()["classes"],
        "skipped": [asdict(entry) for entry in built.manifest.skipped],
        "warnings": [warning.to_json() for warning in built.warnings],
        "splits": planned_splits(
            built.plan, {(entry.class_name, entry.case) for entry in built.manifest.skipped}
        ),
        "plan": plan_json(built.plan),
    }
