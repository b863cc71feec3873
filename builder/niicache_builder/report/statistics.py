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
    from collections.abc import Sequence

    from niicache_builder.stats import ChannelStats, ClassStats, Stats

PIPE_WIDTH = 200
"""Columns for a table that goes into a file or a pipe, where nothing would be gained by folding."""

SHOWN_LABELS = 8

COLUMNS = (
    *("class", "cases", "share", "shape", "spacing mm"),
    *("channel", "range", "0.5 .. 99.5 %", "mean", "labels", "on disk", "ratio"),
)
LEFT = {"class", "channel"}


def stats_text(found: Stats) -> str:
    """Return the table as it suits stdout, styled if that is a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, highlight=False)
    table = Table()
    lone = found.shape[-1] == 1 and not found.channels
    titles = [title for title in COLUMNS if not (lone and title == "channel")]
    for title in titles:
        table.add_column(title, justify="left" if title in LEFT else "right")
    for one in found.classes:
        cells = dict(zip(COLUMNS, _row(one, found), strict=True))
        table.add_row(*(Text(cells[title]) for title in titles))
    with console.capture() as drawn:
        console.print(table)
    lines = [f"{found.path}: images {found.shape} {found.dtype}, labels {found.label_kind}"]
    lines += [f"{name} {what}" for name, what in found.preparation.items()]
    lines += drawn.get().splitlines()
    lines += split_lines(found.splits)
    if found.skipped:
        lines.append(f"{counted(found.skipped, 'case')} skipped; see skipped.csv")
    return "\n".join(lines)


def _row(one: ClassStats, found: Stats) -> tuple[str, ...]:
    return (
        inert(one.name),
        f"{one.cases:,}",
        f"{one.share:.1%}",
        _range(_join(one.shape_min, "d"), _join(one.shape_max, "d")),
        _range(_join(one.spacing_min, ".3g"), _join(one.spacing_max, ".3g")),
        *_of_channels(one.channels, found.channels),
        _labels(one, found.label_kind),
        in_bytes(one.disk_bytes),
        f"{one.ratio:.1f}",
    )


def _join(values: tuple[float, ...] | tuple[int, ...], style: str) -> str:
    return "x".join(format(value, style) for value in values)


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} .. {high}"


def _of_channels(channels: Sequence[ChannelStats], names: Sequence[str]) -> tuple[str, ...]:
    """Return the cells of what is said of each channel, a line each."""
    numbers = map(str, range(len(channels))) if len(channels) > 1 else "-"
    told = [inert(name) for name in names] or numbers
    rows = [(name, *_of_voxels(one)) for name, one in zip(told, channels, strict=True)]
    return tuple("\n".join(cell) for cell in zip(*rows, strict=True))


def _of_voxels(one: ChannelStats) -> tuple[str, str, str]:
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
