"""The rows of a CSV file ``class,image,label[,group]``, and everything wrong with them as text.

In place of ``image`` there may be ``image_<channel>`` columns, and no ``class`` where all is one.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.sources.one_class import CLASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

COLUMNS = ("class", "image", "label", "group")
CHANNEL = "image_"
"""What the column of a channel begins with."""

_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_FORM = (
    "comma-separated columns class, image, label and perhaps group; or a column image_<name> for "
    "each channel in place of image"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        line: Its number in the file, from 1.
        class_name: The field class.
        images: The field image, or those of the channels: paths as written.
        label: The field label likewise, or "".
        group: The field group, or "".
    """

    line: int
    class_name: str
    images: tuple[str, ...]
    label: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table as read.

    Attributes:
        rows: Every row that is whole.
        columns: The columns that the first line names.
        images: Those of them that name images: ``image``, or one a channel.
        problems: Everything wrong.
    """

    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
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
    images = image_columns(columns)
    lacking = [] if images else ["image"]
    lacking += [] if "label" in columns else ["label"]
    lacking[:0] = ["class"] if lacking and "class" not in columns else []
    double = [name for name in dict.fromkeys((*COLUMNS, *images)) if columns.count(name) > 1]
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
    images = image_columns(columns)
    read: list[Row] = []
    problems: list[Problem] = []
    for line, fields in lines:
        if len(fields) > len(columns):
            got = f"{len(fields)} fields in line {line}"
            hint = "put quotes around a field that holds a comma"
            problems.append(_problem("csv-row", source, got, f"{len(columns)} fields", hint))
            continue
        field = dict(zip(columns, [*fields, *[""] * len(columns)], strict=False))
        read.append(
            Row(
                line=line,
                class_name=field.get("class", CLASS),
                images=tuple(field[name] for name in images),
                label=field["label"],
                group=field.get("group", ""),
            )
        )
    labelled = any(row.label for row in read)
    if read and not labelled and "class" not in columns:
        return Rows(columns=tuple(columns), problems=(*problems, _untold(source)))
    blank = {row.line: _blank(row, images, labelled=labelled) for row in read}
    for row in read:
        if blank[row.line]:
            got = f"line {row.line} with no {' and no '.join(blank[row.line])}"
            hint = "fill it in; label may be empty only where it is empty in every row"
            problem = _problem("blank-field", source, got, "a value in each field", hint)
            problems.append(replace(problem, class_name=row.class_name))
    if not read and not problems:
        problems.append(_problem("no-class", source, "no row", "a row a case", "add rows"))
    rows = tuple(row for row in read if not blank[row.line])
    return Rows(rows=rows, columns=tuple(columns), images=images, problems=tuple(problems))


def image_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that name images: ``image`` alone where there is one, else channels."""
    channels = (name for name in columns if name.startswith(CHANNEL) and name != CHANNEL)
    return ("image",) if "image" in columns else tuple(dict.fromkeys(channels))


def _untold(source: Path) -> Problem:
    got = "no column class, and no label in any row"
    hint = "add the column class, or the labels: without either there is nothing to learn"
    return _problem("no-class", source, got, "a class or a label for every case", hint)


def _blank(row: Row, images: Sequence[str], *, labelled: bool) -> list[str]:
    needed = {"class": row.class_name, **dict(zip(images, row.images, strict=True))}
    if labelled:
        needed["label"] = row.label
    return [name for name, text in needed.items() if not text]


def _problem(code: str, source: Path, got: str, expected: str, hint: str) -> Problem:
    return Problem(code=code, path=str(source), got=got, expected=expected, hint=hint)
