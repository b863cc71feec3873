"""Break niicache on purpose, again and again, and say what did not hold.

Breaks are the modules of tests/breaks; the tests go through a few seeds of each, this through many.
They take turns, so that time that ends early is shared by all of them. A failure ends nothing:
its seed is named with the command that repeats it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from breaks import BREAKS, Break, CannotBreakError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LINE_SECONDS = 10.0
"""Between two lines of progress where stdout is no terminal."""

MEMORY = Path("/dev/shm")  # noqa: S108 - the names in it are made by tempfile
"""Where Linux keeps files in memory."""


@dataclass(slots=True)
class Course:
    """How it goes with one break.

    Attributes:
        name: The break.
        first: The first seed.
        times: How many seeds to go through.
        runs: How many it went through.
        failed: The seeds that failed.
        seconds: What they took.
        skipped: Why this machine cannot do it, or "".
    """

    name: str
    first: int
    times: int
    runs: int = 0
    failed: list[int] = field(default_factory=list)
    seconds: float = 0.0
    skipped: str = ""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.skipped) or self.runs >= self.times

    def __str__(self) -> str:
        """Return a line of progress."""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{self.name}: {self.runs:,} of {self.times:,}, seed {self.seed}{failed}"

    @property
    def seed(self) -> int:
        """The next seed."""
        return self.first + self.runs


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    figures = ", ".join(f"{name} {one.soak:,}" for name, one in BREAKS.items())
    add = parser.add_argument
    add(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"breaks; all if none is named: {', '.join(BREAKS)}",
    )
    add("--times", type=int, help=f"seeds of each; by default {figures}")
    add("--minutes", type=float, help="stop after that long; by default when all seeds are done")
    add("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(words)
    unknown = sorted(set(options.names) - set(BREAKS))
    if unknown:
        parser.error(f"NAME: got {', '.join(unknown)}, expected any of {', '.join(BREAKS)}")
    if options.seed < 0 or (options.times is not None and options.times < 1):
        parser.error("--seed is 0 or more, --times is 1 or more")
    if options.minutes is not None and not options.minutes > 0:
        parser.error("--minutes is more than 0")
    return options


def step(course: Course, one: Break) -> str:
    """Go through one seed; return what did not hold, or ""."""
    begun = time.monotonic()
    said = ""
    try:
        with tempfile.TemporaryDirectory(prefix="niicache-soak-", dir=place(one)) as folder:
            one.once(course.seed, Path(folder))
    except CannotBreakError as error:
        course.skipped = str(error)
        return ""
    except Exception as error:  # noqa: BLE001 - one seed must not end the others
        text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
        said = f"{course.name}, seed {course.seed}: {text or traceback.format_exc()}"
        course.failed.append(course.seed)
    course.seconds += time.monotonic() - begun
    course.runs += 1
    return said


def place(one: Break) -> Path | None:
    """Return the folder for the folders of a break; None is the usual one."""
    usable = one.in_memory and MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    return MEMORY if usable else None


def turns(courses: Sequence[Course], until: float) -> Iterator[Course]:
    """Yield whose turn it is: of the breaks with seeds left, the one furthest behind."""
    while time.monotonic() < until:
        left = [course for course in courses if not course.over]
        if not left:
            return
        yield min(left, key=lambda course: course.runs / course.times)


class Lines:
    """Progress: a line a break that changes on a terminal, one every few seconds elsewhere."""

    def __init__(self) -> None:
        self._last = 0.0
        self._live = sys.stdout.isatty()
        self._width = 0

    def show(self, course: Course) -> None:
        """Say how it goes."""
        line = str(course)
        if self._live:
            print(f"\r{line:<{self._width}}", end="\n" if course.over else "", flush=True)
            self._width = 0 if course.over else len(line)
        elif course.over or time.monotonic() - self._last > LINE_SECONDS:
            self._last = time.monotonic()
            print(line, flush=True)

    def tell(self, text: str) -> None:
        """Say something that stays."""
        print(f"\n{text}" if self._width else text, flush=True)
        self._width = 0


def table(courses: Sequence[Course]) -> str:
    """Return what became of every break."""
    rows = [("break", "runs", "failures", "seconds", "skipped")]
    rows += [
        (one.name, f"{one.runs:,}", f"{len(one.failed):,}", f"{one.seconds:,.0f}", one.skipped)
        for one in courses
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *figures, skipped in rows:
        cells = [f"{one:>{width}}" for one, width in zip(figures, widths[1:], strict=False)]
        lines.append("  ".join([f"{name:<{widths[0]}}", *cells, skipped]).rstrip())
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the breaks; return 1 if anything did not hold."""
    options = parse(words)
    names = options.names or list(BREAKS)
    courses = [Course(name, options.seed, options.times or BREAKS[name].soak) for name in names]
    until = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    lines = Lines()
    try:
        for course in turns(courses, until):
            said = step(course, BREAKS[course.name])
            if said:
                lines.tell(f"{said}\n  again: scripts/soak {again(course)}")
            lines.show(course)
    except KeyboardInterrupt:
        lines.tell("stopped")
    lines.tell(f"\n{table(courses)}")
    failed = [(course.name, seed) for course in courses for seed in course.failed]
    for name, seed in failed:
        print(f"failed: scripts/soak {name} --seed {seed} --times 1")
    return 1 if failed else 0


def again(course: Course) -> str:
    """Return the words that repeat the seed that failed last."""
    return f"{course.name} --seed {course.failed[-1]} --times 1"


if __name__ == "__main__":
    sys.exit(main())
