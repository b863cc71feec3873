"""Boxes, padding and chunk grids. Pure arithmetic on tuples; every unit is voxels."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box: ``start`` is inside, ``stop`` is not."""

    start: Shape
    stop: Shape

    @property
    def shape(self) -> Shape:
        """Edge lengths in voxels."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index into an array."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))


def centred(inner: Shape, outer: Shape) -> Box:
    """Return where ``inner`` lies when it is padded to ``outer`` on both sides.

    The smaller half of an odd total comes first: 45 in 64 lies at 9, with 10 after it.

    Raises:
        ValueError: ``inner`` does not fit into ``outer``.
    """
    if len(inner) != len(outer) or any(a > b for a, b in zip(inner, outer, strict=True)):
        raise ValueError(f"{inner} does not fit into {outer}")
    start = tuple((b - a) // 2 for a, b in zip(inner, outer, strict=True))
    return Box(start, tuple(s + a for s, a in zip(start, inner, strict=True)))


def pad_widths(inner: Shape, outer: Shape) -> tuple[tuple[int, int], ...]:
    """Return (before, after) of each axis, as ``numpy.pad`` takes them."""
    box = centred(inner, outer)
    return tuple((a, n - b) for a, b, n in zip(box.start, box.stop, outer, strict=True))


def grid_shape(shape: Shape, chunk: Shape) -> Shape:
    """Return how many chunks cover each axis."""
    return tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))


def chunk_boxes(shape: Shape, chunk: Shape) -> Iterator[Box]:
    """Yield the box of each chunk in C order, cut off where the array ends."""
    for index in itertools.product(*map(range, grid_shape(shape, chunk))):
        start = tuple(i * c for i, c in zip(index, chunk, strict=True))
        stop = tuple(min(s + c, n) for s, c, n in zip(start, chunk, shape, strict=True))
        yield Box(start, stop)


def chunk_count(shape: Shape, chunk: Shape) -> int:
    """Return how many chunks cover the array."""
    return math.prod(grid_shape(shape, chunk))


def clipped(box: Box, grid: Shape) -> Box:
    """Return the part of a box that lies in a grid; empty where none does."""
    start = tuple(min(max(a, 0), n) for a, n in zip(box.start, grid, strict=True))
    stop = tuple(min(max(a, b), n) for a, b, n in zip(start, box.stop, grid, strict=True))
    return Box(start, stop)


def fits(inner: Shape, outer: Shape) -> bool:
    """Say whether a shape is nowhere longer than another."""
    return all(a <= b for a, b in zip(inner, outer, strict=True))


def within(box: Box, grid: Shape) -> bool:
    """Say whether a box lies in a grid."""
    return clipped(box, grid) == box
