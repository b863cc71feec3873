"""Damaged cases in training: replaced by others of their class, counted, up to a limit."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.errors import DamageError, DamageWarning
from niicache.sampling import Draw
from niicache.streams import spare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.errors import Problem
    from niicache.loader import Loader
    from niicache.sampling import ClassRows


ATTEMPTS = 100
"""So many spares that are all damaged too mean that the class is lost."""


class Losses:
    """The damaged cases that were met. Thread-safe.

    Attributes:
        limit: How many are put up with.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._cases: set[tuple[str, str]] = set()
        self._problems: dict[Problem, None] = {}

    @property
    def cases(self) -> tuple[tuple[str, str], ...]:
        """(class, case) of each, sorted."""
        with self._lock:
            return tuple(sorted(self._cases))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def note(
        self, problems: Sequence[Problem], cases: Sequence[tuple[str, str]], *, attempt: int
    ) -> None:
        """Count cases that could not be read; warn of the first.

        Args:
            problems: Why not.
            cases: (class, case) of each.
            attempt: How many spares were tried in their place before.

        Raises:
            DamageError: They are more than the limit, or there is no sound spare; carries every
                problem so far.
        """
        with self._lock:
            first = not self._cases
            self._cases.update(cases)
            self._problems.update(dict.fromkeys(problems))
            met, every = len(self._cases), tuple(self._problems)
        if met > self.limit or attempt >= ATTEMPTS:
            raise DamageError(every)
        if first:
            warnings.warn(
                f"{problems[0]} (its cases are replaced by others of their class, as "
                f'on_damage="skip" asks for, until more than {self.limit} are damaged; '
                "the Sequence's attribute `damaged` lists them)",
                DamageWarning,
                stacklevel=2,
            )


def load_with_spares(
    loader: Loader,
    draw: Draw,
    losses: Losses,
    *,
    classes: Sequence[ClassRows],
    key: tuple[int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a draw, other cases in place of damaged ones.

    Which ones follows from the key and from what is damaged, so a batch stays repeatable.

    Args:
        loader: Of the cache.
        draw: The samples.
        losses: Where damaged cases are counted.
        classes: Rows of each class.
        key: Seed, epoch and step.

    Raises:
        DamageError: More cases are damaged than the limit of ``losses``.
    """
    images, labels = loader.empty(draw)
    seed, *place = key
    slots = np.arange(len(draw.rows))
    attempt = 0
    while len(slots):
        problems, lost = loader.fill(draw, slots, images, labels)
        if problems:
            losses.note(problems, loader.names(draw, lost), attempt=attempt)
        draw = Draw(
            classes=draw.classes[lost],
            rows=np.array(
                [
                    spare(classes[k].rows, seed, (place[0], place[1], slot), attempt)
                    for k, slot in zip(draw.classes[lost], slots[lost].tolist(), strict=True)
                ],
                np.int64,
            ),
            again=draw.again[lost],
        )
        slots = slots[lost]
        attempt += 1
    return images, labels
