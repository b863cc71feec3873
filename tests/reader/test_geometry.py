"""Boxes, padding and chunk grids: numpy is the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.format.geometry import (
    Box,
    centred,
    chunk_boxes,
    chunk_count,
    grid_shape,
    pad_widths,
)


@st.composite
def inner_and_outer(draw):
    outer = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    return tuple(draw(st.integers(1, n)) for n in outer), tuple(outer)


@st.composite
def shape_and_chunk(draw):
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    return tuple(shape), tuple(draw(st.integers(1, 11)) for _ in shape)


@given(inner_and_outer())
def test_crop_undoes_pad(shapes):
    inner, outer = shapes
    voxels = np.arange(1, np.prod(inner) + 1).reshape(inner)
    padded = np.pad(voxels, pad_widths(inner, outer))
    assert padded.shape == outer
    np.testing.assert_array_equal(padded[centred(inner, outer).slices], voxels)
    assert np.count_nonzero(padded) == voxels.size


@given(inner_and_outer())
def test_padding_is_centred_with_the_smaller_half_first(shapes):
    inner, outer = shapes
    for (before, after), a, b in zip(pad_widths(inner, outer), inner, outer, strict=True):
        total = b - a
        assert (before, after) == (total // 2, total - total // 2)
        assert 0 <= after - before <= 1


def test_45_in_64_lies_at_9_with_10_after_it():
    assert pad_widths((45, 45, 3), (64, 64, 3)) == ((9, 10), (9, 10), (0, 0))
    assert centred((45,), (64,)) == Box((9,), (54,))


@pytest.mark.parametrize(("inner", "outer"), [((5,), (4,)), ((2, 5), (9, 4)), ((2,), (3, 3))])
def test_what_does_not_fit_is_refused_with_both_shapes(inner, outer):
    with pytest.raises(ValueError, match="does not fit") as caught:
        centred(inner, outer)
    assert str(inner) in str(caught.value)
    assert str(outer) in str(caught.value)


@given(shape_and_chunk())
def test_chunk_boxes_cover_every_voxel_exactly_once(sizes):
    shape, chunk = sizes
    hits = np.zeros(shape, int)
    boxes = list(chunk_boxes(shape, chunk))
    for box in boxes:
        assert hits[box.slices].shape == box.shape
        assert all(0 < n <= c for n, c in zip(box.shape, chunk, strict=True))
        hits[box.slices] += 1
    np.testing.assert_array_equal(hits, 1)
    assert len(boxes) == chunk_count(shape, chunk) == np.prod(grid_shape(shape, chunk))


@given(shape_and_chunk())
def test_chunk_boxes_come_in_c_order_of_the_grid(sizes):
    shape, chunk = sizes
    grid = grid_shape(shape, chunk)
    for number, box in enumerate(chunk_boxes(shape, chunk)):
        place = np.unravel_index(number, grid)
        assert box.start == tuple(int(i) * c for i, c in zip(place, chunk, strict=True))
