"""How many cases of each class every split has, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.splits import Member, split_of
from niicache_builder.report.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.format.manifest import SplitRule


def split_counts(rule: SplitRule | None, members: Iterable[Member]) -> dict[str, dict[str, int]]:
    """Return split to class to number of cases; nothing where nothing is split.

    Classes and splits without a case are there with 0.
    """
    if rule is None:
        return {}
    known = list(members)
    classes = sorted({member.class_name for member in known})
    counts = {name: dict.fromkeys(classes, 0) for name, _ in rule.shares}
    for member in known:
        counts[split_of(rule, member)][member.class_name] += 1
    return counts


def split_lines(counts: dict[str, dict[str, int]]) -> list[str]:
    """Return a line for each split."""
    return [
        f"split {name}: {counted(sum(classes.values()), 'case')} ("
        + ", ".join(f"{one} {count:,}" for one, count in classes.items())
        + ")"
        for name, classes in counts.items()
    ]
