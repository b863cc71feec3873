"""Verification of a whole cache, beside sha256sum over the same files, which proves as much.

Both are programs of their own, timed from their start to their end. sha256sum has one thread; where
more are allowed it is also run as so many processes. Every file is in the page cache.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.brains import write_volumes
from benchmarks.command import COMMAND, build_cache
from benchmarks.table import Table, make_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.options import Options

VOLUMES = 24
VOLUME = (240, 240, 155)  # voxels; 18 MB of int16
OURS, QUICK, SUM = "niicache verify", "niicache verify --quick", "sha256sum"
ABSENT = "no program of this name here"


def run(folder: Path, options: Options) -> Table:
    """Build a cache of volumes that are stored as they are, and verify it by turns."""
    count = options.scaled(VOLUMES)
    write_volumes(folder / "source", ("only",), count, VOLUME, seed=1)
    cache = build_cache(
        folder / "source", folder / "cache", "--labels", "folder", "--codec", "none"
    )
    files = sorted(str(path) for path in cache.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    ways, skipped = _ways(cache, files, options.threads)
    figures: dict[str, list[float]] = {way: [] for way in ways}
    for program in ways.values():  # once before it counts: the page cache, and compiled modules
        program()
    for _ in range(options.rounds):
        for way, program in ways.items():
            start = perf_counter()
            program()
            figures[way].append(perf_counter() - start)
    rows = make_rows(figures, yardsticks={SUM: SUM}, higher_is_better=False)
    speeds = (f"{row.way} {size / 1e6 / row.median:,.0f} MB/s" for row in rows if row.way != QUICK)
    return Table(
        title="verify: seconds of whole programs, their start included",
        unit="s",
        rows=rows,
        skipped=skipped,
        facts={"MB": round(size / 1e6), "files": len(files), "threads": options.threads},
        remarks=(", ".join(speeds),),
    )


def _ways(
    cache: Path, files: list[str], threads: int
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return what is to be timed, and what cannot run."""
    ours = [sys.executable, "-c", COMMAND, "verify", str(cache)]
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: _run(ours),
        QUICK: lambda: _run([*ours, "--quick"]),
    }
    if shutil.which("sha256sum") is None:
        return ways, {SUM: ABSENT}
    ways[SUM] = lambda: _run(["sha256sum", *files])
    if threads > 1 and shutil.which("xargs") is not None:
        words = ["xargs", "-0", "-n", "1", "-P", str(threads), "sha256sum"]
        ways[f"{SUM}, {threads} processes"] = lambda: _run(words, "\0".join(files))
    return ways, {}


def _run(words: list[str], said: str | None = None) -> None:
    """Run a program to its end.

    Raises:
        CalledProcessError: If it fails; what it said is on stderr.
    """
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, input=said, text=True)
