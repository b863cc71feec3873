"""Read every header, and no voxel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.errors import OptionError
from niicache_builder.groups import with_groups
from niicache_builder.memory import memory_bytes
from niicache_builder.nifti import Header, NiftiError, read_header
from niicache_builder.nifti_error import too_large
from niicache_builder.sources import NO_LAYOUT, find_cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from niicache.errors import Problem
    from niicache_builder.cases import CaseFiles, Layout
    from niicache_builder.options import BuildOptions
    from niicache_builder.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScan:
    """A case and what its headers say.

    Attributes:
        files: Where it is.
        images: Headers of its images, in the order of the files.
        label: Header of the label, None where there is no file.
    """

    files: CaseFiles
    images: tuple[Header, ...]
    label: Header | None

    @property
    def image(self) -> Header:
        """The first of its images, whose grid is that of all."""
        return self.images[0]

    @property
    def voxels_nbytes(self) -> int:
        """Bytes of the voxels of all images, as they are stored."""
        return sum(header.voxels_nbytes for header in self.images)

    @property
    def identity(self) -> tuple[str, str]:
        """(class, case)."""
        return self.files.class_name, self.files.name

    @property
    def stamp(self) -> tuple[int, int]:
        """Bytes of all files of the case, and the sum of their modification times in ns."""
        headers = [*self.images, *([] if self.label is None else [self.label])]
        return sum(h.size for h in headers), sum(h.mtime_ns for h in headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A source whose headers were read.

    Attributes:
        layout: The source as it was recognised.
        cases: Every case whose headers could be read.
        problems: Those of the layout and of the headers.
        warnings: What is odd about headers, such as affines that disagree, file by file.
    """

    layout: Layout
    cases: tuple[CaseScan, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def without_labels(layout: Layout) -> Layout:
    """Return a layout in which the folder is the label: label files are not looked at."""
    cases = tuple(replace(case, label=None) for case in layout.cases)
    return replace(layout, cases=cases)


def scan(layout: Layout, advance: Callable[[int], None] = lambda _: None) -> Scan:
    """Read the headers of every case.

    Args:
        layout: The cases.
        advance: Called with 1 after each case.
    """
    cases: list[CaseScan] = []
    problems = list(layout.problems)
    warnings: list[Problem] = []
    memory = memory_bytes()
    for files in layout.cases:
        headers: dict[str, Header] = {}
        for path in filter(None, (*files.images, files.label)):
            where = (str(layout.root / path), files.class_name, files.name)
            try:
                headers[path] = _header(layout.root / path, memory)
                warnings += [odd.warning(*where) for odd in headers[path].warnings]
            except NiftiError as error:
                problems.append(error.problem(*where))
        if headers.keys() >= {*files.images, *filter(None, (files.label,))}:
            images = tuple(headers[path] for path in files.images)
            label = None if files.label is None else headers[files.label]
            cases.append(CaseScan(files=files, images=images, label=label))
        advance(1)
    return Scan(
        layout=layout, cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings)
    )


def _header(path: Path, memory: int) -> Header:
    """Read a header; refuse here what no memory holds, lest the other cases are padded to it."""
    header = read_header(path)
    if header.voxels_nbytes > memory:
        expected = f"at most the {memory:,} bytes of memory of this machine"
        raise too_large(f"{header.voxels_nbytes:,} bytes of voxels", expected)
    return header


def scan_source(
    source: str | Path, target: str | Path, options: BuildOptions, progress: Progress
) -> Scan:
    """Recognise a source and read its headers.

    Raises:
        OptionError: The target lies in the source, or the other way round.
    """
    source = Path(source).expanduser()
    one, other = source.resolve(), Path(target).resolve()
    if one in {other, *other.parents} or other in one.parents:
        raise OptionError(
            f"target: got {target}, expected a folder apart from the source {source}; "
            "a cache inside its source would be read as a class of it"
        )
    layout = find_cases(source)
    if options.labels == "folder":
        layout = without_labels(layout)
    if options.group_by is not None:
        layout = with_groups(layout, options.group_by)
    if layout.name != NO_LAYOUT:
        progress.note(f"{layout.name} layout: {layout.reason}")
    for text in layout.notes:
        progress.note(text)
    progress.begin("scan", len(layout.cases), "cases")
    try:
        found = scan(layout, progress.advance)
    finally:
        progress.end()
    return found
