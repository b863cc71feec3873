"""Which slot of its class's arrays each case has. Pure.

A new cache orders cases by a hash of their names, so that the cases that share a chunk, and are
therefore read together, are no neighbours in the source. A rebuild leaves every case where it
is; a case that went leaves a vacancy, which the next new one takes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def hashed_order(names: Iterable[str]) -> list[str]:
    """Return names in an order that depends on nothing but themselves."""
    return sorted(names, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))


def assign_slots(
    names: Iterable[str],
    *,
    before: Sequence[str] = (),
    changed: Iterable[str] = (),
    shard_cases: int,
) -> tuple[str, ...]:
    """Return the name in each slot, "" for a vacant one, with no vacancy at the end.

    Args:
        names: The cases of a class, each once.
        before: The slots of the committed cache, in the same form.
        changed: Cases whose shard has to be written again anyway.
        shard_cases: Slots in a shard.
    """
    wanted = set(names)
    slots = [name if name in wanted else "" for name in before]
    touched = set(changed)
    dirty = {
        slot // shard_cases
        for slot, (old, new) in enumerate(zip(before, slots, strict=True))
        if old != new or new in touched
    }
    vacant = [slot for slot, name in enumerate(slots) if not name]
    # A shard that is written again anyway takes the new cases at no further cost.
    vacant.sort(key=lambda slot: (slot // shard_cases not in dirty, slot))
    for name in hashed_order(wanted.difference(slots)):
        if vacant:
            slots[vacant.pop(0)] = name
        else:
            slots.append(name)
    while slots and not slots[-1]:
        slots.pop()
    return tuple(slots)
