"""Statistics of the voxels of one image, per channel. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.format.facts import PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Mapping

HISTOGRAM_BITS = 16
SAMPLE = 20_000
MAX_LABEL_VALUES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatistics:
    """Statistics of the finite voxels of one channel; zeros where there are none.

    Percentiles are those of :data:`niicache.format.facts.PERCENTILES`, interpolated linearly as
    ``numpy.percentile`` does; the standard deviation is that of the population.
    """

    nonfinite: int
    minimum: float
    maximum: float
    mean: float
    std: float
    percentiles: tuple[float, ...]


def channel_statistics(voxels: np.ndarray) -> ChannelStatistics:
    """Return the statistics of an array of any shape and real dtype."""
    flat = voxels.reshape(-1, order="A") if voxels.flags.forc else voxels.ravel()
    if flat.dtype.kind in "iu" and 8 * flat.dtype.itemsize <= HISTOGRAM_BITS:
        return _from_histogram(flat)
    finite = flat if flat.dtype.kind in "iu" else flat[np.isfinite(flat)]
    if not finite.size:
        return _empty(flat.size)
    return ChannelStatistics(
        nonfinite=int(flat.size - finite.size),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=float(finite.mean(dtype=np.float64)),
        std=float(finite.std(dtype=np.float64)),
        # numpy interpolates in the dtype it is given, where a difference of integers overflows.
        percentiles=tuple(np.percentile(finite.astype(np.float64), PERCENTILES).tolist()),
    )


def _empty(nonfinite: int) -> ChannelStatistics:
    return ChannelStatistics(
        nonfinite=nonfinite,
        minimum=0.0,
        maximum=0.0,
        mean=0.0,
        std=0.0,
        percentiles=(0.0,) * len(PERCENTILES),
    )


def _from_histogram(flat: np.ndarray) -> ChannelStatistics:
    """Count each value once: exact, and a tenth of the time of sorting."""
    low = int(flat.min())
    counts = np.bincount(flat.astype(np.int64) - low)
    values = np.arange(low, low + counts.size, dtype=np.float64)
    present = np.flatnonzero(counts)
    mean = float(values @ counts) / flat.size
    variance = float(np.square(values - mean) @ counts) / flat.size
    below = np.cumsum(counts)
    ranks = np.array(PERCENTILES) / 100 * (flat.size - 1)
    lower, upper = (
        values[np.searchsorted(below, np.asarray(edge(ranks)), side="right")]
        for edge in (np.floor, np.ceil)
    )
    percentiles = lower + (upper - lower) * (ranks - np.floor(ranks))
    return ChannelStatistics(
        nonfinite=0,
        minimum=float(values[present[0]]),
        maximum=float(values[present[-1]]),
        mean=mean,
        std=variance**0.5,
        percentiles=tuple(percentiles.tolist()),
    )


def label_counts(label: np.ndarray) -> Mapping[float, int] | None:
    """Return how often each value occurs, or None where there are too many to be labels.

    Args:
        label: A mask or a vector, any shape.
    """
    flat = label.ravel(order="K")
    step = max(1, flat.size // SAMPLE)
    if np.unique(flat[::step]).size > MAX_LABEL_VALUES:
        return None
    values, counts = np.unique(flat, return_counts=True)
    if values.size > MAX_LABEL_VALUES or not np.isfinite(values).all():
        return None
    numbers = dict(zip(map(float, values.tolist()), counts.tolist(), strict=True))
    # Integers beyond 2**53 may be one and the same float64.
    return numbers if len(numbers) == values.size else None
