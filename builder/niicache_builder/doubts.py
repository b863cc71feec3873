"""What names and headers of sound cases make one doubt, and do not forbid. Pure."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from niicache_builder.oddity import Oddity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from niicache.errors import Problem
    from niicache.format.names import LabelKind
    from niicache_builder.scan import CaseScan


def doubts(
    cases: Sequence[CaseScan], *, root: Path, label_kind: LabelKind, headers: Iterable[Problem]
) -> tuple[Problem, ...]:
    """Return a warning for everything that is odd before a voxel is read, sorted.

    Args:
        cases: Those that will be in the cache.
        root: What their paths are relative to.
        label_kind: What the labels are.
        headers: Warnings about single files, of any case.

    Returns:
        Codes ``scaling``, ``header-field``, ``affine``, ``forms-differ``, ``no-affine`` and
        ``extension`` of single headers, ``mask-scaled`` and ``name-case``.
    """
    kept = {case.identity for case in cases}
    found = [one for one in headers if (one.class_name, one.case) in kept]
    found += _names(cases, root)
    if label_kind == "mask":
        found += _scaled_masks(cases, root)
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
