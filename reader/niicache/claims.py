"""What threads that share decoded chunks ask of each other, and what they are told."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

    from niicache.memory import Piece

PATIENCE_SECONDS = 1.0
"""A claim that is older counts for nothing: whoever made it was interrupted, or is very slow."""


class Wanted(NamedTuple):
    """A needed chunk: its key, its bytes, and in how many batches it is needed again."""

    key: Hashable
    nbytes: int
    again: int


@dataclass(slots=True, eq=False)
class Kept:
    """A chunk in memory, or on its way there; ``due`` is the batch that needs it next."""

    piece: Piece
    due: int
    since: float
    ready: bool = False

    @property
    def may_go(self) -> bool:
        """It is not on its way, or was claimed by somebody who seems to be gone."""
        return self.ready or time.monotonic() - self.since > PATIENCE_SECONDS


class Claim(NamedTuple):
    """An answer to those who need chunks, by position in what they asked for.

    Attributes:
        ready: Decoded chunks, not to be written to.
        mine: Those that the asker has to decode now, and where to, if they will be kept; where
            None stands they will not.
        turn: Number of the chunks that were handed over or given up before.
    """

    ready: dict[int, Piece]
    mine: dict[int, Piece | None]
    turn: int
