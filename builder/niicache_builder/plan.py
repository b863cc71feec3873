"""From headers and options to everything that a build will do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from niicache.errors import OptionError, Problem, SourceError
from niicache.format.manifest import Recipe, SkippedCase
from niicache_builder.axes import guess_label_kind, guess_spatial_dims
from niicache_builder.checks import check_cases
from niicache_builder.doubts import doubts
from niicache_builder.grid_plan import check_axes
from niicache_builder.recipe import Decisions, later_columns, make_recipe
from niicache_builder.room import disk_bytes, worker_bytes
from niicache_builder.slots import assign_slots
from niicache_builder.unit import Unit, make_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from niicache.format.facts import CaseFacts
    from niicache.format.manifest import SplitRule
    from niicache.format.names import LabelKind
    from niicache_builder.choices import OnDuplicates
    from niicache_builder.options import BuildOptions
    from niicache_builder.scan import CaseScan, Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The committed cache that a build starts from.

    Attributes:
        recipe_digest: Of its recipe. Another one makes every shard new.
        slots: Facts of each slot of each class, None where vacant.
        skipped: What it could not take.
        columns: Names of its columns beyond the first set.
    """

    recipe_digest: str
    slots: Mapping[str, tuple[CaseFacts | None, ...]]
    skipped: tuple[SkippedCase, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a build will do.

    Attributes:
        scan: What it is planned from.
        recipe: How voxels become bytes.
        decisions: Why.
        slots: The name in each slot of each class, "" where vacant.
        units: Every shard of the cache to be.
        todo: Those that have to be written.
        skipped: Cases that stay out.
        problems: Why they do.
        warnings: What is odd about names and headers of those that come in.
        split: How cases are split, if they are.
        on_duplicates: What is done where one image lies in two splits or classes.
        columns: Names of the columns beyond the first set.
        previous: What the units that need not be written are taken from.
        disk_bytes: What the shards to be written will take at most, roughly.
        worker_bytes: Memory of one worker at most, roughly.
    """

    scan: Scan
    recipe: Recipe
    decisions: Decisions
    slots: Mapping[str, tuple[str, ...]]
    units: tuple[Unit, ...]
    todo: tuple[Unit, ...]
    skipped: tuple[SkippedCase, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    split: SplitRule | None
    on_duplicates: OnDuplicates
    columns: tuple[str, ...]
    previous: Previous | None
    disk_bytes: int
    worker_bytes: int


def make_plan(
    scan: Scan,
    options: BuildOptions,
    *,
    previous: Previous | None = None,
    unchanged: frozenset[tuple[str, str]] = frozenset(),
) -> Plan:
    """Decide everything.

    Args:
        scan: The source.
        options: What the user said.
        previous: The committed cache, if there is one.
        unchanged: (class, case) of those whose files are still what that cache holds.

    Raises:
        SourceError: There are problems and ``on_error`` is ``stop``, or no sound case is left.
        OptionError: An option does not go with the source.
    """
    dims = _spatial_dims(scan, options)
    if scan.cases:  # else the problems of the source say more
        check_axes(options, dims[0])
    kind = _label_kind(scan, options)
    found = check_cases(
        scan.cases,
        root=scan.layout.root,
        spatial_dims=dims[0],
        label_kind=kind[0],
        options=options,
    )
    problems = (*scan.problems, *found)
    sound = _without(scan.cases, problems)
    if (problems and options.on_error == "stop") or not sound:
        raise SourceError(problems or (_no_case(scan),))
    # Cases whose voxels turn out to be bad have their say too, as they had when first tried.
    recipe, decisions = make_recipe(sound, options, dims, kind)
    kept = previous if previous and previous.recipe_digest == recipe.digest else None
    again = _skip_again(scan, kept) if options.on_error == "skip" else ()
    sound = _without(sound, again)
    if not sound:
        raise SourceError(problems or (_no_case(scan),))
    slots, units, todo = _units(sound, recipe, kept, unchanged)
    return Plan(
        scan=scan,
        recipe=recipe,
        decisions=decisions,
        slots=slots,
        units=units,
        todo=todo,
        skipped=(*(skipped_case(problem, scan.layout.root) for problem in problems), *again),
        problems=problems,
        warnings=doubts(sound, root=scan.layout.root, recipe=recipe, headers=scan.warnings),
        split=options.split_rule,
        on_duplicates=options.on_duplicates,
        columns=later_columns(recipe, kept.columns if kept and len(todo) < len(units) else None),
        previous=kept,
        disk_bytes=sum(disk_bytes(unit, recipe) for unit in todo),
        worker_bytes=worker_bytes(sound, recipe),
    )


def _spatial_dims(scan: Scan, options: BuildOptions) -> tuple[int, str]:
    if options.spatial_dims is not None:
        return options.spatial_dims, "as --spatial-dims says"
    dims, reason = guess_spatial_dims(h.shape for case in scan.cases for h in case.images)
    if options.shape is not None and len(options.shape) != dims and scan.cases:
        raise OptionError(
            f"shape: got {len(options.shape)} numbers, expected {dims}, because images have "
            f"{dims} spatial axes ({reason}); or say so with --spatial-dims"
        )
    return dims, reason


def _label_kind(scan: Scan, options: BuildOptions) -> tuple[LabelKind, str]:
    if options.labels != "auto":
        return options.labels, "as --labels says"
    return guess_label_kind(
        (case.image.shape, None if case.label is None else case.label.shape) for case in scan.cases
    )


def _without(
    cases: Iterable[CaseScan], out: Iterable[Problem | SkippedCase]
) -> tuple[CaseScan, ...]:
    names = {(entry.class_name, entry.case) for entry in out}
    return tuple(case for case in cases if case.identity not in names)


def _skip_again(scan: Scan, previous: Previous | None) -> tuple[SkippedCase, ...]:
    """Return the cases that failed before and whose files and recipe have not changed since."""
    failed = {} if previous is None else {(s.class_name, s.case): s for s in previous.skipped}
    now = {case.identity: case.stamp for case in scan.cases}
    return tuple(
        entry
        for identity, entry in failed.items()
        if entry.size and now.get(identity) == (entry.size, entry.mtime_ns)
    )


def skipped_case(problem: Problem, root: Path) -> SkippedCase:
    """Return the entry of the manifest for a case that is left out.

    Args:
        problem: Why it is.
        root: The source. Where it lies on this machine is no matter of the cache's.
    """
    return SkippedCase(
        class_name=problem.class_name,
        case=problem.case,
        path=_below(root, problem.path),
        code=problem.code,
        got=_below(root, problem.got),
        expected=_below(root, problem.expected),
    )


def _below(root: Path, text: str) -> str:
    """Return a text in which paths count from the source."""
    return text.replace(f"{root}/", "") if root.is_absolute() else text


def _no_case(scan: Scan) -> Problem:
    return Problem(
        code="no-case",
        path=str(scan.layout.root),
        got="no case that can be built",
        expected="at least one",
        hint="see skipped.csv of the cache, and mend the files it names",
    )


def _units(
    cases: Sequence[CaseScan],
    recipe: Recipe,
    previous: Previous | None,
    unchanged: frozenset[tuple[str, str]],
) -> tuple[dict[str, tuple[str, ...]], tuple[Unit, ...], tuple[Unit, ...]]:
    size = recipe.image.shard_cases
    by_class: dict[str, dict[str, CaseScan]] = {}
    for case in cases:
        by_class.setdefault(case.files.class_name, {})[case.files.name] = case
    slots: dict[str, tuple[str, ...]] = {}
    units: list[Unit] = []
    todo: list[Unit] = []
    for name, members in sorted(by_class.items()):
        before = () if previous is None else previous.slots.get(name, ())
        old = tuple("" if facts is None else facts.name for facts in before)
        changed = [case for case in members if (name, case) not in unchanged]
        slots[name] = assign_slots(members, before=old, changed=changed, shard_cases=size)
        for index, start in enumerate(range(0, len(slots[name]), size)):
            held = slots[name][start : start + size]
            unit = make_unit(name, index, tuple(map(members.get, held)), recipe)
            units.append(unit)
            same = held == old[start : start + size]
            if not same or any((name, case) not in unchanged for case in held if case):
                todo.append(unit)
    return slots, tuple(units), tuple(todo)
