"""Ways to break niicache on purpose, and how often each is done.

A break is a module with ``once(seed: int, folder: Path) -> None``: it breaks something in an empty
folder, in a way that the seed decides, and raises AssertionError when a promise did not hold. To
add one, write the module and give it a line in :data:`BREAKS`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What the tests of the builder share is of use here too.
sys.path.insert(0, str(Path(__file__).parents[1] / "builder"))


class CannotBreakError(Exception):
    """This machine lacks what the break needs; says what."""


@dataclass(frozen=True, slots=True)
class Break:
    """A break and its figures.

    Attributes:
        module: Name of the module in this package.
        tests: Seeds that every run of the tests goes through; none where other tests do.
        soak: How many seeds ``scripts/soak`` goes through, from 0 on.
        in_memory: Whether no question of it is one of the disk: ``scripts/soak`` then gives it a
            folder in memory where the system has one. On disks to make and remove hundreds of
            tiny files takes several times as long as the breaking.
    """

    module: str
    tests: Sequence[int]
    soak: int
    in_memory: bool = False

    @property
    def once(self) -> Callable[[int, Path], None]:
        """What does it, for a seed, in an empty folder."""
        found: Callable[[int, Path], None] = import_module(f"breaks.{self.module}").once
        return found


CALLS = 1800
"""Calls of both builds of ``failing-call``, and a few more, because some are counted twice then."""

FOUND = (754, 755, 766, 775)
"""Calls that found something once: the last two of a first build, reading what there was before."""

BREAKS = {
    "killed-build": Break("killed_build", tests=range(10), soak=400),  # 5 kills each
    "power-loss": Break("power_loss", tests=range(5), soak=200),
    "failing-call": Break("failing_call", tests=(*range(0, CALLS, 20), *FOUND), soak=CALLS),
    "small-disk": Break("small_disk", tests=range(10), soak=100),
    "two-builds": Break("two_builds", tests=range(20), soak=500),
    "dead-worker": Break("dead_worker", tests=range(5), soak=200),
    "rebuilt-under-readers": Break("rebuilt_under_readers", tests=range(10), soak=500),
    "mutated-file": Break("mutated_file", tests=(), soak=2000, in_memory=True),  # 100 files each
    "damaged-cache": Break("damaged_cache", tests=(), soak=2000, in_memory=True),
    "flipped-bits": Break("flipped_bits", tests=range(0, 1500, 300), soak=1500, in_memory=True),
    "damage-while-training": Break("damage_while_training", tests=(), soak=20),  # 200 each
    "lying-chunk": Break("decoder", tests=(), soak=200),  # 5,000 chunks each
    "hostile-attack": Break("hostile_attack", tests=(), soak=760, in_memory=True),
    "hostile-metadata": Break("hostile_metadata", tests=(), soak=50_000, in_memory=True),
    "state-machine": Break("state_machine", tests=(), soak=10),  # 10 runs of 20 steps each
    "long-runs": Break("long_runs", tests=(), soak=1),
}
