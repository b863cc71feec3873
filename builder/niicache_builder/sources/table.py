"""Layout of a CSV file ``class,image,label[,group]``, for every other order of files.

Several columns ``image_<channel>`` in place of ``image`` are the channels of each case.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.cases import CaseFiles, Layout
from niicache_builder.nifti_names import files_of, stem
from niicache_builder.sources.csv_rows import CHANNEL, COLUMNS, Row, Rows, read_rows
from niicache_builder.sources.found import many
from niicache_builder.sources.names import class_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAME = "table"


def read(source: Path) -> Layout:
    """Return the cases of a CSV file and everything wrong in it.

    Paths in it are relative to its own folder.
    """
    table = read_rows(source)
    classes = tuple(sorted({row.class_name for row in table.rows}))
    bad = class_problems(classes, path_of=lambda _: str(source))
    unusable = {problem.class_name for problem in bad}
    found: list[tuple[int, CaseFiles]] = []
    problems = [*table.problems, *bad]
    for row in table.rows:
        faults = _faults(source, row, table.images)
        problems += faults
        if not faults and row.class_name not in unusable:
            found.append((row.line, _case(row, source.parent)))
    cases, twice = _named(source, found)
    return Layout(
        name=NAME,
        reason=_reason(table, classes, cases),
        root=source.parent,
        table=source.name,
        classes=tuple(name for name in classes if name not in unusable),
        cases=cases,
        problems=(*problems, *twice),
        notes=_notes(source, table, cases),
        channels=tuple(name.removeprefix(CHANNEL) for name in table.images if name != "image"),
    )


def _relative(text: str, root: Path) -> str:
    """Return a path as written, relative to the table's folder and to the .hdr of a pair."""
    path = Path(os.path.relpath(text, root)) if Path(text).is_absolute() else Path(text)
    return files_of(path)[0].as_posix()


def _case(row: Row, root: Path) -> CaseFiles:
    return CaseFiles(
        class_name=row.class_name,
        name="",
        images=tuple(_relative(image, root) for image in row.images),
        label=_relative(row.label, root) if row.label else None,
        group=row.group,
    )


def _faults(source: Path, row: Row, images: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the files of a row. Looks for them on disk."""
    faults = []
    for column, text in (*zip(images, row.images, strict=True), ("label", row.label)):
        if not text:
            continue
        if not stem(Path(text).name):
            code, path, got = "not-nifti-name", source.parent / text, "a name of another kind"
            expected, hint = ".nii, .nii.gz, .hdr or .img", "convert the file, or mend the row"
        else:
            files = files_of(source.parent / _relative(text, source.parent))
            # Unlike that of Path it is false, too, where the system refuses such a name.
            lost = [file for file in files if not os.path.isfile(file)]  # noqa: PTH113 - as said
            if not lost:
                continue
            code, path, got, expected = "missing-file", lost[0], "no such file", "a file"
            hint = f"paths count from {source.parent}; mend the row or add the file"
        faults.append(
            Problem(
                code=code,
                path=str(path),
                got=f"{got} ({column} in line {row.line} of {source})",
                expected=expected,
                hint=hint,
                class_name=row.class_name,
            )
        )
    return faults


def _named(
    source: Path, found: Sequence[tuple[int, CaseFiles]]
) -> tuple[tuple[CaseFiles, ...], tuple[Problem, ...]]:
    """Name each case after its first image, and refuse those that still share a name."""
    images = {(case.class_name, case.image): _short(case) for _, case in found}
    stems = Counter((name, short) for (name, _), short in images.items())
    groups: dict[tuple[str, str], list[tuple[int, CaseFiles]]] = {}
    for line, case in found:
        short = _short(case)
        alone = stems[case.class_name, short] == 1
        name = short if alone else (stem(case.image) or "").replace("/", "__")
        groups.setdefault((case.class_name, name), []).append((line, case))
    cases, problems = [], []
    for (class_name, name), group in sorted(groups.items()):
        if len(group) == 1:
            cases.append(replace(group[0][1], name=name))
            continue
        lines = ", ".join(str(line) for line, _ in group)
        problems.append(
            Problem(
                code="duplicate-case",
                path=str(source.parent / group[0][1].image),
                got=f"lines {lines} of {source}",
                expected="one row a case",
                hint="keep one of them; images of one name in one folder count as one case",
                class_name=class_name,
                case=name,
            )
        )
    return tuple(cases), tuple(problems)


def _short(case: CaseFiles) -> str:
    """Return the name of the first image, without the number of a first channel."""
    name = stem(Path(case.image).name) or ""
    return name.removesuffix("_0000") if len(case.images) > 1 else name


def _reason(table: Rows, classes: Sequence[str], cases: Sequence[CaseFiles]) -> str:
    rows = len(table.rows)
    known = ", ".join(name for name in table.columns if name in {*COLUMNS, *table.images})
    if not known:
        return f"a CSV file with none of the columns {', '.join(COLUMNS)}"
    labelled = any(case.label for case in cases)
    tail = "" if labelled or not cases else "; no row has a label, so the class is the label"
    return f"a CSV file with {many(rows, 'row')}, columns {known}, {len(classes):,} classes{tail}"


def _notes(source: Path, table: Rows, cases: Iterable[CaseFiles]) -> tuple[str, ...]:
    notes = []
    extra = [name for name in table.columns if name not in {*COLUMNS, *table.images}]
    if 0 < len(extra) < len(table.columns):
        notes.append(f"columns ignored: {len(extra)}, the first is {extra[0]!r}")
    paths = [source.parent / path for case in cases for path in (*case.images, case.label) if path]
    links = [path for path in paths if path.is_symlink()]
    if links:
        notes.append(f"symlinks followed: {len(links):,}, the first is {links[0]}")
    return tuple(notes)
