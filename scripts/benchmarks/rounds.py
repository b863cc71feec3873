"""Ways take turns, round by round, so that whatever else the machine does hits all of them."""

from __future__ import annotations

import gc
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.cases import check_way
from benchmarks.way import lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.way import Way


def make_ready(
    ways: Sequence[Way],
    cases: Cases,
    folder: Path,
    *,
    check: Callable[[Way, Cases], None] = check_way,
) -> tuple[list[Way], dict[str, str]]:
    """Prepare and prove every way that can run here.

    Args:
        ways: All of them.
        cases: The data.
        folder: Where each has a folder of its own.
        check: Refuses a way that does not deliver the data.

    Returns:
        Those that can, and why the others cannot.

    Raises:
        AssertionError: A way does not deliver the data.
    """
    able: list[Way] = []
    skipped: dict[str, str] = {}
    for number, way in enumerate(ways):
        own = folder / f"way-{number}"
        own.mkdir()
        reason = lacking(way)
        try:
            if reason is None:
                way.prepare(cases, own)
        except ImportError as error:
            reason = f"importing it failed: {error}"
        if reason is not None:
            skipped[way.name] = reason
            continue
        check(way, cases)
        way.close()
        able.append(way)
    return able, skipped


def time_rounds(ways: Sequence[Way], *, rounds: int, epochs: int) -> dict[str, list[float]]:
    """Return samples per second of each way, one figure a round.

    Args:
        ways: What takes turns.
        rounds: How often each way is timed.
        epochs: Epochs that one figure is taken over, where the way does not say otherwise.
    """
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(1, rounds + 1):
        for way in ways:
            rates[way.name].append(_rate(way, number, way.passes or epochs))
    return rates


def _rate(way: Way, number: int, epochs: int) -> float:
    gc.collect()
    batches = way.open(number, epochs)
    samples = 0
    start = perf_counter()
    for batch in batches:
        samples += len(batch[0])
        del batch  # as a training step would, before the next one is made
    spent = perf_counter() - start
    # What one way keeps in memory must not be there for the next: niicache's share one store.
    way.close()
    return samples / spent
