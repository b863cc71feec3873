"""Time an epoch of BalancedSequence beside the baseline, on the same files, in one run.

Four unequal classes (600/250/100/50 cases) of 45x45x3 int16 .nii.gz files with vector labels are
made, built into a cache padded to 64x64x3, and read in batches of 128, 32 of each class. The ways
take turns, round by round, so that whatever else the machine does hits all of them:

    baseline           see baseline.py; files warm in the page cache, no augmentation
    epoch 0            a new BalancedSequence: every chunk read from its file and decoded
    later epochs       the epochs after that: what was decoded is still in memory

Imports and the compiling of kernels are over before the first round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from hush import import_keras
from timing import epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from baseline import Baseline

COUNTS = {"a": 600, "b": 250, "c": 100, "d": 50}
SHAPE = (64, 64)  # voxels; 45 is padded with 9 before and 10 after
PER_CLASS = 32
BASELINE = "baseline"

# What the console script `niicache` runs, so that the bench needs no installed one.
COMMAND = "import sys; from niicache_builder.cli.main import main; sys.exit(main())"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Samples per second of one way, over the rounds.

    Attributes:
        way: Its name.
        minimum: Slowest round.
        median: The middle one.
        maximum: Fastest round.
        ratio: ``median`` over that of the baseline.
        least_ratio: Slowest round over the baseline's fastest.
    """

    way: str
    minimum: float
    median: float
    maximum: float
    ratio: float
    least_ratio: float


def build(source: Path, cache: Path) -> None:
    """Build the cache with the command line.

    Raises:
        CalledProcessError: If the build fails; what it said is on stderr.
    """
    shape = ",".join(map(str, SHAPE))
    words = ("build", str(source), str(cache), "--shape", shape, "--labels", "vector", "--json")
    subprocess.run([sys.executable, "-c", COMMAND, *words], check=True, stdout=subprocess.DEVNULL)


def check_equal(old: Baseline, cache_path: Path) -> None:
    """Refuse to compare two ways that do not read the same voxels and labels.

    Raises:
        AssertionError: If any case differs.
    """
    import numpy as np

    from niicache import open_cache

    cache = open_cache(cache_path)
    for name, cases in zip(cache.classes, old.classes, strict=True):
        if len(cache[name]) != len(cases):
            raise AssertionError(f"class {name}: {len(cache[name])} cases, not {len(cases)}")
        for number, case in enumerate(cases):
            for mine, theirs in zip(cache[name][number], old.read(case), strict=True):
                np.testing.assert_array_equal(mine, theirs, err_msg=str(case.image))


def time_rounds(old: Baseline, cache: Path, *, rounds: int, epochs: int) -> dict[str, list[float]]:
    """Return samples per second of each way, one figure a round.

    Args:
        old: The baseline.
        cache: The cache of the same files.
        rounds: How often each way is timed.
        epochs: Later epochs that one figure is taken over.
    """
    from niicache import BalancedSequence

    steps, size = len(old), old.batch_size
    rates: dict[str, list[float]] = {}

    def note(way: str, passes: int, seconds: float) -> None:
        rates.setdefault(way, []).append(passes * steps * size / seconds)

    def later(sequence: BalancedSequence) -> float:
        return epoch_seconds(
            lambda step: sequence.batch(1 + step // steps, step % steps), epochs * steps
        )

    BalancedSequence(cache, size, steps=steps)[0]  # compiles the kernels, or loads them
    for number in range(rounds):
        note(BASELINE, 1, epoch_seconds(old.__getitem__, steps))
        new = BalancedSequence(cache, size, steps=steps, seed=number)
        note("epoch 0", 1, epoch_seconds(new.__getitem__, steps))
        note("later epochs", epochs, later(new))
        new.close()
    return rates


def table(rates: dict[str, list[float]]) -> list[Row]:
    """Return one row a way, compared with the baseline."""
    base = rates[BASELINE]
    return [
        Row(
            way=way,
            minimum=min(figures),
            median=median(figures),
            maximum=max(figures),
            ratio=median(figures) / median(base),
            least_ratio=min(figures) / max(base),
        )
        for way, figures in rates.items()
    ]


def render(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text, samples per second."""
    lines = [f"{'samples/s':16}{'min':>10}{'median':>10}{'max':>10}{'ratio':>9}{'at least':>10}"]
    lines += [
        f"{row.way:16}{row.minimum:10,.0f}{row.median:10,.0f}{row.maximum:10,.0f}"
        f"{row.ratio:8.1f}x{row.least_ratio:9.1f}x"
        for row in rows
    ]
    return "\n".join(lines)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--cases-scale", type=float, default=1.0, help="share of the 1,000 cases to make"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is timed")
    parser.add_argument("--epochs", type=int, default=10, help="later epochs in one round")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(words)
    if min(options.rounds, options.epochs) < 1 or not 0 < options.cases_scale <= 1:
        parser.error("--rounds and --epochs are 1 or more, --cases-scale is above 0 and at most 1")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Run the bench and print its result to stdout."""
    options = parse(words)
    import_keras()
    from baseline import Baseline
    from synthetic import write_cases

    counts = {name: max(1, round(n * options.cases_scale)) for name, n in COUNTS.items()}
    with tempfile.TemporaryDirectory(prefix="niicache-bench-") as folder:
        source, cache = Path(folder, "source"), Path(folder, "cache")
        write_cases(source, counts)
        build(source, cache)
        old = Baseline(source, shape=SHAPE, labels="file", per_class=PER_CLASS)
        check_equal(old, cache)
        rows = table(time_rounds(old, cache, rounds=options.rounds, epochs=options.epochs))
    facts = {"cases": counts, "batch": old.batch_size, "steps": len(old), "cpus": os.cpu_count()}
    if options.json:
        print(json.dumps({**facts, "unit": "samples/s", "rows": [asdict(row) for row in rows]}))
    else:
        print(", ".join(f"{name}: {value}" for name, value in facts.items()))
        print(render(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
