"""What names and headers of sound cases make one doubt, and do not forbid. Pure."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

from niicache.format.orientation import ENDS, orientation_of
from niicache_builder.oddity import Oddity
from niicache_builder.report.units import counted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from niicache.errors import Problem
    from niicache.format.manifest import Recipe
    from niicache_builder.scan import CaseScan

LOST = {"affine", "no-affine"}
"""Codes of headers whose sform or qform is not what they say."""


def doubts(
    cases: Sequence[CaseScan], *, root: Path, recipe: Recipe, headers: Sequence[Problem]
) -> tuple[Problem, ...]:
    """Return a warning for everything that is odd before a voxel is read, sorted.

    Args:
        cases: Those that will be in the cache.
        root: What their paths are relative to.
        recipe: What is made of them.
        headers: Warnings about single files, of any case.

    Returns:
        Codes ``scaling``, ``header-field``, ``affine``, ``forms-differ``, ``no-affine`` and
        ``extension`` of single headers, ``mask-scaled``, ``name-case`` and ``orientations-differ``.
    """
    kept = {case.identity for case in cases}
    found = [one for one in headers if (one.class_name, one.case) in kept]
    found += _names(cases, root)
    if recipe.label_kind == "mask":
        found += _scaled_masks(cases, root)
    if recipe.spatial_dims == len(ENDS) and recipe.orient is None:
        lost = {(one.class_name, one.case) for one in headers if one.code in LOST}
        found += _orientations([one for one in cases if _placed(one, lost)], root)
    return tuple(sorted(found))


def _scaled_masks(cases: Iterable[CaseScan], root: Path) -> Iterator[Problem]:
    for case in cases:
        label = case.label
        if label is None or (label.slope, label.inter) == (1.0, 0.0):
            continue
        got = f"a mask with scl_slope {label.slope:g} and scl_inter {label.inter:g}"
        hint = "applied, as nibabel does; store labels as they are meant"
        odd = Oddity("mask-scaled", got, "labels without scaling", hint)
        yield odd.warning(str(root / (case.files.label or "")), *case.identity)


def _names(cases: Iterable[CaseScan], root: Path) -> Iterator[Problem]:
    first: dict[tuple[str, str], CaseScan] = {}
    for case in cases:
        class_name, name = case.identity
        same = unicodedata.normalize("NFC", name).casefold()
        other = first.setdefault((class_name, same), case)
        if other is not case:
            got = f"cases {other.files.name!r} and {name!r}"
            expected = "names that differ in more than letter case"
            hint = "on many disks both would be one file; see whether one is a copy"
            odd = Oddity("name-case", got, expected, hint)
            yield odd.warning(str(root / case.files.image), class_name, name)


def _placed(case: CaseScan, lost: Container[tuple[str, str]]) -> bool:
    """Say whether a header tells which way its axes point."""
    return bool(case.image.sform_code or case.image.qform_code) and case.identity not in lost


def _orientations(cases: Iterable[CaseScan], root: Path) -> Iterator[Problem]:
    """Yield one warning, about the first case that points the second most frequent way."""
    found: dict[str, list[CaseScan]] = defaultdict(list)
    for case in cases:
        found[orientation_of(case.image.affine)].append(case)
    ways = sorted(found, key=lambda letters: (-len(found[letters]), letters))
    if len(ways) < 2:  # noqa: PLR2004 - all point the same way
        return
    most, second = ways[:2]
    case = found[second][0]
    told = ", ".join(f"{letters} ({len(found[letters]):,})" for letters in ways)
    got = f"axes that point {second}, in a set of {told}"
    expected = f"{most}, as in {counted(len(found[most]), 'case')}"
    hint = f"stored as they are; --orient {most} turns all to point the same way"
    odd = Oddity("orientations-differ", got, expected, hint)
    yield odd.warning(str(root / case.files.image), *case.identity)
