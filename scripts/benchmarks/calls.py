"""Functions that do the same work take turns on one thread."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENOUGH = 0.05  # seconds that one figure is taken over, at least


def time_calls(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, least: int = 1
) -> dict[str, list[float]]:
    """Return milliseconds a call of each function, one figure a round.

    Args:
        calls: By name. Each is called once before, which may compile it.
        rounds: How often they take turns.
        least: Calls that one figure is the mean of, at least; many where calls differ by chance.
    """
    counts = {}
    for name, call in calls.items():
        call()
        start = perf_counter()
        call()
        counts[name] = max(least, round(ENOUGH / max(perf_counter() - start, 1e-9)))
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = perf_counter()
            for _ in range(counts[name]):
                call()
            spent[name].append((perf_counter() - start) / counts[name] * 1e3)
    return spent
