"""How many cases of each class every split has, in words."""

from __future__ import annotations

from niicache_builder.report.units import counted


def split_lines(counts: dict[str, dict[str, int]]) -> list[str]:
    """Return a line for each split."""
    return [
        f"split {name}: {counted(sum(classes.values()), 'case')} ("
        + ", ".join(f"{one} {count:,}" for one, count in classes.items())
        + ")"
        for name, classes in counts.items()
    ]
