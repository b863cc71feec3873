"""Which blocks volumes are cut into for patches: those that make the least work for a reader. Pure.

A patch lies anywhere, and chunks are read whole. Along an axis it touches the blocks from that of
its first voxel to that of its last; the mean over every place is what a reader will see. Small
blocks read little around the patch, and cost more calls.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from niicache.format.codec import MAX_CHUNK_BYTES
from niicache.format.geometry import centred

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from niicache.format.geometry import Box, Shape

BLOCK_COST_BYTES = 32 * 1024
"""What it costs to read one more block, in bytes that could be decoded in that time."""

MIN_EDGE = 8


def plan_block(spatial: Shape, patch: Shape, voxel_nbytes: int) -> Shape:
    """Return the block that patches cost least to read from.

    Args:
        spatial: Of a padded case.
        patch: Of the patches.
        voxel_nbytes: Bytes of a voxel, all of its channels.
    """
    axes = [list(_edges(n)) for n in spatial]
    touched = [
        [mean_touched(n, p, c, (0, n)) for c in edges]
        for n, p, edges in zip(spatial, patch, axes, strict=True)
    ]
    best, least = spatial, math.inf
    for picked in itertools.product(*(range(len(edges)) for edges in axes)):
        block = tuple(axes[axis][i] for axis, i in enumerate(picked))
        count = math.prod(touched[axis][i] for axis, i in enumerate(picked))
        nbytes = math.prod(block) * voxel_nbytes
        cost = count * (nbytes + BLOCK_COST_BYTES)
        if nbytes <= MAX_CHUNK_BYTES and cost < least:
            best, least = block, cost
    return best


def _edges(extent: int) -> Iterator[int]:
    """Yield edges of blocks of equal size, so that the last one of an axis is no sliver."""
    last = 0
    for count in range(1, max(1, extent // MIN_EDGE) + 1):
        edge = -(-extent // count)
        if edge != last:
            yield edge
            last = edge


def mean_touched(extent: int, patch: int, edge: int, real: tuple[int, int]) -> float:
    """Return how many blocks a patch touches along an axis, in the mean over where it may lie.

    Args:
        extent: Voxels of the padded axis.
        patch: Of the patch.
        edge: Of a block.
        real: Where real voxels begin and end, in which a patch lies if it fits.
    """
    low, high = real
    spare = high - low - patch
    start = np.arange(spare + 1) + low if spare >= 0 else np.array([low - -spare // 2])
    first, last = np.maximum(start, 0), np.minimum(start + patch, extent) - 1
    return float((last // edge - first // edge + 1).mean())


def amplification(grid: Shape, patch: Shape, block: Shape, cases: Iterable[Shape]) -> float:
    """Return how many voxels are decoded for each of a patch, in the mean over cases.

    Args:
        grid: Spatial shape of a padded case.
        patch: Of the patches.
        block: Of a chunk.
        cases: Spatial shapes before padding.
    """
    counted = Counter(cases)
    ratios = {shape: _ratio(grid, patch, block, centred(shape, grid)) for shape in counted}
    return sum(ratios[shape] * n for shape, n in counted.items()) / counted.total()


def _ratio(grid: Shape, patch: Shape, block: Shape, box: Box) -> float:
    axes = zip(grid, patch, block, box.start, box.stop, strict=True)
    return math.prod(mean_touched(n, p, c, (a, b)) * c / p for n, p, c, a, b in axes)
