"""Which cases a batch holds: a pure function of (seed, epoch, step).

Every class has an endless stream of rows. Batch number t = epoch * steps + step takes the next
``Shares.at(t)`` rows of each class, from position ``Shares.before(t)`` on, so nothing is carried
from one batch to the next. Position p lies in cycle p // n at offset p % n, and one cycle is each
of the n cases of the class once.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from niicache.errors import OptionError
from niicache.shares import plan_shares, share_problems, whole_problem
from niicache.streams import Cycles, Ints, Replaced, Span, Stored
from niicache.words import BATCH, SAMPLE, philox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_END = 2**63
_LENGTHS = ("longest", "shortest", "total")

_CLASH = (
    "replacement: got True with shuffle=False, expected one of the two, for stored order has "
    "nothing to draw; leave out replacement=True or shuffle=False"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassRows:
    """Where the cases of one class lie.

    Attributes:
        name: Name of the class.
        rows: int64 (cases,), ascending: the array rows that hold a case. Others may be vacant.
        chunk: Rows in a chunk; row r lies in chunk ``r // chunk``.
    """

    name: str
    rows: Ints
    chunk: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """One batch, decided; index i is the place in the batch.

    Attributes:
        classes: int64 (batch,), the index of each sample's class.
        rows: int64 (batch,), each sample's row in the arrays of that class.
        again: int64 (batch,), in how many steps the chunk of that row is needed again.
    """

    classes: Ints
    rows: Ints
    again: Ints


class Sampler:
    """Decides each batch of every epoch. Immutable, safe to share between threads, picklable.

    Without replacement the cases of a class differ by at most 1 in how often they were drawn, at
    any point of training and across epochs. A cycle takes the chunks of the class in random
    order, cuts that order into windows of ``mix`` chunks, and shuffles the rows in each window.

    Args:
        classes: The classes, at least one.
        batch_size: Samples in a batch, 1 or more.
        weights: Relative frequency of each class, 0 to leave it out; None for equal shares.
        steps: Batches in an epoch: a number, or the fewest in which every class ("longest", as
            None), the first one to get there ("shortest"), or as many samples as there are cases
            ("total") were shown. Classes of weight 0 do not count.
        seed: A whole number from 0 to below 2**63.
        shuffle: False takes the rows in stored order, classes one after another, and gives every
            epoch the batches of epoch 0. It excludes ``replacement``.
        replacement: True draws each row by itself, uniformly from its class.
        mix: Chunks in a window, or "all" for a full shuffle. Fewer read less, more mix better.

    Attributes:
        shares (Shares): The exact share of each class in a batch.
        steps (int): Batches in an epoch.
        classes, batch_size, weights, seed, shuffle, replacement, mix: As given.

    Raises:
        OptionError: An argument is outside what is allowed; the message names every one.
    """

    def __init__(
        self,
        classes: Sequence[ClassRows],
        batch_size: int,
        *,
        weights: Sequence[float] | None = None,
        steps: int | Literal["longest", "shortest", "total"] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        replacement: bool = False,
        mix: int | Literal["all"] = 4,
    ) -> None:
        self.weights = tuple([1] * len(classes) if weights is None else weights)
        problems = _class_problems(classes, self.weights)
        problems += share_problems(batch_size, self.weights) if classes else []
        length: object = 1 if steps is None or steps in _LENGTHS else steps
        problems += whole_problem("steps", length, low=1, also=f" or one of {', '.join(_LENGTHS)}")
        problems += whole_problem("seed", seed, low=0)
        problems += whole_problem("mix", 1 if mix == "all" else mix, low=1, also=' or "all"')
        problems += [_CLASH] if replacement and not shuffle else []
        if problems:
            raise OptionError("\n".join(problems))
        self.classes = tuple(_frozen(one) for one in classes)
        self.batch_size, self.seed = operator.index(batch_size), operator.index(seed)
        self.shuffle, self.replacement = bool(shuffle), bool(replacement)
        self.mix: int | Literal["all"] = "all" if mix == "all" else operator.index(mix)
        self.shares = plan_shares(self.batch_size, self.weights)
        self.steps = self._steps("longest" if steps is None else steps)
        self._takes = [self._take(k, one) for k, one in enumerate(self.classes)]
        self._rates = np.array([float(share) for share in self.shares.exact])

    def draw(self, epoch: int, step: int) -> Draw:
        """Decide one batch: the same for the same arguments, in any order of calls.

        Args:
            epoch: Number of the epoch, 0 or more.
            step: Number of the batch in its epoch, from 0 to below ``steps``.

        Returns:
            The class and the row of each sample.

        Raises:
            OptionError: The epoch is no whole number from 0 to below 2**63.
            IndexError: The step is not in the epoch.
        """
        problems = whole_problem("epoch", epoch, low=0)
        if problems:
            raise OptionError(problems[0])
        if not 0 <= step < self.steps:
            raise IndexError(f"step: got {step}, expected 0 to {self.steps - 1}, the epoch's steps")
        time = operator.index(step) + (operator.index(epoch) * self.steps if self.shuffle else 0)
        counts, starts = self.shares.at(time), self.shares.before(time)
        wanted = zip(self._takes, starts, counts, strict=True)
        spans = [take(start, count) for take, start, count in wanted if count]
        rows = np.concatenate([span.rows for span in spans])
        classes = np.repeat(np.arange(len(counts)), counts)
        gaps = np.concatenate([span.gaps for span in spans])
        again = (gaps / self._rates[classes]).astype(np.int64)
        if self.shuffle:
            words = philox(self.seed, BATCH, (0, epoch, step, 0)).random_raw(len(rows))
            places = np.argsort(words, kind="stable")
            rows, classes, again = rows[places], classes[places], again[places]
        return Draw(classes=classes, rows=rows, again=again)

    def _steps(self, steps: int | str) -> int:
        if steps not in _LENGTHS:
            return operator.index(cast("int", steps))
        pairs = zip(self.classes, self.shares.exact, strict=True)
        shown = [(len(one.rows), share) for one, share in pairs if share]
        if steps == "total":
            return math.ceil(sum(cases for cases, _ in shown) / self.batch_size)
        most = max if steps == "longest" else min
        return most(math.ceil(cases / share) for cases, share in shown)

    def _take(self, index: int, one: ClassRows) -> Callable[[int, int], Span]:
        """Return what gives positions [start, start + count) of a class's stream."""
        if not self.shuffle:
            return Stored(one.rows, one.chunk).take
        if self.replacement:
            return Replaced(one.rows, one.chunk, seed=self.seed, index=index).take
        epoch = math.ceil(self.steps * self.shares.exact[index])
        cycles = Cycles(one.rows, one.chunk, seed=self.seed, index=index, mix=self.mix, epoch=epoch)
        return cycles.take

    def __reduce__(self) -> tuple[partial[Sampler], tuple[()]]:
        options = ("weights", "steps", "seed", "shuffle", "replacement", "mix")
        kept = {name: getattr(self, name) for name in options}
        return partial(type(self), self.classes, self.batch_size, **kept), ()

    def __repr__(self) -> str:
        names = ("batch_size", "steps", "seed", "shuffle", "replacement", "mix")
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        shares = zip(self.classes, self.shares.exact, strict=True)
        each = [f"{one.name} {float(share):.4g} of {len(one.rows)}" for one, share in shares]
        return f"Sampler({options}; cases of a class in a batch: {', '.join(each)})"


def sample_generator(seed: int, epoch: int, step: int, position: int) -> np.random.Generator:
    """Return the generator for the transform of one sample.

    Args:
        seed: Seed of the sampler, as all four a whole number from 0 to below 2**63.
        epoch: Number of the epoch.
        step: Number of the batch in its epoch.
        position: Place of the sample in the batch.

    Returns:
        A fresh generator, a function of the four numbers alone, that shares no word with another.

    Raises:
        OptionError: A number is outside its range.
    """
    for number in (seed, epoch, step, position):
        if type(number) is not int or not 0 <= number < _END:
            _check_key({"seed": seed, "epoch": epoch, "step": step, "position": position})
    return np.random.Generator(philox(seed, SAMPLE, (0, epoch, step, position)))


def _check_key(numbers: dict[str, int]) -> None:
    problems = [text for name in numbers for text in whole_problem(name, numbers[name], low=0)]
    if problems:
        raise OptionError("\n".join(problems))


def _frozen(one: ClassRows) -> ClassRows:
    """Return the class with rows that nobody can change; a copy where somebody still could."""
    rows = np.array(one.rows, np.int64)
    rows.flags.writeable = False
    return replace(one, rows=rows, chunk=operator.index(one.chunk))


def _class_problems(classes: Sequence[ClassRows], weights: Sequence[float]) -> list[str]:
    if not classes:
        return ["classes: got none, expected at least one; name the classes to draw from"]
    problems = []
    if len(weights) != len(classes):
        problems.append(
            f"weights: got {len(weights)}, expected one for each of the {len(classes)} classes "
            f"({', '.join(one.name for one in classes)}); 0 leaves a class out"
        )
        weights = [0] * len(classes)
    for place, (one, weight) in enumerate(zip(classes, weights, strict=True)):
        where = f"classes[{place}] ({one.name})"
        problems += whole_problem(f"{where} chunk", one.chunk, low=1)
        if one.rows.ndim != 1 or one.rows.dtype.kind not in "iu":
            got, want = f"{one.rows.dtype} {one.rows.shape}", "int64 (cases,); pass row numbers"
        elif (one.rows[:1] < 0).any() or (one.rows[1:] <= one.rows[:-1]).any():
            got, want = "a row below 0, twice or out of order", "ascending; sort them, each once"
        elif weight and not len(one.rows):
            got, want = f"none with weight {weight}", "a case; add one, or set the weight to 0"
        else:
            continue
        problems.append(f"{where} rows: got {got}, expected {want}")
    return problems
