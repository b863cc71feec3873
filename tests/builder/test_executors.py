"""Workers: how they are started, and what of a unit counts when."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from building import build0, folders, run, tree
from helpers import run_python

from niicache_builder import BuildOptions, crew, executors, plan_build
from niicache_builder.crew import Worker
from niicache_builder.executors import run_units
from niicache_builder.progress import Silent
from niicache_builder.record import load_result
from niicache_builder.work import do_unit, result_path, seal, staged_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import pytest

    from niicache_builder.attempt import Attempt
    from niicache_builder.plan import Plan
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
    assert set(work.iterdir()) == {staged.partials["image"], staged.record}
    assert seal(staged, work) == staged.result == load_result(record)
    assert set(work.iterdir()) == {shard, record}
    assert shard.stat().st_size == staged.result.files["image"].size


def test_the_largest_units_go_first(
    tmp_path: Path, small_shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folders(tmp_path / "s", {"a": 1, "b": small_shards + 2, "c": 2})
    plan = plan_build(source, tmp_path / "c", BuildOptions())
    handed_out: list[int] = []
    done = Worker.do

    def do(worker: Worker, attempt: Attempt) -> Staged:
        handed_out.append(attempt.unit.cases)
        return done(worker, attempt)

    monkeypatch.setattr(Worker, "do", do)
    assert len(list(running(plan, tmp_path, workers=1))) == 4
    assert handed_out == [small_shards, 2, 2, 1]


def test_units_under_way_are_given_up_after_a_case_when_the_build_ends(
    tmp_path: Path, small_shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads stand in for the processes, so that the worker's side can be looked at."""
    source = folders(tmp_path / "s", {"a": small_shards + 1})
    plan = plan_build(source, tmp_path / "c", BuildOptions())
    long, *_ = sorted(plan.units, key=lambda unit: -unit.cases)
    ends: list[object] = []

    def work(unit: Unit, *, advance: Callable[[], None], **_: Any) -> Staged:
        until = time.monotonic() + 20
        while unit is long and time.monotonic() < until:
            advance()
            time.sleep(0.001)
        return cast("Staged", unit.id)

    class Here:
        started = True
        done = 0

        def __init__(self, _: Any, __: Any, root: Path, stop: Any) -> None:
            self.do = lambda attempt: self._do(attempt, root, stop)

        def _do(self, attempt: Attempt, root: Path, stop: Any) -> Any:
            answer = crew._answer(work, attempt, root, SimpleNamespace(value=0), stop)
            if isinstance(answer, Exception):
                ends.append(answer)
                raise answer
            return answer

        def dismiss(self) -> None:
            ends.append(self)

        def is_gone(self, _: float) -> bool:
            return True

    monkeypatch.setattr(executors, "Worker", Here)
    monkeypatch.setattr(executors, "seal", lambda staged, _: staged)
    results = running(plan, tmp_path, workers=2)
    assert next(results) != long.id
    assert ends == []
    results.close()
    assert [type(end) for end in ends] == [crew.StoppedError, Here, Here]


def running(plan: Plan, work: Path, *, workers: int) -> Generator[UnitResult]:
    """Run the units of a plan."""
    results = run_units(
        plan.units,
        plan.recipe,
        plan.scan.layout.root,
        work,
        workers=workers,
        skip=False,
        progress=Silent(),
    )
    return cast("Generator[UnitResult]", results)


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
