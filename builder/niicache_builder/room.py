"""How much room a build takes: on the disk, and in a worker's memory. Pure, and rough."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from niicache_builder.grid_plan import header_grid
from niicache_builder.prepare import WIDEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from niicache.format.manifest import ArrayLayout, Recipe
    from niicache_builder.nifti import Header
    from niicache_builder.scan import CaseScan
    from niicache_builder.unit import Unit

UNIT_SPARE = 64 * 1024


def disk_bytes(unit: Unit, recipe: Recipe) -> int:
    """Return what the shards of a unit take at most, roughly.

    Sources that are compressed already tell how far voxels compress: gzip is seldom better than
    half of what any preset here reaches, in the same dtype. Constant padding compresses to next to
    nothing; voxels that are stored as they are take what they take.
    """
    layouts = [recipe.image] if recipe.label is None else [recipe.image, recipe.label]
    stored = sum(_stored_bytes(layout, len(unit.slots)) for layout in layouts)
    if recipe.image.codec is not None and recipe.pad_mode == "constant":
        sources = sum(
            _source_bytes(case, recipe) * _growth(case, recipe) for case in unit.slots if case
        )
        stored = min(stored, int(2 * sources))
    return stored + UNIT_SPARE


def decoded_bytes(slots: Iterable[int], recipe: Recipe) -> int:
    """Return the memory that all chunks take when they are decoded, as readers keep them.

    Args:
        slots: How many each class has.
        recipe: How voxels become bytes.
    """
    layouts = [recipe.image] if recipe.label is None else [recipe.image, recipe.label]
    return sum(_stored_bytes(layout, count) for count in slots for layout in layouts)


def worker_bytes(cases: Sequence[CaseScan], recipe: Recipe) -> int:
    """Return the memory of one worker at most, roughly."""
    largest = max(case.voxels_nbytes + sum(h.size for h in case.images) for case in cases)
    needed = 3 * largest + 2 * padded_bytes(recipe)
    if recipe.spacing is not None:  # one channel at a time, before and after, as float64
        voxels = max(math.prod(case.image.shape) for case in cases)
        needed += 2 * WIDEST * (voxels + math.prod(recipe.image.shape[:-1]))
    return needed


def padded_bytes(recipe: Recipe) -> int:
    """Return the memory of the padded cases that a worker gathers, which it cannot do without."""
    layouts = [recipe.image] if recipe.label is None else [recipe.image, recipe.label]
    return sum(layout.chunk[0] * layout.case_nbytes for layout in layouts)


def _stored_bytes(layout: ArrayLayout, slots: int) -> int:
    """Return the bytes of chunks that are not compressed; the last of them is full too."""
    return -(-slots // layout.chunk[0]) * layout.blocks * layout.chunk_nbytes


def _growth(case: CaseScan, recipe: Recipe) -> float:
    """Return how many voxels are stored for each of a case's, at least 1."""
    if recipe.spacing is None:
        return 1
    grid = header_grid(case.image, recipe.spatial_dims, recipe)
    return max(1, math.prod(grid.shape) / math.prod(grid.source))


def _source_bytes(case: CaseScan, recipe: Recipe) -> int:
    """Return the bytes of a case's files, more where their voxels are stored wider."""
    pairs: list[tuple[Header | None, ArrayLayout | None]] = [
        *((header, recipe.image) for header in case.images),
        (case.label, recipe.label),
    ]
    return sum(
        int(header.size * max(1, np.dtype(layout.dtype).itemsize / np.dtype(header.dtype).itemsize))
        for header, layout in pairs
        if header is not None and layout is not None
    )
