"""Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Final

import rich.progress as bars
from rich.console import Console

BEAT_SECONDS: Final = 5.0


class Bar:
    """A bar with rate and remaining time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: bars.Progress | None = None
        self._task = bars.TaskID(0)

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False)

    def begin(self, what: str, total: int, unit: str) -> None:
        """Show the bar."""
        amount: list[bars.ProgressColumn] = (
            [bars.DownloadColumn(), bars.TransferSpeedColumn()]
            if unit == "bytes"
            else [bars.MofNCompleteColumn(), _Rate(unit)]
        )
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            *amount,
            bars.TimeRemainingColumn(),
            console=self._console,
        )
        self._bar.start()
        self._task = self._bar.add_task(what, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._bar is not None and count:
            self._bar.advance(self._task, count)

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None


class Heartbeat:
    """A line every few seconds, for logs."""

    def __init__(self, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._beat = beat_seconds
        self._what = self._unit = ""
        self._total = self._done = 0
        self._start = self._last = 0.0

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line's voice

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


class _Rate(bars.ProgressColumn):
    """Units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: bars.Task) -> str:
        """Return the column's text."""
        return f"{task.speed or 0:,.0f} {self._unit}/s"


def watch() -> Bar | Heartbeat:
    """Return what suits stderr."""
    return Bar() if sys.stderr.isatty() else Heartbeat()
