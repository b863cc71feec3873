"""How many samples of each class a batch holds: exact shares whose remainder rotates.

A class's share is a fraction, a batch holds whole samples. Each batch therefore holds the share
rounded down or up, and in such a turn that the running total never strays by one sample or more
from what is due. Pure arithmetic on integers and fractions, so equal on every machine.
"""

from __future__ import annotations

import heapq
import math
import operator
from fractions import Fraction
from numbers import Rational
from typing import TYPE_CHECKING, SupportsFloat, SupportsIndex, cast

import numpy as np

from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

FINEST = 4096
"""Shares are kept exact while they repeat within so many batches, else rounded to 1/FINEST."""


class Shares:
    """Exact shares of each class in a batch; made by `plan_shares`, immutable.

    Attributes:
        batch_size: Samples in each batch.
        exact: The mean number of samples of each class in a batch; sums to ``batch_size``.
        period: Number of batches after which the pattern repeats, at most `FINEST`.
    """

    __slots__ = ("_base", "_extra", "batch_size", "exact", "period")

    def __init__(self, exact: Sequence[Fraction]) -> None:
        self.exact = tuple(exact)
        self.batch_size = int(sum(self.exact))
        self.period = math.lcm(*(share.denominator for share in self.exact))
        self._base = tuple(math.floor(share) for share in self.exact)
        rates = [int((share % 1) * self.period) for share in self.exact]
        # Row t: how many extra samples, over its rounded-down share, each class had before batch t.
        self._extra = np.zeros((self.period + 1, len(rates)), np.int64)
        np.cumsum(_turns(rates, self.period), axis=0, out=self._extra[1:])

    def at(self, step: int) -> tuple[int, ...]:
        """Return how many samples of each class batch number ``step`` holds.

        Args:
            step: Number of the batch counted over all epochs, 0 or more.

        Returns:
            One count a class; they sum to ``batch_size``. Each is the class's share rounded down
            or up.
        """
        turn = step % self.period
        extra = (self._extra[turn + 1] - self._extra[turn]).tolist()
        return tuple(map(operator.add, self._base, extra))

    def before(self, step: int) -> tuple[int, ...]:
        """Return how many samples of each class all batches before ``step`` hold.

        Args:
            step: Number of a batch counted over all epochs, 0 or more; its size costs nothing.

        Returns:
            One count a class, less than one sample away from ``step * exact``.
        """
        rounds, turn = divmod(step, self.period)
        extra = zip(self._base, self._extra[-1].tolist(), self._extra[turn].tolist(), strict=True)
        return tuple(base * step + whole * rounds + part for base, whole, part in extra)

    def __repr__(self) -> str:
        shares = ", ".join(str(share) for share in self.exact)
        return f"Shares({shares}; batch_size={self.batch_size}, period={self.period})"


def plan_shares(batch_size: int, weights: Sequence[float]) -> Shares:
    """Return the shares of a batch that stand in the ratio of the weights.

    A weight counts as the number that it prints as (0.1 is one tenth, not the float next to it),
    so ordinary weights give exact shares. Where the shares would repeat only after more than
    `FINEST` batches they are rounded to multiples of ``1 / FINEST`` of a sample.

    Args:
        batch_size: Samples in a batch, 1 or more. It may be smaller than the number of classes.
        weights: One finite number a class, 0 or more, not all 0. A class of weight 0 is left out.

    Returns:
        The shares, one a class.

    Raises:
        OptionError: The batch size or a weight is outside what is allowed.
    """
    problems = share_problems(batch_size, weights)
    if problems:
        raise OptionError("\n".join(problems))
    exact = _exact(operator.index(batch_size), weights)
    if math.lcm(*(share.denominator for share in exact)) <= FINEST:
        return Shares(exact)
    return Shares(_rounded(exact))


def share_problems(batch_size: int, weights: Sequence[float]) -> list[str]:
    """Return one message for each thing that `plan_shares` would refuse, so that all are told."""
    problems = whole_problem("batch_size", batch_size, low=1)
    if not len(weights):
        problems.append("weights: got none, expected one a class; name at least one class")
    for place, weight in enumerate(weights):
        if not _is_weight(weight):
            problems.append(
                f"weights[{place}]: got {weight!r}, expected a finite number, 0 or more; "
                "give each class its relative frequency, 0 to leave it out"
            )
    if problems:
        return problems
    if not any(weights):
        return ["weights: got all 0, expected one above 0; raise the weight of a class to draw"]
    return _vanished(operator.index(batch_size), weights)


def whole_problem(name: str, value: object, *, low: int, also: str = "") -> list[str]:
    """Return one message where ``value`` is no whole number from ``low`` to below 2**63, else none.

    Args:
        name: The argument, as the user wrote it.
        value: What the user gave; numpy's integers count, a bool is a slip.
        low: The least allowed value.
        also: What else is allowed, in words that end the list.
    """
    whole = isinstance(value, SupportsIndex) and not isinstance(value, bool | np.bool | np.ndarray)
    if whole and low <= operator.index(cast("SupportsIndex", value)) < 2**63:
        return []
    message = (
        f"{name}: got {value!r}, expected a whole number from {low} to below 2**63{also}; "
        f"pass an int, such as {name}={low}"
    )
    return [message]


def _is_weight(weight: object) -> bool:
    if isinstance(weight, bool | np.bool | np.ndarray):
        return False
    if isinstance(weight, Rational):  # an int may be too large for a float
        return int(weight.numerator) >= 0
    return isinstance(weight, SupportsFloat) and 0 <= float(weight) < math.inf


def _fraction(weight: object) -> Fraction:
    if isinstance(weight, Rational):
        return Fraction(int(weight.numerator), int(weight.denominator))
    # The shortest text that reads back as the same float is what the user typed; numpy's repr
    # would add its type.
    return Fraction(str(weight))


def _exact(batch_size: int, weights: Iterable[float]) -> list[Fraction]:
    fractions = [_fraction(weight) for weight in weights]
    total = sum(fractions)
    return [batch_size * weight / total for weight in fractions]


def _rounded(exact: Sequence[Fraction]) -> list[Fraction]:
    """Round to multiples of 1/FINEST by largest remainder, ties by class order; keep the sum."""
    scaled = [share * FINEST for share in exact]
    units = [math.floor(share) for share in scaled]
    missing = int(sum(scaled)) - sum(units)
    for place in sorted(range(len(units)), key=lambda k: units[k] - scaled[k])[:missing]:
        units[place] += 1
    return [Fraction(unit, FINEST) for unit in units]


def _vanished(batch_size: int, weights: Sequence[float]) -> list[str]:
    """Tell which classes have a weight above 0 and would still never be drawn."""
    exact = _exact(batch_size, weights)
    if math.lcm(*(share.denominator for share in exact)) <= FINEST:
        return []
    return [
        f"weights[{place}]: got {weights[place]!r}, which is {float(share):.2g} samples a batch, "
        f"expected 0 or at least 1/{FINEST} of a sample; raise it, or set it to 0"
        for place, (share, kept) in enumerate(zip(exact, _rounded(exact), strict=True))
        if share and not kept
    ]


def _turns(rates: Sequence[int], period: int) -> npt.NDArray[np.int64]:
    """Say in which batches of a period each class gets one extra sample.

    Giving the extra samples to the largest accumulated remainders is the obvious rule, and lets a
    class fall more than one sample behind (weights 40, 40, 3, 1, 40, 13, 1, 1 and batches of 1).
    Seen as a schedule, with batches as time slots and extra samples as processors, the task is
    Pfair scheduling, and its algorithm PD2 keeps every class less than one sample from its due:
    the i-th extra sample of a class may come no earlier than batch floor((i - 1) / rate) and has
    to come before batch ceil(i / rate); the nearest deadline goes first.
    Source: Anderson and Srinivasan, "Mixed Pfair/ERfair scheduling of asynchronous periodic
    tasks", Journal of Computer and System Sciences 68 (2004).

    Args:
        rates: Extra samples of each class in a period, below ``period``; their sum is a multiple.
        period: Number of batches.

    Returns:
        int64 (period, classes), of 0 and 1; each row sums to ``sum(rates) / period``.
    """
    given = np.zeros((period, len(rates)), np.int64)
    slots = sum(rates) // period
    done = [0] * len(rates)
    waiting: dict[int, list[int]] = {0: [k for k, rate in enumerate(rates) if rate]}
    ready: list[tuple[int, int, int, int]] = []
    for step in range(period):
        for k in waiting.pop(step, ()):
            heapq.heappush(ready, (*_urgency(done[k] + 1, rates[k], period), k))
        for _ in range(slots):
            k = heapq.heappop(ready)[-1]
            given[step, k] = 1
            done[k] += 1
            release = max(done[k] * period // rates[k], step + 1)
            waiting.setdefault(release, []).append(k)
    return given


def _urgency(i: int, rate: int, period: int) -> tuple[int, int, int]:
    """Return PD2's order of the i-th extra sample: deadline, overlap bit, group deadline."""
    deadline = -(-i * period // rate)
    # Samples whose window overlaps the next one's go first, so that the next keeps its room.
    overlaps = i * period % rate != 0
    group = 0
    if 2 * rate >= period:  # heavy: a late sample would push a whole run of the next ones
        gaps = -(-deadline * (period - rate) // period)
        group = -(-gaps * period // (period - rate))
    return deadline, -overlaps, -group
