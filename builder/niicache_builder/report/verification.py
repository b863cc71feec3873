"""What a verification found, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from niicache.errors import listing
from niicache_builder.report.units import in_bytes

if TYPE_CHECKING:
    from niicache_builder.verify import Verification

SCHEMA = "niicache.verify/1"


def verification_text(found: Verification, path: str) -> str:
    """Return the result as lines."""
    lines = [f"note: {note}" for note in found.notes]
    read = f"{found.files:,} files, {in_bytes(found.nbytes)} read"
    if found.problems:
        return "\n".join([*lines, f"{path}: DAMAGED ({read})", _detailed(found)])
    voxels = "; voxels were not read (--quick)" if found.quick else ""
    return "\n".join([*lines, f"{path}: whole ({read}{voxels})"])


def verification_json(found: Verification, path: str) -> dict[str, Any]:
    """Return the result as a JSON object with its schema's version."""
    return {
        "schema": SCHEMA,
        "path": path,
        "whole": not found.problems,
        "quick": found.quick,
        "files": found.files,
        "bytes_read": found.nbytes,
        "problems": [problem.to_json() for problem in found.problems],
        "notes": list(found.notes),
    }


def _detailed(found: Verification) -> str:
    lines = listing(found.problems).splitlines()
    where = [f"    class {p.class_name}, cases {p.case}" if p.case else "" for p in found.problems]
    detailed = [lines[0]]
    for line, cases in zip(lines[1:], where, strict=True):
        detailed += [line, cases] if cases else [line]
    return "\n".join(detailed)
