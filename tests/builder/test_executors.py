"""Workers: how they are started, and what of a unit counts when."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from building import build0, folders, run, tree
from helpers import run_python

from niicache_builder import BuildOptions, executors, plan_build
from niicache_builder.executors import run_units
from niicache_builder.progress import Silent
from niicache_builder.record import load_result
from niicache_builder.work import do_unit, result_path, seal, staged_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from niicache_builder.record import UnitResult
    from niicache_builder.unit import Unit
    from niicache_builder.work import Staged


def test_a_unit_leaves_its_record_and_its_names_only_when_it_is_sealed(tmp_path: Path) -> None:
    plan = plan_build(folders(tmp_path / "s", {"a": 3}), tmp_path / "c", BuildOptions())
    work = tmp_path / "work"
    work.mkdir()
    (unit,) = plan.units
    shard, record = staged_path(work, unit.id, "image"), result_path(work, unit.id)
    staged = do_unit(unit, plan.recipe, plan.scan.layout.root, work, skip=False)
    assert list(work.iterdir()) == [staged.partials["image"]]
    assert seal(staged, work) == staged.result == load_result(record)
    assert set(work.iterdir()) == {shard, record}
    assert shard.stat().st_size == staged.result.files["image"].size


def test_the_largest_units_go_first(
    tmp_path: Path, small_shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folders(tmp_path / "s", {"a": 1, "b": small_shards + 2, "c": 2})
    plan = plan_build(source, tmp_path / "c", BuildOptions())
    handed_out: list[int] = []

    def start(_: Any, units: Sequence[Unit], workers: int) -> NoReturn:
        handed_out.extend(unit.cases for unit in units)
        raise BlockingIOError(workers)

    monkeypatch.setattr(executors, "_start", start)
    root = plan.scan.layout.root
    with pytest.raises(BlockingIOError):
        list(
            run_units(
                plan.units, plan.recipe, root, tmp_path, workers=1, skip=False, progress=Silent()
            )
        )
    assert handed_out == [small_shards, 2, 2, 1]


def test_units_under_way_are_given_up_after_a_case_when_the_build_ends(
    tmp_path: Path, small_shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads stand in for the processes, so that the worker's side can be looked at."""
    source = folders(tmp_path / "s", {"a": small_shards + 1})
    plan = plan_build(source, tmp_path / "c", BuildOptions())
    fork = get_context("fork")
    shared = executors._Shared(
        done=fork.Value("q", 0), joined=fork.Value("q", 1), stop=fork.Value("b", 0, lock=False)
    )
    long, *_ = sorted(plan.units, key=lambda unit: -unit.cases)
    endless: list[Future[Staged]] = []

    def work(unit: Unit, *, advance: Callable[[], None]) -> Staged:
        until = time.monotonic() + 20
        while unit is long and time.monotonic() < until:
            advance()
            time.sleep(0.001)
        return cast("Staged", unit.id)

    def start(
        _: Any, units: Sequence[Unit], workers: int
    ) -> tuple[ThreadPoolExecutor, executors._Shared, dict[Future[Staged], Unit]]:
        pool = ThreadPoolExecutor(workers)
        task = partial(work)
        pending = {pool.submit(executors._do_one, task, unit): unit for unit in units}
        endless.extend(future for future, unit in pending.items() if unit is long)
        return pool, shared, pending

    monkeypatch.setitem(executors._worker, "shared", shared)
    monkeypatch.setattr(executors, "_start", start)
    monkeypatch.setattr(executors, "seal", lambda staged, _: staged)
    results = run_units(
        plan.units,
        plan.recipe,
        plan.scan.layout.root,
        tmp_path,
        workers=2,
        skip=False,
        progress=Silent(),
    )
    assert next(results) != long.id
    assert not endless[0].done()
    cast("Generator[UnitResult]", results).close()
    assert isinstance(endless[0].exception(timeout=0), executors._StoppedError)
    assert shared.done.value > 0


def test_a_temporary_folder_too_deep_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 4})
    deep = tmp_path / ("deep" * 40)
    deep.mkdir()
    before = f"import tempfile; tempfile.tempdir = {str(deep)!r}"
    done = run("build", source, tmp_path / "c", "--workers", "2", before=before)
    assert done.returncode == 0, done.stderr
    build0(source, tmp_path / "alone")
    assert tree(tmp_path / "c") == tree(tmp_path / "alone")


FRONT = """
import sys
import niicache_builder.cli.main
print(*{name.partition(".")[0] for name in sys.modules})
import niicache_builder.build, niicache_builder.verify
from niicache_builder import build, stats, verify
assert callable(build) and callable(stats) and callable(verify)
assert niicache_builder.build is build is sys.modules["niicache_builder.build"].build
"""


def test_the_command_line_loads_nothing_heavy_before_it_starts_workers() -> None:
    names = set(run_python(FRONT).split())
    assert "click" in names
    assert not names & {"numpy", "nibabel", "numcodecs", "rich", "zarr", "numba"}
