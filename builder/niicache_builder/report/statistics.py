"""Statistics of a cache as a table."""

from __future__ import annotations

import math
import shutil
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from niicache.inert import inert
from niicache_builder.report.splits import split_lines
from niicache_builder.report.units import counted, in_bytes

if TYPE_CHECKING:
    from niicache_builder.stats import ClassStats, Stats

PIPE_WIDTH = 200
"""Columns for a table that goes into a file or a pipe, where nothing would be gained by folding."""

SHOWN_LABELS = 8


def stats_text(found: Stats) -> str:
    """Return the table as it suits stdout, styled if that is a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, highlight=False)
    table = Table()
    for title in ("class", "cases", "share", "shape", "spacing mm", "range"):
        table.add_column(title, justify="left" if title == "class" else "right")
    for title in ("0.5 .. 99.5 %", "mean", "labels", "on disk", "ratio"):
        table.add_column(title, justify="right")
    for one in found.classes:
        table.add_row(*map(Text, _row(one, found.label_kind)))
    with console.capture() as drawn:
        console.print(table)
    lines = [f"{found.path}: images {found.shape} {found.dtype}, labels {found.label_kind}"]
    lines += [f"{name} {what}" for name, what in found.preparation.items()]
    if found.channels:
        lines.append(f"channels: {', '.join(map(inert, found.channels))}")
    lines += drawn.get().splitlines()
    lines += split_lines(found.splits)
    if found.skipped:
        lines.append(f"{counted(found.skipped, 'case')} skipped; see skipped.csv")
    return "\n".join(lines)


def _row(one: ClassStats, label_kind: str) -> tuple[str, ...]:
    return (
        inert(one.name),
        f"{one.cases:,}",
        f"{one.share:.1%}",
        _range(_join(one.shape_min, "d"), _join(one.shape_max, "d")),
        _range(_join(one.spacing_min, ".3g"), _join(one.spacing_max, ".3g")),
        *_of_voxels(one),
        _labels(one, label_kind),
        in_bytes(one.disk_bytes),
        f"{one.ratio:.1f}",
    )


def _join(values: tuple[float, ...] | tuple[int, ...], style: str) -> str:
    return "x".join(format(value, style) for value in values)


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} .. {high}"


def _of_voxels(one: ClassStats) -> tuple[str, str, str]:
    if math.isnan(one.mean):
        return f"none of {one.nonfinite:,} finite", "-", "-"
    odd = f", {one.nonfinite:,} not finite" if one.nonfinite else ""
    return (
        f"{one.minimum:g} .. {one.maximum:g}{odd}",
        f"{one.low:g} .. {one.high:g}",
        f"{one.mean:.4g}",
    )


def _labels(one: ClassStats, kind: str) -> str:
    if kind == "vector" and len(one.labels) > SHOWN_LABELS:
        # Measures rather than codes: how often each occurs says nothing.
        values = [float(value) for value in one.labels]
        return f"{len(values)} values, {min(values):g} .. {max(values):g}"
    total = sum(one.labels.values())
    shown = [f"{value}: {n / total:.1%}" for value, n in list(one.labels.items())[:SHOWN_LABELS]]
    return ", ".join(shown + ["..."] * (len(one.labels) > SHOWN_LABELS)) or "-"
