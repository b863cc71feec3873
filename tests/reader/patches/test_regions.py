"""Boxes as pieces of chunks, against numpy's own slices of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.copying import copy_pieces
from niicache.format.geometry import Box, chunk_boxes, clipped, within
from niicache.format.manifest import ArrayLayout
from niicache.gathering import plan_gathering
from niicache.patches.regions import plan_cases, plan_regions

DTYPES = ["int16", "int32", "float32", "float16"]


class Reader:
    """What a plan asks of a reader of chunks."""

    def __init__(self, layout):
        self.layout = layout
        self.nbytes = layout.chunk_nbytes


def layout_of(grid, block, *, cases=1, channels=1, dtype="int16"):
    return ArrayLayout(
        dtype=dtype,
        shape=(*grid, channels),
        chunk=(cases, *block, channels),
        shard_cases=cases,
        fill=0,
        codec=None,
    )


def decoded(layout, cases):
    """Return every chunk of an array of cases, as it would be decoded."""
    chunks = []
    size = layout.chunk[0]
    for start in range(0, len(cases), size):
        for box in chunk_boxes(layout.shape, layout.chunk[1:]):
            chunk = np.full(layout.chunk, -99, layout.dtype)
            part = cases[(slice(start, start + size), *box.slices)]
            chunk[tuple(slice(0, n) for n in part.shape)] = part
            chunks.append(chunk)
    return chunks


@st.composite
def boxed(draw):
    axes = draw(st.sampled_from([2, 3]))
    grid = tuple(draw(st.lists(st.integers(1, 9), min_size=axes, max_size=axes)))
    block = tuple(draw(st.integers(1, n)) for n in grid)
    boxes = []
    for _ in range(draw(st.integers(1, 4))):
        start = tuple(draw(st.integers(-4, n + 3)) for n in grid)
        stop = tuple(a + draw(st.integers(1, 8)) for a in start)
        boxes.append(Box(start, stop))
    cases = draw(st.integers(1, 3))
    return layout_of(grid, block, cases=cases, channels=draw(st.integers(1, 3))), boxes


@given(
    boxed(), st.integers(0, 2**32 - 1), st.sampled_from(DTYPES), st.sampled_from(["i2", "f2", "f4"])
)
def test_boxes_hold_what_slices_of_the_whole_do(case, seed, wanted, stored):
    layout, boxes = case
    layout = replace(layout, dtype=np.dtype(stored).name)
    rng = np.random.default_rng(seed)
    cases = rng.integers(-99, 99, (7, *layout.shape)).astype(layout.dtype)
    rows = rng.integers(0, len(cases), len(boxes))
    zeros = np.zeros(len(boxes), np.int64)
    regions = plan_regions([Reader(layout)], zeros, rows, zeros, boxes)
    chunks = decoded(layout, cases)
    held = [chunks[number] for _, number in regions.chunks]
    out = [np.full((*box.shape, layout.shape[-1]), 7, wanted) for box in boxes]
    begins = np.array([one.ctypes.data for one in held], np.int64)
    copy_pieces(begins, np.dtype(layout.dtype), layout.chunk, regions.pieces, out)
    for row, box, got in zip(rows, boxes, out, strict=True):
        inside = clipped(box, layout.shape[:-1])
        want = np.full(got.shape, 7, wanted)
        at = tuple(
            slice(a - o, b - o)
            for a, b, o in zip(inside.start, inside.stop, box.start, strict=True)
        )
        want[at] = cases[row][inside.slices]
        np.testing.assert_array_equal(got, want)


@given(boxed(), st.integers(0, 2**32 - 1))
def test_whole_cases_are_put_together_from_their_blocks(case, seed):
    layout, _ = case
    rng = np.random.default_rng(seed)
    cases = rng.integers(-99, 99, (7, *layout.shape)).astype(layout.dtype)
    rows, slots = rng.integers(0, 7, 5), rng.permutation(6)[:5]
    gathering = plan_gathering([Reader(layout)], np.zeros(5, np.int64), rows, np.arange(5), slots)
    regions = plan_cases(gathering)
    chunks = decoded(layout, cases)
    held = [chunks[number] for _, number in regions.chunks]
    out = np.full((6, *layout.shape), 7, np.float32)
    begins = np.array([one.ctypes.data for one in held], np.int64)
    copy_pieces(begins, np.dtype(layout.dtype), layout.chunk, regions.pieces, list(out))
    want = np.full_like(out, 7)
    want[slots] = cases[rows]
    np.testing.assert_array_equal(out, want)
    assert [number // layout.blocks for _, number in regions.chunks] == [
        number for _, number in gathering.chunks for _ in range(layout.blocks)
    ]
    assert regions.again == tuple(np.repeat(gathering.again, layout.blocks).tolist())
    for which, touched in zip(gathering.which, regions.samples, strict=True):
        assert {regions.chunks[i][1] // layout.blocks for i in touched} == {
            gathering.chunks[which][1]
        }


@given(boxed())
def test_no_chunk_is_touched_twice_nor_for_nothing(case):
    layout, boxes = case
    zeros = np.zeros(len(boxes), np.int64)
    regions = plan_regions([Reader(layout)], zeros, zeros, zeros, boxes)
    numbers = [number for _, number in regions.chunks]
    assert len(set(numbers)) == len(numbers)
    touched = set()
    for box, positions in zip(boxes, regions.samples, strict=True):
        for number, chunk in enumerate(chunk_boxes(layout.shape[:-1], layout.chunk[1:-1])):
            meets = all(
                max(a, c) < min(b, d)
                for a, b, c, d in zip(box.start, box.stop, chunk.start, chunk.stop, strict=True)
            )
            assert meets == (number in {numbers[position] for position in positions})
            touched |= {number} if meets else set()
    assert touched == set(numbers)
    assert regions.decoded_nbytes == len(numbers) * layout.chunk_nbytes


def test_a_chunk_is_kept_for_the_sample_that_needs_it_last():
    layout = layout_of((4, 4), (4, 4))
    boxes = [Box((0, 0), (2, 2))] * 3
    regions = plan_regions(
        [Reader(layout)], np.zeros(3, int), np.array([1, 0, 1]), np.array([5, 2, 9]), boxes
    )
    assert dict(zip([n for _, n in regions.chunks], regions.again, strict=True)) == {1: 9, 0: 2}


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        (Box((0, 0), (4, 5)), True),
        (Box((-1, 0), (4, 5)), False),
        (Box((0, 0), (4, 6)), False),
        (Box((9, 9), (12, 12)), False),
    ],
)
def test_within(box, inside):
    assert within(box, (4, 5)) == inside
