"""Lets the tests of the builder import ``building``, what they share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make shards of three cases, so that a handful of cases fills several."""
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 3)
    return 3
