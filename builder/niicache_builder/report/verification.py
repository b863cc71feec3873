"""What a verification found, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from niicache.errors import listing
from niicache.inert import inert
from niicache_builder.report.units import in_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.errors import Problem
    from niicache_builder.verify import Verification

SCHEMA = "niicache.verify/1"


def verification_text(found: Verification, path: str) -> str:
    """Return the result as lines."""
    lines = [f"note: {note}" for note in found.notes]
    read = f"{found.files:,} files, {in_bytes(found.nbytes)} read"
    if found.problems:
        lines += [f"{path}: DAMAGED ({read})", detailed(found.problems)]
    else:
        lines.append(f"{path}: whole ({read}{_unread(found)})")
    if found.stale:
        lines += ["the sources are not those that it was made of", detailed(found.stale)]
    return "\n".join(lines)


def _unread(found: Verification) -> str:
    if found.quick:
        return "; voxels were not read (--quick)"
    number, parts = found.subset
    return f"; part {number} of {parts} of the voxels" if parts > 1 else ""


def verification_json(found: Verification, path: str) -> dict[str, Any]:
    """Return the result as a JSON object with its schema's version."""
    return {
        "schema": SCHEMA,
        "path": path,
        "whole": not found.problems,
        "quick": found.quick,
        "subset": list(found.subset),
        "files": found.files,
        "bytes_read": found.nbytes,
        "problems": [problem.to_json() for problem in found.problems],
        "stale": [problem.to_json() for problem in found.stale],
        "notes": list(found.notes),
    }


def detailed(problems: Sequence[Problem]) -> str:
    """Return one line a problem, and one that names its cases."""
    lines = listing(problems).splitlines()
    where = [inert(f"    class {p.class_name}, cases {p.case}") if p.case else "" for p in problems]
    told = [lines[0]]
    for line, cases in zip(lines[1:], where, strict=True):
        told += [line, cases] if cases else [line]
    return "\n".join(told)
