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
FEW = 5


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

    def made(number: int) -> list[bytes]:
        rng = sample_generator(seed, 0, 0, number)
        return [np.asarray(one).tobytes() for one in transform(image.copy(), label.copy(), rng)]

    def spent(_thread: int) -> list[float]:
        own = image.copy(), label.copy()  # once: new memory costs more than most transforms
        return [
            _seconds(transform, (image, label), own, (seed, number)) for number in range(repeats)
        ]

    before = _global_state()
    same = [made(number) == made(number) for number in range(min(repeats, FEW))]
    begin = time.perf_counter()
    seconds = spent(0)
    alone = time.perf_counter() - begin
    with ThreadPoolExecutor(2) as pool:
        begin = time.perf_counter()
        list(pool.map(spent, range(2)))
        together = time.perf_counter() - begin
    return CheckReport(
        milliseconds=median(seconds) * 1e3,
        speedup=2 * alone / together,
        deterministic=all(same),
        keeps_global_state=before == _global_state(),
    )


def _seconds(
    transform: Callable[..., tuple[np.ndarray, np.ndarray]],
    sample: tuple[np.ndarray, np.ndarray],
    own: tuple[np.ndarray, np.ndarray],
    key: tuple[int, int],
) -> float:
    for target, source in zip(own, sample, strict=True):
        np.copyto(target, source)
    rng = sample_generator(key[0], 0, 0, key[1])
    begin = time.perf_counter()
    transform(*own, rng)
    return time.perf_counter() - begin


def _global_state() -> tuple[Any, ...]:
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002  # read, not drawn
    return (random.getstate(), state[1].tobytes(), *state[2:])
