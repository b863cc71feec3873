"""Short lives of a cache, beside a model in memory; scripts/soak goes through long ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from breaks.state_machine import explore

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cache_is_what_the_model_says_after_every_step(tmp_path: Path) -> None:
    explore(2, tmp_path, runs=7, steps=12)
