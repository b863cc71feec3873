"""What the command line says, as the workloads need it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is made and how long it is timed.

    Attributes:
        scale: Share of the cases to make, above 0 and at most 1.
        rounds: How often each way is timed.
        epochs: Epochs in one round of a fast way.
        threads: Threads, or processes, that any way may use.
        cold: Also read with an empty page cache.
    """

    scale: float
    rounds: int
    epochs: int
    threads: int
    cold: bool

    def scaled(self, count: int, *, least: int = 1) -> int:
        """Return the share of ``count`` that is to be made."""
        return max(least, round(count * self.scale))
