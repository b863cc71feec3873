"""Short lives of a cache, beside a model in memory; scripts/soak goes through long ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from breaks.state_machine import explore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cache_is_what_the_model_says_after_every_step(seed: int, tmp_path: Path) -> None:
    explore(seed, tmp_path, runs=4, steps=12)
