"""What docs/reliability.md promises, after a few breaks of each kind; scripts/soak makes many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from breaks import BREAKS, CALLS, FOUND, CannotBreakError, flipped_bits
from breaks.failing_call import calls
from breaks.tiny import TASKS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name, one in BREAKS.items() for seed in one.tests],
)
def test_what_is_promised_holds(name: str, seed: int, tmp_path: Path) -> None:
    try:
        BREAKS[name].once(seed, tmp_path)
    except CannotBreakError as error:
        pytest.skip(str(error))


def test_every_byte_has_its_turn() -> None:
    assert max(flipped_bits.sizes().values()) <= BREAKS["flipped-bits"].soak


def test_every_call_has_its_turn() -> None:
    try:
        counts = [calls(task) for task in TASKS]
    except CannotBreakError as error:
        pytest.skip(str(error))
    assert 0.9 * CALLS < sum(counts) <= CALLS
    assert set(FOUND) & set(range(counts[0] - 3, counts[0] + 1))
