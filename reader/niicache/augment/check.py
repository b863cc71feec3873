"""What a transform costs, and whether it keeps the rules."""

from __future__ import annotations

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.augment.batch_transform import BatchTransform
from niicache.augment.transform import Transform
from niicache.errors import OptionError
from niicache.options import check_callable, check_count
from niicache.sampling import sample_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from niicache.augment.transform import Facts

LEAST_SPEEDUP = 1.3
FEW = 5
TIMED = 0.05  # s; in less, to start two threads would be most of what is timed


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What :func:`check` found.

    Attributes:
        milliseconds: Median time of one sample on one thread.
        speedup: Samples in a time on two threads over those on one; 2 is perfect. Near 1 it holds
            the GIL, or the machine has one core to spare.
        deterministic: Two generators of the same numbers gave the same image and label.
        keeps_shapes: Image and label came back in the shapes that they had. A function has to;
            a transform of this package may cut.
        keeps_dtypes: They convert to the types that they had, as a Sequence asks for.
        keeps_global_state: The random state of ``random`` and of ``numpy.random`` is as before.
    """

    milliseconds: float
    speedup: float
    deterministic: bool
    keeps_shapes: bool
    keeps_dtypes: bool
    keeps_global_state: bool

    def __repr__(self) -> str:
        state = "leaves" if self.keeps_global_state else "CHANGES"
        repeats = "the same again" if self.deterministic else "NOT the same again"
        shapes = "keeps shapes" if self.keeps_shapes else "CHANGES shapes"
        shapes += "" if self.keeps_dtypes else ", CHANGES dtypes"
        return (
            f"<niicache.augment.CheckReport {self.milliseconds:.3g} ms a sample, "
            f"two threads {self._threads()}, {repeats} from the same generator, {shapes}, "
            f"{state} the global random state>"
        )

    def _threads(self) -> str:
        helps = "help" if self.speedup >= LEAST_SPEEDUP else "do NOT help"
        return f"{helps} (x {self.speedup:.2f})"


def check(
    transform: Callable[..., tuple[np.ndarray, np.ndarray]],
    image: np.ndarray,
    label: np.ndarray,
    *,
    facts: Facts | None = None,
    repeats: int = 20,
    seed: int = 0,
) -> CheckReport:
    """Run a transform on a sample and say what it costs and whether it keeps the rules.

    Args:
        transform: Of this package, or ``(image, label, rng) -> (image, label)``.
        image: ``(*spatial, channel)``; copies of it are given, of integers as float32, in which a
            Sequence gives them unless it is told otherwise.
        label: Mask or vector; copies of it are given.
        facts: Of the case, for transforms of this package that ask for them: the columns of that
            name, as ``Facts(mean=tuple(cache["a"].column("mean")[0].tolist()))``.
        repeats: How often it is timed; where that is over in no time, more often on two threads.
        seed: Of the generators.

    Raises:
        OptionError: An argument is outside what is allowed, or the transform returned something
            else than an image and a label.
    """
    if isinstance(transform, type) or not callable(transform):
        raise OptionError(f"transform: got {transform!r}, expected a transform or a function")
    if isinstance(transform, BatchTransform):
        raise OptionError(f"transform: got {transform!r}, expected one of single samples")
    check_callable("transform", transform, "image", "label", "rng")
    check_count("repeats", repeats, 1)
    image, label = np.asarray(image), np.asarray(label)
    if image.dtype.kind in "iub":
        image = image.astype(np.float32)
    extra = (facts,) if isinstance(transform, Transform) else ()

    def call(own: tuple[np.ndarray, np.ndarray], number: int) -> tuple[np.ndarray, ...]:
        return _pair(transform(*own, sample_generator(seed, 0, 0, number), *extra))

    def spent(times: int) -> list[float]:
        own = image.copy(), label.copy()  # once: new memory costs more than most transforms
        return [_seconds(call, (image, label), own, one % repeats) for one in range(times)]

    before = _global_state()
    twice = [
        [call((image.copy(), label.copy()), number) for _ in range(2)]
        for number in range(min(repeats, FEW))
    ]
    typical = median(spent(repeats))
    speedup = _speedup(spent, max(repeats, math.ceil(TIMED / typical)))
    shapes, dtypes = (image.shape, label.shape), (image.dtype, label.dtype)
    return CheckReport(
        milliseconds=typical * 1e3,
        speedup=speedup,
        deterministic=all(_bytes(one) == _bytes(other) for one, other in twice),
        keeps_shapes=all((one.shape, mark.shape) == shapes for (one, mark), _ in twice),
        keeps_dtypes=all(
            np.can_cast(made.dtype, dtype, "same_kind")
            for pair, _ in twice
            for made, dtype in zip(pair, dtypes, strict=True)
        ),
        keeps_global_state=before == _global_state(),
    )


def _speedup(spent: Callable[[int], object], times: int) -> float:
    """Return how many samples two threads make in the time in which one makes one."""
    begin = time.perf_counter()
    spent(times)
    alone = time.perf_counter() - begin
    with ThreadPoolExecutor(2) as pool:
        begin = time.perf_counter()
        list(pool.map(spent, [times] * 2))
        together = time.perf_counter() - begin
    return 2 * alone / together


def _pair(made: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(made, tuple) or len(made) != len(("image", "label")):
        raise OptionError(
            f"transform: got {type(made).__name__}, expected the tuple (image, label); "
            "return both, even if they were changed in place"
        )
    return np.asarray(made[0]), np.asarray(made[1])


def _bytes(made: tuple[np.ndarray, ...]) -> list[bytes]:
    return [one.tobytes() for one in made]


def _seconds(
    call: Callable[[tuple[np.ndarray, np.ndarray], int], object],
    sample: tuple[np.ndarray, np.ndarray],
    own: tuple[np.ndarray, np.ndarray],
    number: int,
) -> float:
    for target, source in zip(own, sample, strict=True):
        np.copyto(target, source)
    begin = time.perf_counter()
    call(own, number)
    return time.perf_counter() - begin


def _global_state() -> tuple[Any, ...]:
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002  # read, not drawn
    return (random.getstate(), state[1].tobytes(), *state[2:])
