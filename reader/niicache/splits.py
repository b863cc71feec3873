"""Which split a case belongs to, and which fold: decided by a hash of its group. Pure.

A case stays where it is whatever else is added or goes, because nothing but its own group, the
seed and the shares has a say. So shares are met on average: of n groups about ``share * n`` fall
into a split, more or less by the square root of ``share * (1 - share) * n``. That holds for each
class too, which is all that stratified can mean where no case may ever move.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from niicache.format.manifest import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from niicache.format.manifest import SplitRule

_BITS = 53
"""Of the hash, as many as a float64 holds exactly."""

_SUM_ERROR = 1e-9


@dataclass(frozen=True, slots=True)
class Member:
    """What decides about a case.

    Attributes:
        class_name: Its class.
        name: Its name there.
        group: What stays together, whatever the class; "" makes the case a group of its own.
    """

    class_name: str
    name: str
    group: str


def place(kind: Literal["split", "fold"], seed: str, member: Member) -> float:
    """Return where a group lies from 0 to below 1, each place as likely.

    Args:
        kind: What it is for: the places of splits and folds have nothing to do with each other.
        seed: Another seed gives other places.
        member: A case of the group.
    """
    own = [member.group] if member.group else [member.class_name, member.name]
    digest = hashlib.sha256(canonical([kind, seed, *own])).digest()
    whole: int = int.from_bytes(digest[:8], "big") >> (64 - _BITS)
    return math.ldexp(whole, -_BITS)


def split_of(rule: SplitRule, member: Member) -> str:
    """Return the split that a case belongs to."""
    at = place("split", rule.seed, member)
    ends = itertools.accumulate(share for _, share in rule.shares)
    names = [name for (name, _), end in zip(rule.shares, ends, strict=True) if at < end]
    # The sum of all shares may be a hair below 1.
    return names[0] if names else rule.shares[-1][0]


def fold_of(seed: str, count: int, member: Member) -> int:
    """Return the fold that a case belongs to, from 0 to below ``count``."""
    return int(place("fold", seed, member) * count)


def split_counts(rule: SplitRule | None, members: Iterable[Member]) -> dict[str, dict[str, int]]:
    """Return split to class to number of cases; nothing where nothing is split.

    Classes and splits without a case are there with 0.
    """
    if rule is None:
        return {}
    known = list(members)
    classes = sorted({member.class_name for member in known})
    counts = {name: dict.fromkeys(classes, 0) for name, _ in rule.shares}
    for member in known:
        counts[split_of(rule, member)][member.class_name] += 1
    return counts


def share_problem(shares: Mapping[str, float]) -> str | None:
    """Return what is expected of shares, None where they are so."""
    if not shares or not all(isinstance(name, str) and name.isidentifier() for name in shares):
        return "names such as train, val and test, of letters, digits and _"
    numbers = [
        share
        for share in shares.values()
        if isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1
    ]
    if len(numbers) < len(shares) or abs(math.fsum(numbers) - 1) > _SUM_ERROR:
        return "shares above 0 that sum to 1, such as train=0.8, val=0.1, test=0.1"
    return None
