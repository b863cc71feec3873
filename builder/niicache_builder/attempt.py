"""A unit and what became of the workers that tried it: who is to blame, and what is next. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from niicache.errors import Problem, WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from niicache_builder.unit import Unit

KILLS_WORKER: Final = "kills-worker"
TRIES: Final = 2
"""Workers that a case may take with it. The second has the machine to itself: the first may have
died for want of memory that another one held."""

BETWEEN: Final = -1
"""Place of a death that befell no case: before the first or after the last of a unit."""

SHOWN_CASES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A unit that is to be done, perhaps not for the first time.

    Attributes:
        unit: The unit.
        deaths: Slot, or :data:`BETWEEN`, to how many workers died there.
    """

    unit: Unit
    deaths: Mapping[int, int] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether no other worker shall be at work beside it."""
        return bool(self.deaths)

    @property
    def killers(self) -> tuple[int, ...]:
        """Slots whose cases are not to be tried any more."""
        blamed = (slot for slot, count in self.deaths.items() if count >= TRIES)
        return tuple(sorted(slot for slot in blamed if slot != BETWEEN))


def after_death(attempt: Attempt, done: int) -> Attempt:
    """Return what to do after a worker died.

    Args:
        attempt: What it did.
        done: Cases of the unit that it had done; negative if it had not begun.

    Raises:
        WorkerDiedError: Workers die here again and again, and no case is to blame.
    """
    slot = _slot_at(attempt.unit, done)
    deaths = Counter(attempt.deaths)
    deaths[slot] += 1
    if slot == BETWEEN and deaths[slot] > TRIES:
        raise WorkerDiedError(
            f"{deaths[slot]} worker processes were killed, for want of memory most likely, near "
            f"{near(attempt.unit)}; run the same command again with fewer --workers, finished "
            "shards are kept"
        )
    return replace(attempt, deaths=dict(deaths))


def near(unit: Unit) -> str:
    """Return the first cases of a unit, in words for the user."""
    names = [case.files.name for case in unit.slots if case is not None]
    more = " ..." if len(names) > SHOWN_CASES else ""
    return f"the cases {', '.join(names[:SHOWN_CASES])}{more} of class {unit.class_name!r}"


def blamed(attempt: Attempt, root: Path) -> dict[int, Problem]:
    """Return the problem of each case that kills its worker, by slot.

    Args:
        attempt: A unit with its history.
        root: What the paths of the sources are relative to.
    """
    return {slot: _problem(attempt, slot, root) for slot in attempt.killers}


def _problem(attempt: Attempt, slot: int, root: Path) -> Problem:
    case = attempt.unit.slots[slot]
    if case is None:
        raise AssertionError(f"slot {slot} is vacant")
    return Problem(
        code=KILLS_WORKER,
        path=str(root / case.files.image),
        got=f"{attempt.deaths[slot]} worker processes that were killed while they were at it",
        expected="a case that a worker survives",
        hint="use a machine with more memory, or leave it out",
        class_name=case.files.class_name,
        case=case.files.name,
    )


def _slot_at(unit: Unit, done: int) -> int:
    slots = [slot for slot, case in enumerate(unit.slots) if case is not None]
    return slots[done] if 0 <= done < len(slots) else BETWEEN
