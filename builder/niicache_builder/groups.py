"""What stays together in a split, as the paths of the images tell. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.errors import Problem

if TYPE_CHECKING:
    from niicache_builder.cases import CaseFiles, Layout


def with_groups(layout: Layout, pattern: str) -> Layout:
    """Return a layout whose cases have groups.

    Args:
        layout: The cases. Those that have a group keep it.
        pattern: Regular expression with one group, sought in the path of the image.

    Returns:
        The layout, with a problem for each case in whose path nothing is found: alone it could
        come into another split than what it belongs to.
    """
    found = re.compile(pattern)
    cases: list[CaseFiles] = []
    problems: list[Problem] = []
    for case in layout.cases:
        match = None if case.group else found.search(case.image)
        group = case.group or (match[1] if match else "")
        cases.append(replace(case, group=group or ""))
        if not group:
            problems.append(_no_group(case, str(layout.root / case.image), pattern))
    return replace(layout, cases=tuple(cases), problems=(*layout.problems, *problems))


def _no_group(case: CaseFiles, path: str, pattern: str) -> Problem:
    return Problem(
        code="no-group",
        path=path,
        got=f"image {case.image}",
        expected=f"a path in which {pattern!r} finds a group",
        hint="mend --group-by, or give groups in a CSV file (class,image,label,group)",
        class_name=case.class_name,
        case=case.name,
    )
