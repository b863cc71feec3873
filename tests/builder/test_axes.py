"""What the axes of a file mean."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache_builder.axes import (
    MAX_CHANNELS,
    guess_label_kind,
    guess_spatial_dims,
    split_axes,
    trimmed,
)

SHAPES = st.lists(st.sampled_from([1, 1, 2, 3, 5, 45]), min_size=1, max_size=7).map(tuple)


@given(SHAPES)
def test_trimming_loses_only_ones_at_the_end(shape: tuple[int, ...]) -> None:
    short = trimmed(shape)
    assert short == shape[: len(short)]
    assert set(shape[len(short) :]) <= {1}
    assert len(short) == 1 or short[-1] != 1
    assert trimmed(short) == short


@given(SHAPES, st.sampled_from([2, 3]))
def test_splitting_keeps_every_voxel(shape: tuple[int, ...], dims: int) -> None:
    split = split_axes(shape, dims)
    beyond = [n for n in shape[dims:] if n != 1]
    assert (split is None) == (len(beyond) > 1)
    if split is not None:
        spatial, channels = split
        assert len(spatial) == dims
        assert math.prod(spatial) * channels == math.prod(shape)
        assert spatial == (*shape[:dims], *[1] * (dims - len(shape)))


@given(SHAPES, st.sampled_from([2, 3]), st.integers(0, 3))
def test_ones_at_the_end_mean_nothing(shape: tuple[int, ...], dims: int, ones: int) -> None:
    assert split_axes((*shape, *[1] * ones), dims) == split_axes(shape, dims)


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ((45, 45, 3), 2, ((45, 45), 3)),
        ((45, 45, 1, 3), 2, ((45, 45), 3)),
        ((45, 45), 2, ((45, 45), 1)),
        ((45,), 2, ((45, 1), 1)),
        ((1, 1, 1), 3, ((1, 1, 1), 1)),
        ((64, 64, 30), 3, ((64, 64, 30), 1)),
        ((64, 64, 30, 2), 3, ((64, 64, 30), 2)),
        ((64, 64, 30, 1, 3), 3, ((64, 64, 30), 3)),
        ((64, 64, 30, 2, 3), 3, None),
        ((64, 64, 30, 2), 2, None),
    ],
)
def test_splitting(shape: tuple[int, ...], dims: int, expected: object) -> None:
    assert split_axes(shape, dims) == expected


@pytest.mark.parametrize(
    ("shapes", "dims", "words"),
    [
        ([(45, 45), (40, 45, 1, 1)], 2, "no image has a third axis"),
        ([(45, 45, 3), (44, 45, 3)], 2, "has 3 entries in every image: channels"),
        ([(45, 45, 3), (45, 45)], 2, "has 1, 3 entries"),
        ([(45, 45, 1, 3)], 2, "channels"),
        ([(45, 45, MAX_CHANNELS)], 2, "4 entries"),
        ([(45, 45, MAX_CHANNELS + 1)], 3, "up to 5 entries: slices"),
        ([(45, 45, 3), (45, 45, 30)], 3, "up to 30"),
        ([(45, 45, 3, 2)], 3, "up to 3"),
        ([], 2, "no image"),
    ],
)
def test_guessing_the_dims(shapes: list[tuple[int, ...]], dims: int, words: str) -> None:
    guess, why = guess_spatial_dims(shapes)
    assert guess == dims
    assert words in why


@given(st.lists(SHAPES, min_size=1))
def test_what_is_guessed_can_be_split_where_anything_can(shapes: list[tuple[int, ...]]) -> None:
    guess, _ = guess_spatial_dims(shapes)
    if guess == 2 and all(len(trimmed(shape)) <= 4 for shape in shapes):
        assert all(split_axes(shape, 2) is not None for shape in shapes)


@pytest.mark.parametrize(
    ("pairs", "kind", "words"),
    [
        ([((5, 5), None)], "folder", "no label files"),
        ([], "folder", "no label files"),
        ([((5, 5), (4,)), ((5, 5), (4, 1, 1))], "vector", "2 of 2 labels have one axis"),
        ([((5, 5), (5, 5)), ((5, 5), (4,))], "mask", "1 of 2 labels have the axes"),
        ([((5, 5), (5, 5)), ((5, 5), (4,)), ((5, 5), (4,))], "vector", "2 of 3"),
        ([((5,), (5,))], "mask", "1 of 1"),
        ([((5, 5), None), ((5, 5), (5, 5))], "mask", "1 of 1"),
    ],
)
def test_guessing_what_labels_are(
    pairs: list[tuple[tuple[int, ...], tuple[int, ...] | None]], kind: str, words: str
) -> None:
    guess, why = guess_label_kind(pairs)
    assert guess == kind
    assert words in why
