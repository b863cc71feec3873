"""The damaged cases that training met, counted, up to a limit."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from niicache.chunks import some
from niicache.errors import DamageError, DamageWarning, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence


ATTEMPTS = 100
"""So many spares that are all damaged too mean that the class is lost."""


def needed_for(
    problems: Sequence[Problem], cases: Sequence[tuple[str, str]]
) -> tuple[Problem, ...]:
    """Name in each problem which samples it concerns: a damaged chunk holds other cases too.

    Args:
        problems: Of chunks, each with all cases that it holds.
        cases: (class, case) of the samples that could not be read.
    """
    return tuple(replace(one, got=one.got + _needed(one, cases)) for one in problems)


def _needed(problem: Problem, cases: Sequence[tuple[str, str]]) -> str:
    held = problem.case.split(", ")
    needed = sorted({name for owner, name in cases if owner == problem.class_name} & {*held})
    return f", needed for {some(needed)}" if needed and len(held) > 1 else ""


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
            raise DamageError([*every, _end_of_patience(every[-1], cases, met, self.limit)])
        if first:
            warnings.warn(
                f"{problems[0]} (its cases are replaced by others of their class, as "
                f'on_damage="skip" asks for, until more than {self.limit} are damaged; '
                "the Sequence's attribute `damaged` lists them)",
                DamageWarning,
                stacklevel=2,
            )


def _end_of_patience(
    last: Problem, cases: Sequence[tuple[str, str]], met: int, limit: int
) -> Problem:
    """Return why damaged cases are skipped no more."""
    class_name, case = cases[0]
    if met > limit:
        got, expected = f"{met} damaged cases", f"at most {limit}, as damage_limit says"
    else:
        got = f"damage in every case of class {class_name!r} that was tried"
        expected = "a sound one to stand in"
    return Problem(
        code="damage-limit",
        path=last.path,
        got=got,
        expected=expected,
        hint="mend the cache, as is said above",
        class_name=class_name,
        case=case,
    )
