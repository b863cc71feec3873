"""The rows of a CSV file ``class,image,label[,group]``, and everything wrong with them as text."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from niicache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

REQUIRED = ("class", "image", "label")
COLUMNS = (*REQUIRED, "group")
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_FORM = "comma-separated columns class, image, label and perhaps group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        line: Its number in the file, from 1.
        class_name: The field class.
        image: The field image, a path as written.
        label: The field label likewise, or "".
        group: The field group, or "".
    """

    line: int
    class_name: str
    image: str
    label: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table as read.

    Attributes:
        rows: Every row that is whole.
        columns: The columns that the first line names.
        problems: Everything wrong.
    """

    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_rows(source: Path) -> Rows:
    """Read a CSV file (UTF-8, with or without a byte order mark)."""
    lines: list[tuple[int, list[str]]] = []
    trouble: tuple[Problem, ...] = ()
    try:
        with source.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            lines += [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except OSError as error:
        got = error.strerror or type(error).__name__
        trouble = (_problem("unreadable", source, got, "a readable file", "check the path"),)
    except UnicodeDecodeError as error:
        got, hint = f"byte {error.start} is not UTF-8", "save it as CSV UTF-8"
        trouble = (_problem("csv-syntax", source, got, "text in UTF-8", hint),)
    except csv.Error as error:
        hint = "check the quotes"
        trouble = (_problem("csv-syntax", source, str(error), "comma-separated text", hint),)
    if trouble:
        return Rows(problems=trouble)
    filled = [(line, row) for line, row in lines if any(row)]
    first = filled[0][1] if filled else []
    columns = tuple(column.lower() for column in first)
    missing = _check_columns(source, first)
    if missing:
        return Rows(columns=columns, problems=missing)
    return _judge(source, columns, filled[1:])


def _check_columns(source: Path, first: Sequence[str]) -> tuple[Problem, ...]:
    """Return what is wrong with the first line, in the letters of the user."""
    columns = [column.lower() for column in first]
    lacking = [name for name in REQUIRED if name not in columns]
    double = [name for name in COLUMNS if columns.count(name) > 1]
    if not lacking and not double:
        return ()
    if not first:
        hint = "name the columns in the first line, and give a row a case"
        return (_problem("csv-columns", source, "an empty file", _FORM, hint),)
    got = f"columns {', '.join(first)}"
    what = f"without {', '.join(lacking)}" if lacking else f"{', '.join(double)} twice"
    hint = "name the columns in the first line, separated by commas"
    others = [name for mark, name in _SEPARATORS.items() if len(first) == 1 and mark in first[0]]
    if others:
        hint = f"save it with commas between the fields, here they are {others[0]}"
    return (_problem("csv-columns", source, f"{got}: {what}", _FORM, hint),)


def _judge(source: Path, columns: Sequence[str], lines: Iterable[tuple[int, list[str]]]) -> Rows:
    """Keep the rows that are whole, and say why the others are not."""
    read: list[Row] = []
    problems: list[Problem] = []
    for line, fields in lines:
        if len(fields) > len(columns):
            got = f"{len(fields)} fields in line {line}"
            hint = "put quotes around a field that holds a comma"
            problems.append(_problem("csv-row", source, got, f"{len(columns)} fields", hint))
            continue
        field = dict(zip(columns, [*fields, *[""] * len(columns)], strict=False))
        class_name, image, label = (field[name] for name in REQUIRED)
        group = field.get("group", "")
        read.append(Row(line=line, class_name=class_name, image=image, label=label, group=group))
    labelled = any(row.label for row in read)
    blank = {row.line: _blank(row, labelled=labelled) for row in read}
    for row in read:
        if blank[row.line]:
            got = f"line {row.line} with no {' and no '.join(blank[row.line])}"
            hint = "fill it in; label may be empty only where it is empty in every row"
            problem = _problem("blank-field", source, got, "a value in each field", hint)
            problems.append(replace(problem, class_name=row.class_name))
    if not read and not problems:
        problems.append(_problem("no-class", source, "no row", "a row a case", "add rows"))
    rows = tuple(row for row in read if not blank[row.line])
    return Rows(rows=rows, columns=tuple(columns), problems=tuple(problems))


def _blank(row: Row, *, labelled: bool) -> list[str]:
    needed = {"class": row.class_name, "image": row.image}
    if labelled:
        needed["label"] = row.label
    return [name for name, text in needed.items() if not text]


def _problem(code: str, source: Path, got: str, expected: str, hint: str) -> Problem:
    return Problem(code=code, path=str(source), got=got, expected=expected, hint=hint)
