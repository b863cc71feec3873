"""Images that came before: in the same class, in another one, in another split. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from niicache.format.facts import LATER
from niicache.format.likeness import ASKED, likeness
from niicache.splits import Member, split_of
from niicache_builder.oddity import Oddity

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
    from pathlib import Path

    from niicache.errors import Problem
    from niicache.format.facts import CaseFacts
    from niicache.format.manifest import SplitRule

MISLEADING: Final = frozenset({"image-in-two-classes", "image-in-two-splits"})
"""Codes of what makes training, or its evaluation, wrong: refused unless that is allowed."""

_ALLOW = "or allow it with --on-duplicates warn"


def duplicates(
    facts: Mapping[str, Iterable[CaseFacts]],
    *,
    root: Path,
    split: SplitRule | None,
    columns: Collection[str],
) -> tuple[Problem, ...]:
    """Return what there is to say of each image that came before, by class and name; sorted.

    Args:
        facts: Class to its cases.
        root: What the paths of their sources are relative to.
        split: How cases are split, if they are.
        columns: Those of the cache beyond the first set. What it does not tell of all cases is not
            looked at: one case known by its voxels and one by its file would never be alike.

    Returns:
        Codes ``image-twice``, ``image-in-two-classes`` and ``image-in-two-splits``.
    """
    first: dict[Hashable, tuple[str, CaseFacts]] = {}
    found: list[Problem] = []
    everyone = ((name, one) for name in facts for one in facts[name])
    for name, one in sorted(everyone, key=lambda pair: (pair[0], pair[1].name)):
        other, before = first.setdefault(_likeness(one, columns), (name, one))
        if before is not one:
            splits = (
                ()
                if split is None
                else tuple(
                    split_of(split, Member(where, case.name, case.group))
                    for where, case in ((other, before), (name, one))
                )
            )
            what = "bytes" if before.image_hash == one.image_hash else "voxels"
            got = f"the {what} of {root / before.image[0]} (class {other}, case {before.name})"
            odd = _odd(got, same_class=other == name, splits=splits)
            found += [each.warning(str(root / one.image[0]), name, one.name) for each in odd]
    return tuple(sorted(found))


def _likeness(facts: CaseFacts, columns: Collection[str]) -> Hashable:
    names = (name for name in ASKED if name not in LATER or name in columns)
    return likeness({name: getattr(facts, name) for name in names})


def _odd(got: str, *, same_class: bool, splits: tuple[str, ...]) -> Iterator[Oddity]:
    if not same_class:
        hint = f"no training can tell them apart: find out which class is right, {_ALLOW}"
        yield Oddity("image-in-two-classes", got, "an image in one class", hint)
    if len(set(splits)) > 1:
        got = f"{got}, in split {splits[0]!r} there and {splits[1]!r} here"
        hint = f"leave one of them out, put both into one group with --group-by, {_ALLOW}"
        yield Oddity("image-in-two-splits", got, "an image in one split", hint)
    elif same_class:
        yield Oddity("image-twice", got, "every image once", "leave one of them out")
