"""What a repair did, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from niicache_builder.report.units import counted
from niicache_builder.report.verification import detailed

if TYPE_CHECKING:
    from niicache_builder.repair import Repaired

SCHEMA = "niicache.repair/1"


def repaired_text(done: Repaired, path: str) -> str:
    """Return the result as lines."""
    lines = [f"{path}: nothing was damaged"]
    if done.mended:
        lines = [f"{path}: {counted(len(done.mended), 'damaged file')} mended"]
        lines += [f"  {name}" for name in done.mended]
    if done.removed:
        lines.append(f"{counted(len(done.removed), 'file')} removed that did not belong there")
        lines += [f"  {name}" for name in done.removed]
    if done.quarantined:
        lines += ["left out, see skipped.csv:", detailed(done.quarantined)]
    if done.left:
        lines += [
            "what does not belong there was left; --remove-unexpected deletes it:",
            detailed(done.left),
        ]
    return "\n".join(lines)


def repaired_json(done: Repaired, path: str) -> dict[str, Any]:
    """Return the result as a JSON object with its schema's version."""
    return {
        "schema": SCHEMA,
        "path": path,
        "mended": list(done.mended),
        "quarantined": [problem.to_json() for problem in done.quarantined],
        "removed": list(done.removed),
        "left": [problem.to_json() for problem in done.left],
    }
