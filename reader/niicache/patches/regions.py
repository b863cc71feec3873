"""Which chunks the boxes of a batch touch, and what of each goes where. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from niicache.format.geometry import Box, clipped, grid_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.chunks import ChunkReader
    from niicache.format.geometry import Shape
    from niicache.format.manifest import ArrayLayout
    from niicache.gathering import Gathering

WHICH, SOURCE, TARGET, PLACE, EXTENT = 0, 1, 2, 3, 4
"""Columns of :attr:`Regions.pieces`; three extents."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Boxes of cases, as pieces of chunks.

    Attributes:
        chunks: (reader, number) of each chunk that is touched, every one once.
        again: In how many steps each of them is needed again.
        pieces: (n, 7) int64, a row a piece: position in ``chunks``, first element in the chunk,
            position of the box, first element in the box, and the extents: rows of rows of voxels,
            channels counted with the last axis.
        samples: (chunks touched by box, in turn) position in ``chunks`` of each, a tuple a box.
    """

    chunks: tuple[tuple[ChunkReader, int], ...]
    again: tuple[int, ...]
    pieces: np.ndarray
    samples: tuple[tuple[int, ...], ...]

    @property
    def decoded_nbytes(self) -> int:
        """Bytes that are decoded for it where nothing is in memory."""
        return sum(reader.nbytes for reader, _ in self.chunks)


def plan_regions(
    readers: Sequence[ChunkReader],
    classes: np.ndarray,
    rows: np.ndarray,
    again: np.ndarray,
    boxes: Sequence[Box],
) -> Regions:
    """Say which chunks boxes of cases touch. Pure.

    Args:
        readers: One array a class, all of one layout.
        classes: (k,) int64, class of each case.
        rows: (k,) int64, its row in the arrays of that class.
        again: (k,) int64, in how many steps its chunks are needed again.
        boxes: Of each case, in voxels of the padded grid; they may reach beyond it.
    """
    layout = readers[0].layout
    positions: dict[tuple[int, int], int] = {}
    latest: list[int] = []
    tables: list[np.ndarray] = []
    samples: list[tuple[int, ...]] = []
    for place, (k, row, box) in enumerate(zip(classes.tolist(), rows.tolist(), boxes, strict=True)):
        numbers, table = _pieces(layout, row, box)
        touched = []
        for number in numbers:
            position = positions.setdefault((k, number), len(latest))
            if position == len(latest):
                latest.append(0)
            latest[position] = max(latest[position], int(again[place]))
            touched.append(position)
        table[:, WHICH], table[:, TARGET] = touched, place
        tables.append(table)
        samples.append(tuple(touched))
    return Regions(
        chunks=tuple((readers[k], number) for k, number in positions),
        again=tuple(latest),
        pieces=np.concatenate(tables) if tables else np.empty((0, EXTENT + 3), np.int64),
        samples=tuple(samples),
    )


def plan_cases(gathering: Gathering) -> Regions:
    """Say which blocks whole cases are put together from. Pure.

    Args:
        gathering: Which cases; at least one. Boxes are those of the places in the batch, and
            ``blocks`` chunks stand for each of its chunks, in the same order.
    """
    layout = gathering.chunks[0][0].layout
    grid, blocks = layout.shape[:-1], layout.blocks
    numbers, one = _pieces(layout, 0, Box((0,) * len(grid), grid))
    pieces = np.repeat(one[np.newaxis], len(gathering.slots), axis=0)
    pieces[..., WHICH] = gathering.which[:, np.newaxis] * blocks + numbers
    pieces[..., SOURCE] += gathering.rows[:, np.newaxis] * math.prod(layout.chunk[1:])
    pieces[..., TARGET] = gathering.slots[:, np.newaxis]
    chunks = [(reader, n * blocks + block) for reader, n in gathering.chunks for block in numbers]
    return Regions(
        chunks=tuple(chunks),
        again=tuple(again for again in gathering.again for _ in numbers),
        pieces=pieces.reshape(-1, EXTENT + 3),
        samples=tuple(
            tuple(range(which * blocks, (which + 1) * blocks)) for which in gathering.which.tolist()
        ),
    )


def _pieces(layout: ArrayLayout, row: int, box: Box) -> tuple[list[int], np.ndarray]:
    """Return the numbers of the chunks that a box of a case touches, and the pieces of them."""
    *grid, channels = layout.shape
    cases, *block = layout.chunk[:-1]
    inside = clipped(box, tuple(grid))
    count = len(grid)
    ranges = [
        np.arange(low // edge, -(-high // edge) if high > low else low // edge)
        for low, high, edge in zip(inside.start, inside.stop, block, strict=True)
    ]
    index = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, count)
    edges = np.array(block)
    first = np.maximum(index * edges, inside.start)
    last = np.minimum((index + 1) * edges, inside.stop)
    number, place = divmod(row, cases)
    blocks = index @ _strides(grid_shape(tuple(grid), tuple(block)))
    table = np.ones((len(index), EXTENT + 3), np.int64)
    table[:, SOURCE] = (first - index * edges) @ _strides(tuple(block)) * channels
    table[:, SOURCE] += place * int(np.prod(block)) * channels
    table[:, PLACE] = (first - np.array(box.start)) @ _strides(box.shape) * channels
    table[:, EXTENT + 3 - count :] = last - first
    table[:, -1] *= channels
    return (number * layout.blocks + blocks).tolist(), table


def _strides(shape: Shape) -> np.ndarray:
    """Return how many voxels apart neighbours of each axis lie."""
    return np.cumprod([1, *shape[:0:-1]])[::-1].astype(np.int64)
