"""One unit of work, done by one worker: cases in, staged shards and a record of them out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from niicache.format.codec import one_thread
from niicache.format.names import IMAGE, LABEL
from niicache_builder.case import CaseError, PreparedCase, prepare_case
from niicache_builder.durable import partial_name, settle
from niicache_builder.prepare import filled, place
from niicache_builder.record import CaseRecord, UnitResult, pack_result, unit_key
from niicache_builder.shards import ShardWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from niicache.errors import Problem
    from niicache.format.manifest import ArrayLayout, FileEntry, Recipe
    from niicache_builder.scan import CaseScan
    from niicache_builder.unit import Unit


NONE: Mapping[int, Problem] = MappingProxyType({})


def staged_path(work: Path, unit_id: str, array: str) -> Path:
    """Return where a finished shard waits for the commit."""
    return work / f"{unit_id}.{array}"


def result_path(work: Path, unit_id: str) -> Path:
    """Return where the record of a finished unit waits for the commit."""
    return work / f"{unit_id}.json"


def layouts_of(recipe: Recipe) -> Mapping[str, ArrayLayout]:
    """Return the arrays that every class has."""
    arrays = {IMAGE: recipe.image, LABEL: recipe.label}
    return {name: layout for name, layout in arrays.items() if layout is not None}


class _Step:
    """Fills one chunk's worth of cases after the other and hands each to the shard."""

    def __init__(self, name: str, writer: ShardWriter, layout: ArrayLayout, recipe: Recipe) -> None:
        self.name = name
        self._writer = writer
        self._is_vector = name == LABEL and recipe.label_kind == "vector"
        self._mode = recipe.pad_mode
        self._is_cut = layout.blocks > 1
        self._layout = layout
        self._fill = layout.fill
        self._next = 0

    @cached_property
    def _cases(self) -> np.ndarray:
        return filled(self._layout)

    def take(self, prepared: PreparedCase | None) -> None:
        """Put a case into its slot, or leave the slot vacant."""
        voxels = None
        if prepared is not None:
            voxels = prepared.image if self.name == IMAGE else prepared.label
        if self._is_cut and voxels is not None and voxels.shape == self._layout.shape:
            self._writer.write(voxels[np.newaxis])  # as it came: nothing to pad, nothing to gather
            return
        slot = self._cases[self._next]
        if voxels is None or voxels.shape != slot.shape:
            slot[...] = self._fill
        if voxels is not None and self._is_vector:
            slot[...] = voxels
        elif voxels is not None:
            place(voxels, slot, self._mode)
        self._next += 1
        if self._next == len(self._cases):
            self._flush()

    @property
    def partial(self) -> Path:
        """Temporary name of the shard."""
        return self._writer.partial

    def finish(self) -> tuple[FileEntry, tuple[int, ...]]:
        """Write what is left, and the index."""
        if self._next:
            self._cases[self._next :] = self._fill
            self._flush()
        return self._writer.finish(), tuple(self._writer.crcs)

    def _flush(self) -> None:
        self._writer.write(self._cases)
        self._next = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Staged:
    """A unit whose shards are written, but may still be lost with the power.

    Attributes:
        result: What came out.
        partials: ``"image"``, ``"label"`` to the shard under its temporary name; empty where cases
            failed and may not be skipped.
        record: The result under its temporary name, written after the shards: a build that is
            killed now leaves all that the next one needs to go on. None where there are no shards.
    """

    result: UnitResult
    partials: Mapping[str, Path]
    record: Path | None


class _UnitFailedError(Exception):
    """Ends a unit whose failures may not be skipped, so that its files are taken back."""


def do_unit(
    unit: Unit,
    recipe: Recipe,
    root: Path,
    work: Path,
    *,
    skip: bool,
    without: Mapping[int, Problem] = NONE,
    advance: Callable[[], None] = lambda: None,
) -> Staged:
    """Read the cases of a unit and write its shards, which :func:`seal` makes durable.

    Args:
        unit: What to do.
        recipe: How voxels become bytes.
        root: What the paths of the sources are relative to.
        work: Folder of the build, on the file system of the cache.
        skip: Leave out a case that fails, instead of giving up the unit.
        without: Slots whose cases have failed already, and why; they are not read.
        advance: Called after each case; what it raises gives up the unit.

    Raises:
        OSError: A shard could not be written.
    """
    records: list[CaseRecord | None] = []
    failures: list[Problem] = []
    files, crcs, partials = {}, {}, {}
    try:
        with ExitStack() as stack:
            stack.enter_context(one_thread())
            steps = []
            for name, layout in layouts_of(recipe).items():
                writer = ShardWriter(staged_path(work, unit.id, name), layout)
                steps.append(_Step(name, stack.enter_context(writer), layout, recipe))
            for slot, case in enumerate(unit.slots):
                prepared = None
                try:
                    prepared = _prepared(case, recipe, root, without.get(slot))
                except CaseError as error:
                    failures.append(error.problem)
                records.append(None if prepared is None else prepared.record)
                for step in steps:
                    step.take(prepared)
                if case is not None:
                    advance()
            if failures and not skip:
                raise _UnitFailedError  # noqa: TRY301 - so that the stack takes back the files
            for step in steps:
                files[step.name], crcs[step.name] = step.finish()
                partials[step.name] = step.partial
            result = _result(unit, recipe, records, failures, files, crcs)
            record = partial_name(result_path(work, unit.id))
            record.write_bytes(pack_result(result))
    except _UnitFailedError:
        # The result says it all in its failures, and the stack has taken back the files.
        result = _result(unit, recipe, records, failures, {}, {})
        return Staged(result=result, partials={}, record=None)
    return Staged(result=result, partials=partials, record=record)


def _prepared(
    case: CaseScan | None, recipe: Recipe, root: Path, failed: Problem | None
) -> PreparedCase | None:
    if failed is not None:
        raise CaseError(failed)
    return None if case is None else prepare_case(case, recipe, root)


def _result(
    unit: Unit,
    recipe: Recipe,
    records: Sequence[CaseRecord | None],
    failures: Sequence[Problem],
    files: Mapping[str, FileEntry],
    crcs: Mapping[str, tuple[int, ...]],
) -> UnitResult:
    return UnitResult(
        id=unit.id,
        key=unit_key(recipe, tuple(records)),
        records=tuple(records),
        failures=tuple(failures),
        files=files,
        crcs=crcs,
    )


def seal(staged: Staged, work: Path) -> UnitResult:
    """Make the shards of a unit durable and give them their names; the record is written last.

    This waits for the disk and does nothing else, so it is no work for those who do the work.

    Raises:
        OSError: The file system refused.
    """
    unit_id = staged.result.id
    for name, partial in staged.partials.items():
        settle(partial, staged_path(work, unit_id, name))
    if staged.record is not None:
        settle(staged.record, result_path(work, unit_id))
    return staged.result
