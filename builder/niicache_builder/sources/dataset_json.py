"""Layout of nnU-Net and the Decathlon: ``dataset.json`` beside ``imagesTr`` and ``labelsTr``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.cases import Layout
from niicache_builder.nifti_names import files_of
from niicache_builder.sources import dataset_folders, dataset_listed
from niicache_builder.sources.dataset_text import FILE, read_dataset, unusable
from niicache_builder.sources.found import CSV_HINT, Found, many
from niicache_builder.sources.one_class import CLASS, left_out
from niicache_builder.sources.tree import walk

if TYPE_CHECKING:
    from niicache_builder.sources.dataset_text import Dataset
    from niicache_builder.sources.tree import Folder

NAME = "dataset-json"
MOST_BYTES = 16 * 2**20
_LENGTH = (f"more than {MOST_BYTES:,} bytes", f"at most {MOST_BYTES:,}")


def read(source: Path) -> Layout | None:
    """Return the cases of a source with a ``dataset.json``; None if it has none of this kind.

    Raises:
        OSError: The file cannot be read.
    """
    file = source / FILE
    if not file.is_file() or (source / "zarr.json").exists():
        return None
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    dataset = read_dataset(data) if len(data) <= MOST_BYTES else unusable(*_LENGTH)
    if dataset is None:
        return None
    root, seen = walk(str(source))
    seen.others = [other for other in seen.others if other != FILE]
    found = (
        dataset_folders.read(root, dataset, str(source))
        if dataset.entries is None
        else dataset_listed.read(dataset.entries, dataset.channels, source)
    )
    faults = (_fault(file, got, expected) for got, expected in dataset.faults)
    problems = (*faults, *seen.problems, *found.problems)
    if not found.cases and not problems:
        problems = (_fault(file, "no case", "at least one"),)
    counts = f"{many(found.images, 'image')}, {many(found.labels, 'label')}"
    return Layout(
        name=NAME,
        reason=f"a {FILE} and no classes, so one class {CLASS!r}: {counts}",
        root=source,
        table=FILE,
        classes=(CLASS,),
        cases=tuple(sorted(found.cases)),
        problems=problems,
        notes=(*seen.notes(), *left_out(root.folders), *_notes(source, root, dataset, found)),
        channels=dataset.channels,
    )


def _fault(file: Path, got: str, expected: str) -> Problem:
    hint = f"mend {FILE}, or take it out; or {CSV_HINT}"
    return Problem(code="dataset-json", path=str(file), got=got, expected=expected, hint=hint)


def _notes(source: Path, root: Folder, dataset: Dataset, found: Found) -> tuple[str, ...]:
    """Return what is not wrong but worth a line."""
    there = len(found.cases)
    notes = [
        f"{many(n, 'case')} under {name!r} of {FILE} left out" for name, n in dataset.aside if n
    ]
    if dataset.count not in {None, there}:
        notes.append(f"numTraining of {FILE} is {dataset.count:,}, but {many(there, 'case')} there")
    if dataset.entries is not None and not dataset.faults:
        used = {path for case in found.cases for path in (*case.images, case.label)}
        folders = (inner for inner in root.folders if inner.name in {"imagesTr", "labelsTr"})
        paths = [folder.inside(name) for folder in folders for name in folder.volumes]
        rest = [path for path in paths if files_of(Path(path))[0].as_posix() not in used]
        if rest:
            first = f"{source}/{rest[0]}"
            notes.append(f"files that {FILE} does not list: {len(rest):,}, the first is {first}")
    return tuple(notes)
