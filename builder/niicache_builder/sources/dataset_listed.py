"""The cases that a ``dataset.json`` lists, looked for on disk."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.cases import CaseFiles
from niicache_builder.nifti_names import files_of, stem
from niicache_builder.sources.channel_files import numbered, uneven
from niicache_builder.sources.dataset_text import FILE
from niicache_builder.sources.found import Found
from niicache_builder.sources.one_class import CLASS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache_builder.sources.dataset_text import Entry


def read(entries: Sequence[Entry], channels: Sequence[str], source: Path) -> Found:
    """Return the cases whose files are there, and everything wrong with the others.

    Args:
        entries: The cases as they are listed.
        channels: Names of the channels, none where they are not told.
        source: The source as the user typed it.
    """
    cases: list[CaseFiles] = []
    problems: list[Problem] = []
    apart = {(entry.name, entry.images[0]): entry for entry in entries}
    shorts = Counter(map(_short, apart.values()))
    first: dict[str, Entry] = {}
    for entry in entries:
        name = _short(entry)
        name = name if shorts[name] == 1 else (stem(entry.images[0]) or "").replace("/", "__")
        if first.setdefault(name, entry) is not entry:
            problems.append(_twice(entry, first[name], source, name))
            continue
        images = _images(entry, channels, source)
        found = list(_faults(entry, images, channels, source, name))
        problems += found
        if not found:
            paths = [files_of(Path(path))[0].as_posix() for path in (*images, entry.label)]
            case = CaseFiles(class_name=CLASS, name=name, images=tuple(paths[:-1]), label=paths[-1])
            cases.append(case)
    seen = sum(len(case.images) for case in cases)
    return Found(cases=tuple(cases), problems=tuple(problems), images=seen, labels=len(cases))


def _short(entry: Entry) -> str:
    """Return the name of a case: its own, or that of its first image."""
    return entry.name or stem(PurePosixPath(entry.images[0]).name) or ""


def _images(entry: Entry, channels: Sequence[str], source: Path) -> tuple[str, ...]:
    """Return the files of a case's channels.

    nnU-Net's first version lists ``imagesTr/case.nii.gz`` for ``imagesTr/case_0000.nii.gz`` and
    its like, which the Decathlon has as one file.
    """
    path = entry.images[0]
    if len(entry.images) > 1 or _is_there(path, source):
        return entry.images
    if not _is_there(_with_number(path, 0), source):
        return entry.images
    return tuple(_with_number(path, number) for number in range(max(1, len(channels))))


def _faults(
    entry: Entry, images: Sequence[str], channels: Sequence[str], source: Path, name: str
) -> list[Problem]:
    """Return what is wrong with the files of a case. Looks for them on disk."""
    # The list of a case that has a name of its own is nnU-Net's, in which each file is a channel.
    if entry.name and channels and len(images) != len(channels):
        start = stem(images[0]) or ""
        case = (numbered(start) or (start,))[0]
        return [uneven(f"{source}/{case}", len(images), len(channels), CLASS, name)]
    parts = [*(("image", path) for path in images), ("label", entry.label)]
    return [
        Problem(
            code="missing-file",
            path=f"{source}/{path}",
            got=f"no such file ({part} of {entry.where} in {FILE})",
            expected="a file",
            hint=f"add the file, or mend {FILE}",
            class_name=CLASS,
            case=name,
        )
        for part, path in parts
        if not _is_there(path, source)
    ]


def _is_there(path: str, source: Path) -> bool:
    """Tell whether an image is there, both files of a pair."""
    # Unlike that of Path it is false, too, where the system refuses such a name.
    return all(map(os.path.isfile, files_of(source / path)))


def _with_number(path: str, number: int) -> str:
    """Return the path of a channel of an image."""
    start = stem(path) or ""
    return f"{start}_{number:04}{path[len(start) :]}"


def _twice(entry: Entry, other: Entry, source: Path, name: str) -> Problem:
    return Problem(
        code="duplicate-case",
        path=f"{source}/{entry.images[0]}",
        got=f"{other.where} and {entry.where} of {FILE}",
        expected="every case once",
        hint="keep one of them",
        class_name=CLASS,
        case=name,
    )
