"""Predictions of overlapping patches, put together. Pure arrays."""

from __future__ import annotations

import itertools
import math
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import OptionError
from niicache.format.geometry import Box, clipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape

SIGMA = 1 / 8
"""Of the weights, as a share of the patch, as nnU-Net has it (Isensee et al., Nature Methods 18,
2021)."""

LEAST = 1e-3
"""Of the weights, as a share of the largest, so that a voxel in the corner of one patch counts."""


def check_overlap(value: object) -> None:
    """Refuse what is no share that leaves a step between patches.

    Raises:
        OptionError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise OptionError(f"overlap: got {value!r}, expected a number from 0 to below 1")


def starts(low: int, high: int, patch: int, overlap: float) -> list[int]:
    """Return where patches begin along an axis: evenly, the first and the last at its ends.

    Args:
        low: First voxel to be covered.
        high: One past the last.
        patch: Voxels of a patch. If it is longer, one covers all, in its middle.
        overlap: Share of a patch that the next one covers too, at least.
    """
    spare = high - low - patch
    if spare <= 0:
        return [low - -spare // 2]
    steps = math.ceil(spare / max(1, math.floor(patch * (1 - overlap))))
    return [low + round(spare * i / steps) for i in range(steps + 1)]


def weights(patch: Shape) -> np.ndarray:
    """Return the weight of each voxel of a patch, float32: a Gaussian about its middle, 1 there."""
    axes = [np.arange(n) - (n - 1) / 2 for n in patch]
    bells = [np.exp(-0.5 * (x / (SIGMA * n)) ** 2) for x, n in zip(axes, patch, strict=True)]
    outer = reduce(np.multiply.outer, [bell / bell.max() for bell in bells])
    floored: np.ndarray = np.maximum(outer, LEAST)
    return floored.astype(np.float32)


class Blend:
    """Sums predictions and their weights over a grid."""

    def __init__(self, grid: Shape, patch: Shape) -> None:
        self._grid = grid
        self._patch = patch
        self._weights = weights(patch)
        self._total = np.zeros((*grid, 1), np.float32)
        self._sum: np.ndarray | None = None

    def add(self, places: Sequence[Shape], predicted: object) -> None:
        """Add the predictions of some patches.

        Args:
            places: Where they begin, in voxels of the grid; they may reach beyond.
            predicted: ``(n, *patch, k)``.

        Raises:
            OptionError: They have another shape, or are no floats.
        """
        made = np.asarray(predicted)
        want = (len(places), *self._patch)
        if made.shape[:-1] != want or made.dtype.kind != "f":
            raise OptionError(
                f"predict: got {made.dtype} of shape {made.shape}, expected float of shape "
                f"{(*want, 'k')}: scores or probabilities on the grid of the patches"
            )
        if self._sum is not None and self._sum.shape[-1] != made.shape[-1]:
            raise OptionError(
                f"predict: got {made.shape[-1]} numbers a voxel, expected {self._sum.shape[-1]} as "
                "before"
            )
        if self._sum is None:
            self._sum = np.zeros((*self._grid, made.shape[-1]), np.float32)
        for start, one in itertools.zip_longest(places, made):
            box = Box(start, tuple(a + n for a, n in zip(start, self._patch, strict=True)))
            inside = clipped(box, self._grid)
            ends = zip(inside.start, inside.stop, start, strict=True)
            part = tuple(slice(a - o, b - o) for a, b, o in ends)
            weight = self._weights[part][..., np.newaxis]
            self._sum[inside.slices] += one[part] * weight
            self._total[inside.slices] += weight

    def result(self, box: Box) -> np.ndarray:
        """Return the weighted mean in a box that patches have covered, and 0 around it."""
        assert self._sum is not None  # noqa: S101 - a case has voxels, so there was a patch
        inside = self._sum[box.slices] / self._total[box.slices]
        self._sum[...] = 0
        self._sum[box.slices] = inside
        return self._sum
