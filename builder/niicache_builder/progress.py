"""What a long piece of work tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the course of the work; methods are called from one thread."""

    def note(self, text: str) -> None:
        """Say something once."""

    def begin(self, what: str, total: int, unit: str) -> None:
        """Start a piece of work of so many units."""

    def advance(self, count: int) -> None:
        """So many more units are done; 0 only says that the work is alive."""

    def end(self) -> None:
        """The piece of work is over."""


class Silent:
    """Tells nobody."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def begin(self, what: str, total: int, unit: str) -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""
