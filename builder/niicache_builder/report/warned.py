"""Warnings, for people: one line a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.report.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.errors import Problem


def warning_lines(warnings: Iterable[Problem]) -> list[str]:
    """Return a line for each code, with the first of its warnings and how many there are."""
    kinds: dict[str, list[Problem]] = {}
    for warning in warnings:
        kinds.setdefault(warning.code, []).append(warning)
    return [
        f"warning: {found[0]}"
        + (f" (and {counted(len(found) - 1, 'more file')})" if len(found) > 1 else "")
        for found in kinds.values()
    ]
