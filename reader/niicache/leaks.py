"""Images that lie in several folds: what is learned from one is asked of the other."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import LeakWarning
from niicache.format.likeness import ASKED, likeness
from niicache.inert import inert
from niicache.splits import fold_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from niicache.cache import Cache
    from niicache.splits import Member


def warn_of_leaks(
    cache: Cache,
    seed: str,
    folds: int,
    rows: Sequence[np.ndarray],
    in_pool: Callable[[Member], bool],
) -> None:
    """Warn once where the same image lies in different folds.

    A build refuses them in different splits; of folds it knows nothing.

    Args:
        cache: The open cache.
        seed: Of the folds.
        folds: How many there are.
        rows: Which rows of each class count, (slots,) bool.
        in_pool: Whether folds are made of a case.

    Raises:
        DamageError: Columns cannot be read.
    """
    pairs = list(_leaks(cache, seed, folds, rows, in_pool))
    if pairs:
        one, other = (inert(f"{member.class_name}/{member.name}") for member in pairs[0])
        warnings.warn(
            f"fold: {one} and {other} are the same image in different folds"
            + (f", and there are {len(pairs) - 1:,} more such pairs" if len(pairs) > 1 else "")
            + "; leave copies out of the source, or build with --group-by so that they are one "
            "group",
            LeakWarning,
            stacklevel=2,
        )


def _leaks(
    cache: Cache,
    seed: str,
    folds: int,
    rows: Sequence[np.ndarray],
    in_pool: Callable[[Member], bool],
) -> Iterator[tuple[Member, Member]]:
    """Yield the first case that holds an image, with each other one in another fold."""
    same: dict[Hashable, list[Member]] = {}
    names = [name for name in ASKED if name in cache.columns]
    for view, counted in zip(cache, rows, strict=True):
        columns = {name: view.stored_column(name).tolist() for name in names}
        members = view.members
        for row in np.flatnonzero(counted).tolist():
            key = likeness({name: entries[row] for name, entries in columns.items()})
            same.setdefault(key, []).append(members[row])
    for copies in same.values():
        if len(copies) > 1:
            drawn = list(filter(in_pool, copies))
            homes = [fold_of(seed, folds, member) for member in drawn]
            yield from (
                (drawn[0], one) for one, home in zip(drawn, homes, strict=True) if home != homes[0]
            )
