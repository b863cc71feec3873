"""Builds: of the small cases, and of 18 MB volumes, beside the obvious loop and beside gunzip.

Every way is a program of its own, timed from its start to its end, with as many processes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from synthetic import write_cases

from benchmarks.brains import write_volumes
from benchmarks.command import build_cache
from benchmarks.small import COUNTS, SHAPE
from benchmarks.table import Table, make_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.options import Options

HERE = Path(__file__).parent
VOLUMES = 24
VOLUME = (240, 240, 155)  # voxels; 18 MB of int16, as brain tumour sets have them
KINDS = ("small cases", "volumes")
OURS, LOOP, ISAL = "niicache build", "obvious loop", "isal alone"


def run_script(name: str, *words: object) -> None:
    """Run a program of this folder.

    Raises:
        CalledProcessError: If it fails; what it said is on stderr.
    """
    subprocess.run([sys.executable, HERE / name, *map(str, words)], check=True)


def ways(
    source: Path, target: Path, shape: tuple[int, ...], threads: int, *words: str
) -> dict[str, Callable[[], object]]:
    """Return what is to be timed on one source."""
    size = ",".join(map(str, shape))
    return {
        OURS: lambda: build_cache(source, target, "--workers", str(threads), *words),
        LOOP: lambda: run_script("obvious_loop.py", source, target, size, threads),
        ISAL: lambda: run_script("inflate_only.py", source, threads),
    }


def run(folder: Path, options: Options) -> Table:
    """Make both sources and build them by turns."""
    small, volumes, target = folder / "small", folder / "volumes", folder / "target"
    write_cases(small, {name: options.scaled(count) for name, count in COUNTS.items()})
    count = options.scaled(VOLUMES)
    write_volumes(volumes, ("only",), count, VOLUME, seed=1)
    shape = ("--shape", ",".join(map(str, SHAPE)), "--labels", "vector")
    programs = {
        KINDS[0]: ways(small, target, (*SHAPE, 3), options.threads, *shape),
        KINDS[1]: ways(volumes, target, VOLUME, options.threads, "--labels", "folder"),
    }
    figures = _by_turns(programs, target, options.rounds)
    rows = [
        row
        for kind in KINDS
        for row in make_rows(
            figures,
            yardsticks={"loop": f"{kind}: {LOOP}", "isal": f"{kind}: {ISAL}"},
            higher_is_better=False,
        )
        if row.way.startswith(kind)
    ]
    megabytes = count * 2 * VOLUME[0] * VOLUME[1] * VOLUME[2] / 1e6
    speeds = {
        row.way: f"{megabytes / row.median:,.0f} MB/s"
        for row in rows
        if row.way.startswith(KINDS[1])
    }
    return Table(
        title="build: default codec; seconds of whole programs, their start included",
        unit="s",
        rows=tuple(rows),
        facts={"processes": options.threads, "volumes": count, "decoded MB": round(megabytes)},
        remarks=(
            "decoded voxels: " + ", ".join(f"{way} {speed}" for way, speed in speeds.items()),
        ),
    )


def _by_turns(
    programs: Mapping[str, Mapping[str, Callable[[], object]]], target: Path, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of each program in each round, by ``kind: way``."""
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        for kind, programs_of in programs.items():
            for way, program in programs_of.items():
                figures.setdefault(f"{kind}: {way}", []).append(_seconds(program))
                shutil.rmtree(target, ignore_errors=True)
    return figures


def _seconds(program: Callable[[], object]) -> float:
    start = perf_counter()
    program()
    return perf_counter() - start
