"""Which names a class may have; pure."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache.format.class_names import CLASS_RULE, class_fault
from niicache_builder.sources.found import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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


def _problem(code: str, path: str, got: str, expected: str, hint: str, name: str) -> Problem:
    return Problem(
        code=code, path=path, got=got, expected=expected, hint=hint, class_name=clean(name)
    )
