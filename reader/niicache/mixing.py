"""How near an order of cases comes to a full shuffle. Pure.

A full shuffle of n cases is one of n! orders. Chunks in random order, cut into windows of ``mix``
chunks, with the cases of each window shuffled, give fewer. The score is the ratio of the logarithms
of both: the share of a full shuffle's entropy. 0 is one fixed order, 1 a full shuffle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from niicache.sampling import Sampler


def mixing_score(sizes: np.ndarray, mix: int | Literal["all"]) -> float:
    """Return the score of one class.

    Args:
        sizes: (chunks,) int64, cases in each chunk. The score is exact where they are equal, else
            it takes them for their mean.
        mix: Chunks in a window.
    """
    cases, chunks = int(sizes.sum()), len(sizes)
    if cases <= 1 or mix == "all" or mix >= chunks:
        return 1.0
    whole, rest = divmod(chunks, mix)
    windows = [mix] * whole + ([rest] if rest else [])
    # The order of windows counts, that of the chunks in one does not: its cases are shuffled.
    orders = _log_factorial(chunks) - sum(map(_log_factorial, windows))
    orders += sum(_log_factorial(window * cases / chunks) for window in windows)
    return min(1.0, orders / _log_factorial(cases))


def sampler_score(sampler: Sampler) -> float:
    """Return the score of a sampler: that of its classes, weighted by their shares of a batch."""
    if not sampler.shuffle:
        return 0.0
    if sampler.replacement:
        return 1.0
    scores = [
        mixing_score(np.unique(one.rows // one.chunk, return_counts=True)[1], sampler.mix)
        for one in sampler.classes
    ]
    shares = [float(share) for share in sampler.shares.exact]
    return float(np.average(scores, weights=shares))


def _log_factorial(n: float) -> float:
    return math.lgamma(n + 1)
