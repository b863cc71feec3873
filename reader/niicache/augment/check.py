"""What a transform costs, and whether it keeps the rules."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.options import check_callable, check_count
from niicache.sampling import sample_generator

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_SPEEDUP = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What :func:`check` found.

    Attributes:
        milliseconds: Median time of one sample on one thread.
        speedup: Samples in a time on two threads over those on one; 2 is perfect. Near 1 it holds
            the GIL, or the machine has one core to spare.
        deterministic: Two generators of the same numbers gave the same image and label.
        keeps_global_state: The random state of ``random`` and of ``numpy.random`` is as before.
    """

    milliseconds: float
    speedup: float
    deterministic: bool
    keeps_global_state: bool

    def __repr__(self) -> str:
        state = "leaves" if self.keeps_global_state else "CHANGES"
        repeats = "the same again" if self.deterministic else "NOT the same again"
        helps = "help" if self.speedup >= LEAST_SPEEDUP else "do NOT help"
        return (
            f"<niicache.augment.CheckReport {self.milliseconds:.3g} ms a sample, "
            f"two threads {helps} (x {self.speedup:.2f}), "
            f"{repeats} from the same generator, {state} the global random state>"
        )


def check(
    transform: Callable[..., tuple[np.ndarray, np.ndarray]],
    image: np.ndarray,
    label: np.ndarray,
    *,
    repeats: int = 20,
    seed: int = 0,
) -> CheckReport:
    """Run a transform on a sample and say what it costs and whether it keeps the rules.

    Args:
        transform: ``(image, label, rng) -> (image, label)``, as for ``BalancedSequence``.
        image: ``(*spatial, channel)``; copies of it are given.
        label: Mask or vector; copies of it are given.
        repeats: How often it is timed.
        seed: Of the generators.

    Raises:
        OptionError: An argument is outside what is allowed.
    """
    check_callable("transform", transform)
    check_count("repeats", repeats, 1)

    def once(number: int) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
        sample, rng = (image.copy(), label.copy()), sample_generator(seed, 0, 0, number)
        begin = time.perf_counter()
        made = transform(*sample, rng)
        return time.perf_counter() - begin, made

    before = _global_state()
    first = [once(number)[1] for number in range(min(repeats, 5))]
    again = [once(number)[1] for number in range(min(repeats, 5))]
    timed = [once(number)[0] for number in range(repeats)]
    begin = time.perf_counter()
    for number in range(repeats):
        once(number)
    alone = time.perf_counter() - begin
    with ThreadPoolExecutor(2) as pool:
        begin = time.perf_counter()
        list(pool.map(once, range(repeats)))
        together = time.perf_counter() - begin
    return CheckReport(
        milliseconds=median(timed) * 1e3,
        speedup=alone / together,
        deterministic=all(map(_equal, first, again)),
        keeps_global_state=_same_state(before, _global_state()),
    )


def _global_state() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002  # read, not drawn


def _same_state(before: tuple[Any, Any], after: tuple[Any, Any]) -> bool:
    return before[0] == after[0] and repr(before[1]) == repr(after[1])


def _equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
