"""The sources of cases that a repair needs again: are they there, and what they were?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from niicache.errors import Problem, SourceError
from niicache.format.geometry import fits
from niicache_builder.axes import split_axes
from niicache_builder.grid_plan import prepared_shape
from niicache_builder.identify import cases_in_slots, is_told
from niicache_builder.nifti import NiftiError, read_header
from niicache_builder.scan import CaseScan, without_labels
from niicache_builder.sources import NO_LAYOUT, find_cases
from niicache_builder.stale import BUILD, Held, compared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from niicache.cache import Cache
    from niicache.format.manifest import Recipe
    from niicache_builder.cases import CaseFiles
    from niicache_builder.progress import Progress
    from niicache_builder.salvage import ClassSalvage

Place = tuple[str, int]
"""A class, and a slot of it or a shard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What was found of the sources of some shards.

    Attributes:
        root: What their paths are relative to.
        cases: Slot to the case in it, of those whose sources are what they were.
        lost: Slot to why its case cannot be read again.
    """

    root: Path
    cases: Mapping[Place, CaseScan]
    lost: Mapping[Place, Problem]


def reread(
    cache: Cache,
    left: Mapping[str, ClassSalvage],
    shards: Iterable[Place],
    source: Path,
    progress: Progress,
) -> Sources:
    """Look up the sources of every case in some shards, and read them to prove that they are.

    Args:
        cache: The cache.
        left: What is left of its classes.
        shards: Those that are to be written again.
        source: A folder in a known layout, or a CSV file.
        progress: Told of the cases.

    Raises:
        SourceError: It is not a source, or does not tell which cases a class held.
    """
    source = source.expanduser()
    root = source if source.is_dir() else source.parent
    size = cache.manifest.recipe.image.shard_cases
    shards = set(shards)
    files = _files(cache, left, {name for name, _ in shards}, source)
    wanted = {
        place: case for place, case in files.items() if (place[0], place[1] // size) in shards
    }
    cases: dict[Place, CaseScan] = {}
    lost: dict[Place, Problem] = {}
    progress.begin("sources", len(wanted), "cases")
    for place, case in wanted.items():
        held = _held(left[place[0]], place[1], case, cache.manifest.recipe.image_files)
        found = _read(case, held, root, cache.manifest.recipe)
        if isinstance(found, Problem):
            lost[place] = found
        else:
            cases[place] = found
        progress.advance(1)
    progress.end()
    return Sources(root=root, cases=cases, lost=lost)


def _files(
    cache: Cache, left: Mapping[str, ClassSalvage], classes: set[str], source: Path
) -> dict[Place, CaseFiles]:
    """Return slot to case of some classes."""
    listed: list[CaseFiles] = []
    if not all(is_told(left[name].columns) for name in classes) or not source.exists():
        layout = find_cases(source)
        if layout.name == NO_LAYOUT:
            raise SourceError(layout.problems)
        listed += (layout if cache.manifest.recipe.label else without_labels(layout)).cases
    files: dict[Place, CaseFiles] = {}
    for name in sorted(classes):
        one = left[name]
        mine = [case for case in listed if case.class_name == name]
        held = cases_in_slots(name, one.slots, one.columns, mine)
        if held is None:
            raise SourceError([_untold(cache, name, len(mine))])
        files |= {(name, slot): case for slot, case in enumerate(held) if case is not None}
    return files


def _held(one: ClassSalvage, slot: int, case: CaseFiles, files: int) -> Held:
    images, label = (one.columns.get(name) for name in ("image_hash", "label_hash"))
    unknown = "" if case.label is None else None
    return Held(
        class_name=one.name,
        name=case.name,
        images=(None,) * files if images is None else images[slot],
        label=unknown if label is None else label[slot],
        paths=(*case.images, case.label or ""),
    )


def _read(case: CaseFiles, held: Held, root: Path, recipe: Recipe) -> CaseScan | Problem:
    problems = compared(held, case, root)
    if problems:
        return problems[0]
    try:
        images = tuple(read_header(root / path) for path in case.images)
        label = None if case.label is None else read_header(root / case.label)
    except NiftiError as error:
        return error.problem(str(root / case.image), case.class_name, case.name)
    found = CaseScan(files=case, images=images, label=label)
    return found if _is_of(found, recipe) else _misfit(found, root)


def _is_of(case: CaseScan, recipe: Recipe) -> bool:
    """Tell whether a case has the axes of the cache; where hashes are damaged nothing else may."""
    dims, label = recipe.spatial_dims, case.label
    axes = [split_axes(header.shape, dims) for header in case.images]
    whole = [one for one in axes if one is not None]
    if len(whole) < len(axes) or len({spatial for spatial, _ in whole}) > 1:
        return False
    spatial, channels = whole[0][0], sum(count for _, count in whole)
    *padded, held = recipe.image.shape
    stored = prepared_shape(case.images[0], dims, recipe)
    # How much of a case a crop leaves is known when it is read.
    if channels != held or not (recipe.crop is not None or fits(stored, tuple(padded))):
        return False
    if recipe.label is None or label is None:
        return True
    if recipe.label_kind == "vector":
        return math.prod(label.shape) == recipe.label.shape[0]
    return split_axes(label.shape, dims) == (spatial, recipe.label.shape[-1])


def _misfit(case: CaseScan, root: Path) -> Problem:
    shapes = [header.shape for header in (*case.images, case.label) if header is not None]
    return Problem(
        code="source-changed",
        path=str(root / case.files.image),
        got=f"files of shape {', '.join(map(str, shapes))}",
        expected="those of the case, which the cache has room for",
        hint=BUILD,
        class_name=case.files.class_name,
        case=case.files.name,
    )


def _untold(cache: Cache, name: str, there: int) -> Problem:
    return Problem(
        code="case-untold",
        path=str(cache.path / name),
        got=f"damaged columns, and {there} cases of the class in the source",
        expected="columns or a source that say which case is where",
        hint="delete the cache and build it again",
        class_name=name,
    )
