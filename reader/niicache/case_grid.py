"""The grid of a case from its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.errors import FormatError
from niicache.format.geometry import Box
from niicache.format.grid import Grid, grid_fault, plan_grid
from niicache.small_arrays import CONTRADICTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from niicache.format.manifest import Recipe


def read_box(column: Callable[[str], np.ndarray], name: str, at: int) -> Box:
    """Return a box of a case: ``box`` in the padded grid, ``crop`` in the turned source.

    Args:
        column: Reads a column by its name.
        name: What its columns begin with.
        at: Row of the case.
    """
    ends = (column(f"{name}_{end}")[at].tolist() for end in ("start", "stop"))
    return Box(*map(tuple, ends))


def read_grid(column: Callable[[str], np.ndarray], recipe: Recipe, at: int) -> Grid:
    """Return how the grid of a case's source became the stored one.

    Args:
        column: Reads a column by its name.
        recipe: Of the cache.
        at: Row of the case.

    Raises:
        FormatError: The columns contradict each other.
    """
    grid = plan_grid(
        tuple(column("source_shape")[at, :-1].tolist()),
        column("affine")[at].tolist(),
        recipe,
        None if recipe.crop is None else read_box(column, "crop", at),
    )
    fault = grid_fault(grid, read_box(column, "box", at))
    if fault:
        raise FormatError(f"{column('name')[at]}: {fault}", CONTRADICTS)
    return grid
