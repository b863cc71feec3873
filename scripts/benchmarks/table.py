"""Figures of one workload, as rows: what is printed, and what ``--json`` gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TENS = 100  # figures below this are shown with two digits after the point


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way, over the rounds.

    Attributes:
        way: Its name.
        minimum: Smallest figure.
        median: The middle one.
        maximum: Largest figure.
        ratios: How many times as good its median is as that of each yardstick.
    """

    way: str
    minimum: float
    median: float
    maximum: float
    ratios: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One workload.

    Attributes:
        title: What was done.
        unit: Of the figures.
        rows: One a way.
        skipped: Ways that could not run, and why.
        facts: What the figures are of.
        remarks: What the reader of the table should know.
    """

    title: str
    unit: str
    rows: tuple[Row, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def make_rows(
    figures: Mapping[str, Sequence[float]],
    *,
    yardsticks: Mapping[str, str] | None = None,
    higher_is_better: bool = True,
) -> tuple[Row, ...]:
    """Return one row a way, compared with the yardsticks that are among them.

    Args:
        figures: Those of all rounds, by way.
        yardsticks: Ways that the others are compared with, by what the column is called.
        higher_is_better: True for rates, False for times.
    """
    middles = {way: median(all_of) for way, all_of in figures.items()}
    present = {name: way for name, way in (yardsticks or {}).items() if way in middles}

    def ratio(way: str, stick: str) -> float:
        quotient = middles[way] / middles[present[stick]]
        return quotient if higher_is_better else 1 / quotient

    return tuple(
        Row(
            way=way,
            minimum=min(all_of),
            median=middles[way],
            maximum=max(all_of),
            ratios={stick: ratio(way, stick) for stick in present},
        )
        for way, all_of in figures.items()
    )


def render(table: Table) -> str:
    """Return a table as aligned text."""
    width = 2 + max((len(row.way) for row in table.rows), default=0)
    sticks = list(table.rows[0].ratios) if table.rows else []
    head = f"{table.unit:{width}}{'min':>10}{'median':>10}{'max':>10}"
    lines = [f"== {table.title}"]
    lines += [", ".join(f"{name}: {fact}" for name, fact in table.facts.items())]
    lines += [head + "".join(f"  x {stick}" for stick in sticks)]
    for row in table.rows:
        figures = "".join(_number(n) for n in (row.minimum, row.median, row.maximum))
        ratios = "".join(f"{row.ratios[stick]:{len(stick) + 4}.2f}" for stick in sticks)
        lines.append(f"{row.way:{width}}{figures}{ratios}")
    lines += [f"skipped: {way}: {reason}" for way, reason in table.skipped.items()]
    lines += table.remarks
    return "\n".join(line for line in lines if line)


def _number(value: float) -> str:
    return f"{value:10,.0f}" if value >= TENS else f"{value:10,.2f}"
