"""What a build takes back of the last one because its options are others.

A test set is none if it was trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.errors import CacheError, Problem
from niicache.splits import Member, split_of
from niicache_builder.grid_plan import preparation_text

if TYPE_CHECKING:
    from niicache.cache import Cache
    from niicache_builder.plan import Plan


def moves(old: Cache | None, plan: Plan) -> tuple[Problem, ...]:
    """Return warnings where options that are not those of before move cases, or cost patches.

    Args:
        old: The committed cache, if there is one.
        plan: What shall come in its place.
    """
    if old is None:
        return ()
    return (*_unpatched(old, plan), *_unprepared(old, plan), *_split_moves(old, plan))


def _unpatched(old: Cache, plan: Plan) -> tuple[Problem, ...]:
    patch = old.manifest.recipe.patch
    if patch is None or plan.recipe.patch is not None:
        return ()
    said = ",".join(map(str, patch))
    return (
        Problem(
            code="patch-dropped",
            path=str(old.path),
            got="no --patch for a cache that was built with one",
            expected=f"--patch {said}",
            hint="fine if you mean it; else its blocks and the coordinates of its foreground go",
        ),
    )


def _unprepared(old: Cache, plan: Plan) -> tuple[Problem, ...]:
    before, now = preparation_text(old.manifest.recipe), preparation_text(plan.recipe)
    gone = [name for name in before if name not in now]
    if not gone:
        return ()
    names = ", ".join(f"--{name}" for name in gone)
    return (
        Problem(
            code="preparation-dropped",
            path=str(old.path),
            got=f"no {names} for a cache that was built with it",
            expected="; ".join(f"--{name}: {before[name]}" for name in gone),
            hint="fine if you mean it; every shard is written again, on the grids of the sources",
        ),
    )


def _split_moves(old: Cache, plan: Plan) -> tuple[Problem, ...]:
    rule = old.manifest.split
    if rule is None:
        return ()
    names = ", ".join(name for name, _ in rule.shares)
    if plan.split is None:
        return (_moved(str(old.path), f"no --split for a cache with splits {names}"),)
    files = [case.files for case in plan.scan.cases]
    new = {
        (one.class_name, one.name): split_of(
            plan.split, Member(one.class_name, one.name, one.group)
        )
        for one in files
    }
    try:
        members = [member for view in old for member in view.members if member.name]
    except CacheError:
        return ()  # what is damaged is built anew, and nobody knows what it was
    before = {(one.class_name, one.name): split_of(rule, one) for one in members}
    both = before.keys() & new.keys()
    count = sum(before[case] != new[case] for case in both)
    if not count:
        return ()
    return (_moved(str(old.path), f"{count:,} of {len(both):,} cases in another split"),)


def _moved(path: str, got: str) -> Problem:
    return Problem(
        code="split-moved",
        path=path,
        got=got,
        expected="every case where it was",
        hint="fine if you mean it; else give --split, --split-seed and --group-by as before",
    )
