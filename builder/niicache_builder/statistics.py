"""Statistics of the voxels of one image, per channel. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from niicache.format.facts import PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HISTOGRAM_BITS = 16
HISTOGRAM_BLOCK = 2**17
"""Voxels counted at a time: numpy's copy of them in 64 bits stays in the processor's cache."""

FEW_VOXELS = 4096
"""So many are sorted sooner than counted."""

SQUARED = 1e140
HUGE = 2.0**600
"""Values above the first are divided by the second before they are squared, lest the sum is beyond
float64. A power of two rounds nothing."""

SAMPLE = 20_000
MAX_LABEL_VALUES = 256
_SHARES = np.array(PERCENTILES) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatistics:
    """Statistics of finite voxels of one channel; NaN where there are none.

    Percentiles are those of :data:`niicache.format.facts.PERCENTILES`, interpolated linearly as
    ``numpy.percentile`` does; the standard deviation is that of the population.
    """

    nonfinite: int
    minimum: float
    maximum: float
    mean: float
    std: float
    percentiles: tuple[float, ...]


def channel_statistics(voxels: np.ndarray) -> tuple[ChannelStatistics, ChannelStatistics]:
    """Return the statistics of an array of any shape and real dtype, and without its zeros.

    Where there are finite voxels and all are zero, everything that is said without them is 0.
    """
    flat = voxels.reshape(-1, order="A") if voxels.flags.forc else voxels.ravel()
    if _has_few_values(flat.dtype) and flat.size > FEW_VOXELS:
        return _from_histogram(flat)
    finite = flat if flat.dtype.kind in "iu" else flat[np.isfinite(flat)]
    nonfinite = int(flat.size - finite.size)
    every, others = _from_values(finite, nonfinite), finite[finite != 0]
    if others.size == finite.size:
        return every, every
    return every, _from_values(others, nonfinite) if others.size else _constant(0.0, nonfinite)


def _from_values(finite: np.ndarray, nonfinite: int) -> ChannelStatistics:
    if not finite.size:
        return _constant(np.nan, nonfinite)
    floor, ceil, between = _ranks(finite.size)
    held = _ordered(finite, (0, *floor.tolist(), *ceil.tolist(), finite.size - 1))
    # In float64: half precision overflows, and so does a difference of integers.
    lower, upper = held[floor].astype(np.float64), held[ceil].astype(np.float64)
    mean, std = _moments(held.astype(np.float64))
    return ChannelStatistics(
        nonfinite=nonfinite,
        minimum=float(held[0]),
        maximum=float(held[-1]),
        mean=mean,
        std=std,
        percentiles=tuple(_interpolated(lower, upper, between).tolist()),
    )


def _moments(wide: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of float64 values that are ordered by their ends alone."""
    unit = HUGE if max(abs(float(wide[0])), abs(float(wide[-1]))) > SQUARED else 1.0
    if unit > 1:
        wide /= unit
    mean = wide.sum() / wide.size
    wide -= mean
    std = float(np.square(wide, out=wide).sum() / wide.size) ** 0.5
    return float(mean) * unit, std * unit


def _interpolated(lower: np.ndarray, upper: np.ndarray, between: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        values: np.ndarray = lower + (upper - lower) * between
    # The difference of two numbers that float64 holds may be one that it does not.
    bad = ~np.isfinite(values)
    values[bad] = (lower * (1 - between) + upper * between)[bad]
    return values


def _ordered(values: np.ndarray, ranks: Iterable[int]) -> np.ndarray:
    """Return values of which those at some ranks are where sorting would put them."""
    return np.sort(values) if values.size <= FEW_VOXELS else np.partition(values, sorted({*ranks}))


@lru_cache(maxsize=64)
def _ranks(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ranks around each percentile, and how far it lies from the lower, 0 to 1."""
    ranks = _SHARES * (size - 1)
    floor = np.floor(ranks)
    return floor.astype(np.intp), np.ceil(ranks).astype(np.intp), ranks - floor


def _constant(value: float, nonfinite: int) -> ChannelStatistics:
    """Return the statistics of voxels that are all alike; of none, with NaN."""
    return ChannelStatistics(
        nonfinite=nonfinite,
        minimum=value,
        maximum=value,
        mean=value,
        std=value - value,
        percentiles=(value,) * len(PERCENTILES),
    )


def _from_histogram(flat: np.ndarray) -> tuple[ChannelStatistics, ChannelStatistics]:
    """Count each value once: exact, and a tenth of the time of sorting."""
    low, high = int(flat.min()), int(flat.max())
    counts = _histogram(flat, low, high)
    every = _counted(low, counts)
    if not low <= 0 <= high or not counts[-low]:
        return every, every
    others = counts.copy()
    others[-low] = 0
    there = np.flatnonzero(others)
    if not there.size:
        return every, _constant(0.0, 0)
    first, last = int(there[0]), int(there[-1])
    return every, _counted(low + first, others[first : last + 1])


def _counted(low: int, counts: np.ndarray) -> ChannelStatistics:
    """Return the statistics of voxels of which so many hold each value from ``low`` on."""
    size, high = int(counts.sum()), low + len(counts) - 1
    values = np.arange(low, high + 1, dtype=np.float64)
    weights = counts.astype(np.float64)
    # No product of matrices: its sum depends on how many threads the library has.
    mean = float((values * weights).sum()) / size
    variance = float((np.square(values - mean) * weights).sum()) / size
    floor, ceil, between = _ranks(size)
    # From a rank to the value that holds it: the first that so many voxels do not lie below.
    at = np.searchsorted(np.cumsum(counts), (floor, ceil), side="right")
    lower, upper = values[at]
    return ChannelStatistics(
        nonfinite=0,
        minimum=float(low),
        maximum=float(high),
        mean=mean,
        std=variance**0.5,
        percentiles=tuple((lower + (upper - lower) * between).tolist()),
    )


def _has_few_values(dtype: np.dtype) -> bool:
    return dtype.kind in "iu" and 8 * dtype.itemsize <= HISTOGRAM_BITS


def _values(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, sorted, and how often each does."""
    if not _has_few_values(flat.dtype):
        return np.unique(flat, return_counts=True)
    low = int(flat.min())
    counts = _histogram(flat, low, int(flat.max()))
    there = np.flatnonzero(counts)
    return there + low, counts[there]


def _histogram(flat: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return how often each value from ``low`` to ``high`` occurs, as int64.

    The first voxel is background nearly always, and so are most others. Counting one value over
    and over is slow, because each count waits for the one before; leaving it out is quick.
    """
    # Modulo 2**8 or 2**16 a difference of integers of that size is right whatever their signs.
    unsigned = np.dtype(f"u{flat.itemsize}").newbyteorder(flat.dtype.byteorder)
    voxels = flat.view(unsigned)
    zero = voxels.dtype.type(low % 2 ** (8 * flat.itemsize))
    counts = np.zeros(high - low + 1, np.int64)
    for start in range(0, voxels.size, HISTOGRAM_BLOCK):
        block = voxels[start : start + HISTOGRAM_BLOCK]
        others = block[block != voxels[0]]
        others -= zero
        counts += np.bincount(others, minlength=counts.size)
    counts[int(flat[0]) - low] = voxels.size - int(counts.sum())
    return counts


def label_counts(label: np.ndarray) -> Mapping[float, int] | None:
    """Return how often each value occurs, or None where there are too many to be labels.

    Args:
        label: A mask or a vector, any shape.
    """
    flat = label.ravel(order="K")
    step = max(1, flat.size // SAMPLE)
    if np.unique(flat[::step]).size > MAX_LABEL_VALUES:
        return None
    values, counts = _values(flat)
    if values.size > MAX_LABEL_VALUES or not np.isfinite(values).all():
        return None
    numbers = dict(zip(map(float, values.tolist()), counts.tolist(), strict=True))
    # Integers beyond 2**53 may be one and the same float64.
    return numbers if len(numbers) == values.size else None


def nonfinite(values: np.ndarray) -> int:
    """Return how many values of an array of any shape and real dtype are NaN or infinite."""
    return 0 if values.dtype.kind in "iu" else values.size - int(np.isfinite(values).sum())
