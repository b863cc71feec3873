"""What is wrong with cases in any layout, as far as names and paths tell. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from niicache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache_builder.cases import CaseFiles, Layout

LONGEST_TEXT: Final = 4096
"""Bytes of a name or a group; a path has no more on most systems, and readers refuse columns of
texts that are much longer."""

_SHOWN: Final = 40


def checked(layout: Layout) -> Layout:
    """Return a layout whose cases are sound, and the problems of the others."""
    found = {case: tuple(_problems(layout, case)) for case in layout.cases}
    wrong = tuple(problem for problems in found.values() for problem in problems)
    if not wrong:
        return layout
    cases = tuple(case for case, problems in found.items() if not problems)
    return replace(layout, cases=cases, problems=(*layout.problems, *wrong))


def _problems(layout: Layout, case: CaseFiles) -> Iterator[Problem]:
    listed = str(layout.root / (layout.table or case.image))
    for field, text in (("name", case.name), ("group", case.group)):
        length = len(text.encode("utf-8", "surrogateescape"))  # names of files may be no UTF-8
        if length > LONGEST_TEXT:
            got, expected = f"a {field} of {length:,} bytes", f"at most {LONGEST_TEXT:,}"
            yield _problem("text-too-long", listed, case, got, expected, "give a shorter one")
    for path in dict.fromkeys(case.images):
        count = case.images.count(path)
        if count > 1:
            got, expected = f"{count} channels of the case", "another file for each channel"
            hint = f"mend {layout.table or 'the source'}"
            yield _problem("channel-twice", str(layout.root / path), case, got, expected, hint)


def _problem(code: str, path: str, case: CaseFiles, got: str, expected: str, hint: str) -> Problem:
    name = case.name if len(case.name) <= _SHOWN else f"{case.name[:_SHOWN]}..."
    return Problem(
        code=code,
        path=path,
        got=got,
        expected=expected,
        hint=hint,
        class_name=case.class_name,
        case=name,
    )
