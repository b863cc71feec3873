"""A source of class folders: each class recognised alone, then all held against one layout.

A source without classes, of images and labels alone, is handed on.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.cases import Layout
from niicache_builder.sources import case_folders, folder, images_labels, one_class, suffix
from niicache_builder.sources.found import CSV_HINT, Found, many, misplaced, nested
from niicache_builder.sources.names import class_problems
from niicache_builder.sources.tree import Folder, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from niicache_builder.cases import CaseFiles

NO_LAYOUT = "none"
"""Name of the layout of a source in which none was recognised."""

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_EXPECTED = "a folder a class, with its images in it"
# Halves of one data set: taken for classes they would train a network to tell images from labels.
_HALF = re.compile(r"(images|labels)([ _-]?(tr|ts|te|val|train|test).*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A layout of class folders, as its module gives it."""

    name: str
    sees: str
    recognise: Callable[[Folder], bool]
    read: Callable[[Folder, str], Found]


# In this order: the last takes any folder that holds images.
_RULES = tuple(
    _Rule(name=m.NAME, sees=m.SEES, recognise=m.recognise, read=m.read)
    for m in (images_labels, case_folders, suffix, folder)
)


def refuse(source: Path, code: str, got: str, expected: str, hint: str) -> Layout:
    """Return a layout without cases, with one problem about the source itself."""
    problem = Problem(code=code, path=str(source), got=got, expected=expected, hint=hint)
    return Layout(
        name=NO_LAYOUT, reason=got, root=source, classes=(), cases=(), problems=(problem,)
    )


def read_folders(source: Path) -> Layout:
    """Return the layout of a folder of class folders, with every problem found."""
    typed = str(source)
    if (source / "zarr.json").exists():
        hint = "name the folder that the cache was built from"
        return refuse(source, "source-is-cache", "a folder with a zarr.json", _EXPECTED, hint)
    root, seen = walk(typed)
    found = one_class.halves_of(root)
    if found is not None:
        return one_class.read(source, root, seen, found)
    names = [inner.name for inner in root.folders]
    problems = [*seen.problems]
    problems += misplaced(root, root.volumes, typed, "", known=_EXPECTED)
    if not names:
        got = f"no folder and {many(len(root.volumes), 'NIfTI file')}"
        problems.append(_no_class(typed, got))
    bad = class_problems(names, path_of=lambda name: f"{typed}/{name}")
    unusable = {problem.class_name for problem in bad}
    read = [(inner, *_read(inner, typed)) for inner in root.folders]
    chosen = _choose([rule for _, rule, _ in read if rule])
    halves = [name for name in names if _HALF.fullmatch(name)]
    if halves and chosen is not None and chosen.name == folder.NAME:
        hint = (
            "leave two of them there, images and labels or imagesTr and labelsTr, and move the "
            f"others away; or {CSV_HINT}"
        )
        got = f"{', '.join(halves)} among the folders at the top ({', '.join(names)})"
        return refuse(source, "no-class", got, _EXPECTED, hint)
    problems += bad
    problems += _differing(read, chosen, typed)
    problems += [problem for _, _, found in read for problem in found.problems]
    ours = [(i, f) for i, rule, f in read if rule is chosen and i.name not in unusable]
    cases = sorted(case for _, found in ours for case in found.cases)
    return Layout(
        name=chosen.name if chosen else NO_LAYOUT,
        reason=_reason(chosen, [found for _, rule, found in read if rule is chosen]),
        root=source,
        classes=tuple(sorted(name for name in names if name not in unusable)),
        cases=tuple(cases),
        problems=tuple(problems),
        notes=(*seen.notes(), *filter(None, [_channel_note(chosen, cases)])),
    )


def _channel_note(chosen: _Rule | None, cases: Sequence[CaseFiles]) -> str:
    """Return a note where all images without labels have the names of channels, else ""."""
    numbers: dict[tuple[str, str], set[str]] = {}
    for case in cases if chosen is not None and chosen.name == folder.NAME else ():
        found = _CHANNEL.fullmatch(case.name)
        if found is None:
            return ""
        numbers.setdefault((case.class_name, found[1]), set()).add(found[2])
    first = next(iter(numbers.values()), set())
    whole = {f"{number:04}" for number in range(len(first))}
    if len(first) <= 1 or any(found != whole for found in numbers.values()):
        return ""
    return (
        "every image is named like a channel (_0000, _0001, ...), and without labels each is a "
        "case of its own; if they are channels, list them in a CSV file with a column each"
    )


def _read(inner: Folder, source: str) -> tuple[_Rule | None, Found]:
    """Recognise one class folder and read it by its own layout."""
    rule = next((rule for rule in _RULES if rule.recognise(inner)), None)
    if rule:
        found = rule.read(inner, source)
    else:
        deeper = [p for f in inner.folders for p in nested(f, source, inner.name, known=_EXPECTED)]
        found = Found(cases=(), problems=tuple(deeper), images=0)
    if not found.cases and not found.problems:
        found = found.also(_empty(inner, source))
    return rule, found


def _choose(rules: Sequence[_Rule]) -> _Rule | None:
    """Return the layout of most classes, of the first class where two have as many."""
    most = Counter(rule.name for rule in rules).most_common(1)
    return next((rule for rule in rules if rule.name == most[0][0]), None) if most else None


def _differing(
    read: Sequence[tuple[Folder, _Rule | None, Found]], chosen: _Rule | None, source: str
) -> list[Problem]:
    like = next((inner.name for inner, rule, _ in read if rule is chosen), "")
    return [
        Problem(
            code="mixed-layouts",
            path=f"{source}/{inner.path}",
            got=f"layout {rule.name} ({rule.sees})",
            expected=f"layout {chosen.name} ({chosen.sees}), as in {source}/{like}",
            hint="give all classes one layout; or " + CSV_HINT,
            class_name=inner.name,
        )
        for inner, rule, _ in read
        if rule and chosen and rule is not chosen
    ]


def _reason(chosen: _Rule | None, found: Sequence[Found]) -> str:
    if not chosen:
        return "no class folder with images was found"
    images, labels = sum(one.images for one in found), sum(one.labels for one in found)
    counts = many(images, "image") + (f", {many(labels, 'label')}" if labels else "")
    return f"{many(len(found), 'class folder')} with {chosen.sees}: {counts}"


def _empty(inner: Folder, source: str) -> Problem:
    return Problem(
        code="empty-class",
        path=f"{source}/{inner.path}",
        got="no case",
        expected="at least one NIfTI image",
        hint="add images, or take the folder out of the source",
        class_name=inner.name,
    )


def _no_class(source: str, got: str) -> Problem:
    hint = f"make a folder a class and move its images there; or {CSV_HINT}"
    return Problem(code="no-class", path=source, got=got, expected=_EXPECTED, hint=hint)
