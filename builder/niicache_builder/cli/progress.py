"""Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from niicache.inert import inert

if TYPE_CHECKING:
    from niicache_builder.progress import Progress

BEAT_SECONDS: Final = 5.0


class Heartbeat:
    """A line every few seconds, for logs."""

    def __init__(self, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._beat = beat_seconds
        self._what = self._unit = ""
        self._total = self._done = 0
        self._start = self._last = 0.0

    def note(self, text: str) -> None:
        """Print a line."""
        click.echo(inert(text), err=True)

    def begin(self, what: str, total: int, unit: str) -> None:
        """Start counting."""
        self._what, self._unit, self._total, self._done = what, unit, total, 0
        self._start = self._last = time.monotonic()

    def advance(self, count: int) -> None:
        """Count, and print a line if the last is old enough."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= self._beat:
            self._last = now
            rate = self._done / (now - self._start)
            left = f"{(self._total - self._done) / rate:,.0f} s left" if rate else "waiting"
            self.note(
                f"{self._what}: {self._done:,} of {self._total:,} {self._unit}, "
                f"{rate:,.0f} a second, {left}"
            )

    def end(self) -> None:
        """Print a last line, if any was printed before."""
        if self._last != self._start:
            self.note(f"{self._what}: {self._done:,} of {self._total:,} {self._unit}")


def watch() -> Progress:
    """Return what suits stderr."""
    if not sys.stderr.isatty():
        return Heartbeat()
    from niicache_builder.cli.bar import Bar

    return Bar()
