"""Which names classes and cases may have; pure."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from niicache.errors import Problem
from niicache.format.class_names import CLASS_RULE, class_fault
from niicache_builder.sources.found import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from niicache_builder.cases import Layout

LONGEST_TEXT: Final = 4096
"""Bytes of a name or a group; a path has no more on most systems."""


def class_problems(names: Iterable[str], *, path_of: Callable[[str], str]) -> tuple[Problem, ...]:
    """Return a problem for each class whose name cannot stand in a cache.

    Args:
        names: The classes.
        path_of: Class -> what the problem is about, as the user typed it.

    Returns:
        Codes ``class-name`` (no Zarr v3 node can be called so) and ``class-name-case`` (another
        class has the same name but for letter case, or for the way accents are written).
    """
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for name in sorted(names):
        fault = class_fault(name)
        if fault:
            hint = "rename the class"
            problems.append(_problem("class-name", path_of(name), fault, CLASS_RULE, hint, name))
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            got = f"classes {other!r} and {name!r}"
            hint = "rename one; on many disks both would be one folder"
            expected = "names that differ in more than letter case"
            problems.append(_problem("class-name-case", path_of(name), got, expected, hint, name))
    return tuple(problems)


def within_bounds(layout: Layout) -> Layout:
    """Return a layout without cases whose names or groups are longer than any file system's.

    Only a table or a ``dataset.json`` has such, and readers refuse columns of them.
    """
    long = {
        case: field
        for case in layout.cases
        for field in ("group", "name")
        if _length(getattr(case, field)) > LONGEST_TEXT
    }
    if not long:
        return layout
    problems = tuple(
        Problem(
            code="text-too-long",
            path=str(layout.root / (layout.table or case.image)),
            got=f"a {field} of {_length(getattr(case, field)):,} bytes",
            expected=f"at most {LONGEST_TEXT:,}",
            hint="give a shorter one",
            class_name=case.class_name,
            case=f"{case.name[:40]}...",
        )
        for case, field in long.items()
    )
    return replace(
        layout,
        cases=tuple(case for case in layout.cases if case not in long),
        problems=(*layout.problems, *problems),
    )


def _length(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))  # names of files may be no UTF-8


def _problem(code: str, path: str, got: str, expected: str, hint: str, name: str) -> Problem:
    return Problem(
        code=code, path=path, got=got, expected=expected, hint=hint, class_name=clean(name)
    )
