"""Are the sources still those that a cache was made of? Tells by content, not by time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from niicache.errors import CacheError, Problem, SourceError
from niicache_builder.nifti import NiftiError, hash_files
from niicache_builder.options import default_workers
from niicache_builder.record import as_fact
from niicache_builder.sources import NO_LAYOUT, find_cases
from niicache_builder.sources.found import many

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from niicache.cache import Cache
    from niicache_builder.cases import CaseFiles, Layout
    from niicache_builder.damage import SourceKind
    from niicache_builder.progress import Progress

BUILD = "run `niicache build` with this source again"
TOUCH = f"touch the file, because a build goes by size and time, and {BUILD}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A case as the cache holds it.

    Attributes:
        class_name: The class.
        name: The case.
        images: sha256 of each of its images, None where it is not known.
        label: sha256 of its label, None where it is not known, "" where it has none.
        paths: Where they were, images first.
    """

    class_name: str
    name: str
    images: tuple[str | None, ...]
    label: str | None
    paths: tuple[str, ...]


def stale_cases(cache: Cache, source: Path, progress: Progress) -> tuple[Problem, ...]:
    """Read every source, and return where it is not what the cache was made of, sorted.

    A class whose columns are damaged is left out: that is damage, and reported as such.

    Args:
        cache: A committed cache.
        source: A folder in a known layout, or a CSV file.
        progress: Told of the cases read.

    Raises:
        SourceError: It is not a source, or one of other cases.
    """
    layout = find_cases(source.expanduser())
    if layout.name == NO_LAYOUT:
        raise SourceError(layout.problems)
    held, unknown = _held(cache)
    there = {(case.class_name, case.name): case for case in layout.cases}
    if held and there and not any((one.class_name, one.name) in there for one in held):
        raise SourceError((_other(cache, source),))
    problems = list(_new(cache, held, unknown, layout))
    progress.begin("sources", len(held), "cases")
    with ThreadPoolExecutor(default_workers(), thread_name_prefix="niicache-sources") as pool:
        tasks = [
            pool.submit(compared, one, there.get((one.class_name, one.name)), layout.root)
            for one in held
        ]
        for task in tasks:
            problems += task.result()
            progress.advance(1)
    progress.end()
    return tuple(sorted(problems))


def _other(cache: Cache, source: Path) -> Problem:
    return Problem(
        code="other-source",
        path=str(source),
        got=f"a source without one case of {cache.path}",
        expected="the source that it was built from",
        hint="check the path; `niicache build` keeps class and name of each case",
    )


def _held(cache: Cache) -> tuple[list[Held], set[str]]:
    """Return every case, and the classes whose cases cannot be told."""
    held, unknown = [], set()
    for view in cache:
        try:
            names = ("name", "image_hash", "label_hash", "image", "label")
            columns = {name: view.column(name).tolist() for name in names}
        except CacheError:
            unknown.add(view.name)
            continue
        rows = zip(*([as_fact(name, one) for one in columns[name]] for name in names), strict=True)
        held += [
            Held(class_name=view.name, name=name, images=images, label=label, paths=(*paths, at))
            for name, images, label, paths, at in rows
        ]
    return held, unknown


def compared(held: Held, files: CaseFiles | None, root: Path) -> list[Problem]:
    """Return how the sources of a case differ from those that the cache holds it of.

    Args:
        held: The case.
        files: Where its sources are now, None where nobody lists them.
        root: What their paths are relative to.
    """
    count = len(held.images)
    images: Sequence[str | None] = [None] * count if files is None else files.images
    if len(images) != count:
        got = f"{many(len(images), 'file')} of the image in place of {count}"
        return [_problem(held, "source-changed", root / held.paths[0], got, None, BUILD)]
    pairs = list(zip(images, held.images, held.paths[:count], strict=True))
    if held.label != "":
        label = None if files is None else files.label
        pairs.append((label, held.label, held.paths[count]))
    problems = []
    for path, digest, before in pairs:
        if path is None:
            problem = _problem(held, "source-missing", root / before, "no file", digest, BUILD)
            problems.append(problem)
            continue
        try:
            now = hash_files(root / path)
        except NiftiError as error:
            gone = not (root / path).exists()
            kind: SourceKind = "source-missing" if gone else "source-changed"
            problems.append(_problem(held, kind, root / path, error.got, digest, error.hint))
            continue
        if digest is not None and now != digest:
            got = f"sha256 {now:.16}"
            problems.append(_problem(held, "source-changed", root / path, got, digest, TOUCH))
    return problems


def _problem(
    held: Held, kind: SourceKind, path: Path, got: str, digest: str | None, hint: str
) -> Problem:
    return Problem(
        code=kind,
        path=str(path),
        got=got,
        expected="its source" if digest is None else f"sha256 {digest:.16}",
        hint=hint,
        class_name=held.class_name,
        case=held.name,
    )


def _new(cache: Cache, held: list[Held], unknown: set[str], layout: Layout) -> Iterator[Problem]:
    known = {(one.class_name, one.name) for one in held}
    known |= {(one.class_name, one.case) for one in cache.manifest.skipped}
    kind: SourceKind = "source-new"
    for case in layout.cases:
        if case.class_name not in unknown and (case.class_name, case.name) not in known:
            yield Problem(
                code=kind,
                path=str(layout.root / case.image),
                got="a case",
                expected="none that the cache does not hold",
                hint=BUILD,
                class_name=case.class_name,
                case=case.name,
            )
