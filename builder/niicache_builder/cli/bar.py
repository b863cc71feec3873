"""A bar on a terminal."""

from __future__ import annotations

import rich.progress as bars
from rich.console import Console

from niicache.inert import inert


class Bar:
    """A bar with rate and remaining time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: bars.Progress | None = None
        self._task = bars.TaskID(0)

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(inert(text), highlight=False, markup=False)

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


class _Rate(bars.ProgressColumn):
    """Units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: bars.Task) -> str:
        """Return the column's text."""
        return f"{task.speed or 0:,.0f} {self._unit}/s"
