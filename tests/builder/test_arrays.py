"""Planned layouts: what a chunk and a shard hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from building import case, header, scanned
from hypothesis import assume, given
from hypothesis import strategies as st

from niicache.errors import OptionError
from niicache.format.codec import MAX_CHUNK_BYTES
from niicache.format.geometry import chunk_boxes
from niicache_builder.arrays import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    SHARD_BYTES,
    SHARD_CASES,
    WHOLE_CASE_BYTES,
    chunk_reason,
    padded_shape,
    plan_chunk,
    plan_layout,
    same_shards,
    stored_dtype,
)
from niicache_builder.options import DTYPES, BuildOptions
from niicache_builder.plan import make_plan

SPATIAL = st.one_of(
    st.tuples(*[st.integers(1, 4000)] * 2),
    st.tuples(*[st.integers(1, 512)] * 3),
)
CASES = st.tuples(SPATIAL, st.integers(1, 6)).map(lambda both: (*both[0], both[1]))
DTYPE = st.sampled_from(DTYPES)


def layout(shape: tuple[int, ...], dtype: str, chunk: tuple[int, ...] | None = None) -> object:
    return plan_layout(dtype=dtype, shape=shape, fill=0, codec="fast", chunk=chunk)


@given(CASES, DTYPE)
def test_planned_chunks_have_a_sensible_size(shape: tuple[int, ...], dtype: str) -> None:
    one = layout(shape, dtype)
    nbytes = one.case_nbytes
    assert len(one.chunk) == len(shape) + 1
    assert one.chunk[-1] == shape[-1]
    assert one.chunk[0] & (one.chunk[0] - 1) == 0
    assert all(a <= b for a, b in zip(one.chunk[1:], shape, strict=True))
    if nbytes <= CHUNK_BYTES:
        assert one.chunk[1:] == shape
        assert one.chunk_nbytes <= CHUNK_BYTES
        assert one.chunk[0] == SHARD_CASES or 2 * one.chunk_nbytes > CHUNK_BYTES
    elif nbytes <= WHOLE_CASE_BYTES:
        assert one.chunk == (1, *shape)
    else:
        assert one.chunk[0] == 1
        assert one.chunk_nbytes <= BLOCK_BYTES
        assert one.blocks > 1


@given(CASES, DTYPE)
def test_blocks_of_an_axis_are_of_equal_size(shape: tuple[int, ...], dtype: str) -> None:
    chunk = plan_chunk(shape, np.dtype(dtype).itemsize)
    for n, block in zip(shape, chunk[1:], strict=True):
        count = -(-n // block)
        assert block == -(-n // count)
        assert count * block - n < count


@given(CASES, DTYPE)
def test_blocks_tile_a_case_once(shape: tuple[int, ...], dtype: str) -> None:
    one = layout(shape, dtype)
    assume(one.blocks < 500)
    boxes = list(chunk_boxes(one.shape, one.chunk[1:]))
    assert len(boxes) == one.blocks == len(set(boxes))
    assert sum(math.prod(box.shape) for box in boxes) == math.prod(shape)


@pytest.mark.parametrize(
    ("shape", "itemsize", "chunk"),
    [
        ((64, 64, 3), 2, (32, 64, 64, 3)),
        ((64, 64, 64, 1), 2, (2, 64, 64, 64, 1)),
        ((128, 128, 128, 1), 2, (1, 128, 128, 128, 1)),
        ((256, 256, 256, 1), 2, (1, 64, 64, 64, 1)),
        ((240, 240, 155, 1), 2, (1, 60, 60, 52, 1)),
        ((2048, 4096, 1), 2, (1, 512, 512, 1)),
        ((4,), 4, (256, 4)),
        ((1, 1, 1), 1, (256, 1, 1, 1)),
    ],
)
def test_known_chunks(shape: tuple[int, ...], itemsize: int, chunk: tuple[int, ...]) -> None:
    assert plan_chunk(shape, itemsize) == chunk


@given(CASES, DTYPE, st.integers(1, 1000))
def test_a_shard_is_whole_chunks_and_bounded(
    shape: tuple[int, ...], dtype: str, cases: int
) -> None:
    assume(cases * math.prod(shape) * np.dtype(dtype).itemsize <= MAX_CHUNK_BYTES)
    for one in (layout(shape, dtype), layout(shape, dtype, (cases,))):
        assert one.shard_cases % one.chunk[0] == 0
        assert one.shard_chunks == one.shard_cases // one.chunk[0] * one.blocks
        # One chunk is the least that a shard can hold, whatever its size.
        assert one.shard_cases <= max(SHARD_CASES, one.chunk[0])
        assert one.shard_cases * one.case_nbytes <= max(SHARD_BYTES, one.chunk[0] * one.case_nbytes)


@given(
    CASES,
    DTYPE,
    DTYPE,
    st.one_of(st.none(), st.integers(1, 600).map(lambda n: (n,))),
    st.one_of(st.integers(1, 100).map(lambda k: (k,)), st.just(None)),
)
def test_images_and_labels_share_their_shards(
    shape: tuple[int, ...],
    dtype: str,
    other: str,
    chunk: tuple[int, ...] | None,
    vector: tuple[int, ...] | None,
) -> None:
    assume(math.prod(shape) * 8 * (chunk or (1,))[0] <= MAX_CHUNK_BYTES)
    one = layout(shape, dtype, chunk)
    two = layout(vector, other) if vector else layout((*shape[:-1], 1), other, chunk)
    image, label = same_shards(one, two)
    assert image.shard_cases == label.shard_cases
    assert image.shard_cases % image.chunk[0] == image.shard_cases % label.chunk[0] == 0
    # What the user chose and what images are read by stays; a shard does not grow.
    assert replace(image, shard_cases=1) == replace(one, shard_cases=1)
    assert image.shard_cases <= one.shard_cases
    assert label.chunk[1:] == two.chunk[1:]
    assert label.chunk[0] <= two.chunk[0]
    if chunk is not None and vector is None:
        assert label.chunk[0] == chunk[0]


def test_the_shards_of_large_images_with_vectors_stay_small() -> None:
    image, label = same_shards(layout((240, 240, 155, 1), "int16"), layout((4,), "float32"))
    assert image.shard_cases * image.case_nbytes <= SHARD_BYTES
    assert label.shard_cases == image.shard_cases


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["mask", "vector", "folder"]))
def test_the_layout_does_not_depend_on_how_many_cases_there_are(
    few: int, many: int, kind: str
) -> None:
    def recipe(count: int) -> object:
        label = {"mask": header(dtype="uint8"), "vector": header((4,)), "folder": None}[kind]
        cases = [case(f"{i}", header(), label) for i in range(count)]
        return make_plan(scanned(*cases), BuildOptions()).recipe

    assert recipe(few) == recipe(many)


@given(st.lists(st.tuples(*[st.integers(1, 99)] * 3), min_size=1))
def test_the_padded_shape_is_the_smallest_that_holds_all(shapes: list[tuple[int, ...]]) -> None:
    padded = padded_shape(shapes)
    for axis, n in enumerate(padded):
        assert all(shape[axis] <= n for shape in shapes)
        assert any(shape[axis] == n for shape in shapes)


@pytest.mark.parametrize(
    ("files", "dtype"),
    [
        ([("int16", 1, 0)], "int16"),
        ([("uint8", 1, 0), ("int16", 1, 0)], "int16"),
        ([("uint16", 1, 0), ("int16", 1, 0)], "int32"),
        ([("int16", 2, 0)], "float32"),
        ([("int16", 1, -1024)], "float32"),
        ([("int16", 1, 0), ("int16", 0.5, 0)], "float32"),
        ([("float64", 1, 0)], "float32"),
        ([("float32", 1, 0), ("uint8", 1, 0)], "float32"),
        ([("int64", 1, 0)], "int64"),
        ([("uint64", 1, 0), ("int8", 1, 0)], "float32"),
    ],
)
def test_stored_dtype(files: list[tuple[str, float, float]], dtype: str) -> None:
    headers = [header(dtype=d, slope=slope, inter=inter) for d, slope, inter in files]
    assert stored_dtype(headers) == dtype


@given(st.lists(st.sampled_from([d for d in DTYPES if np.dtype(d).kind in "iu"]), min_size=1))
def test_integers_are_held_exactly_where_any_integer_type_can(dtypes: list[str]) -> None:
    stored = np.dtype(stored_dtype(header(dtype=d) for d in dtypes))
    if stored.kind in "iu":
        assert all(np.can_cast(d, stored, "safe") for d in dtypes)
    else:
        assert "uint64" in dtypes


@given(DTYPE, st.sampled_from([0, -1, 255, -1024, 70000, 0.5, 2.0**40, 1e39, 1e300]))
def test_a_padding_value_is_one_of_the_dtype_or_refused(dtype: str, fill: float) -> None:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        fits = abs(fill) <= float(np.finfo(kind).max)
    else:
        info = np.iinfo(kind)
        fits = fill == int(fill) and info.min <= fill <= info.max
    if fits:
        one = plan_layout(dtype=dtype, shape=(4, 4, 1), fill=fill, codec="none")
        assert one.fill == fill
        assert isinstance(one.fill, float if kind.kind == "f" else int)
    else:
        with pytest.raises(OptionError, match="pad_value"):
            plan_layout(dtype=dtype, shape=(4, 4, 1), fill=fill, codec="none")


def test_a_chunk_that_blosc_cannot_take_is_refused() -> None:
    with pytest.raises(OptionError, match=r"chunk: got .* expected at most 2,147,483,631"):
        layout((1024, 1024, 1024, 1), "int16", (1,))


def test_a_chunk_is_never_longer_than_the_case() -> None:
    assert layout((5, 4, 3, 2), "int16", (1, 64, 2, 64)).chunk == (1, 5, 2, 3, 2)
    assert layout((5, 4, 3, 2), "int16", (7,)).chunk == (7, 5, 4, 3, 2)


@pytest.mark.parametrize(
    ("shape", "chosen", "words"),
    [
        ((4, 4, 1), (3,), "as --chunk says"),
        ((64, 64, 3), None, "24,576 bytes: 32 are read at once"),
        ((128, 128, 128, 1), None, "4,194,304 bytes: one is read at once"),
        ((256, 256, 256, 1), None, "33,554,432 bytes: read in 64 blocks"),
    ],
)
def test_chunks_are_explained(
    shape: tuple[int, ...], chosen: tuple[int, ...] | None, words: str
) -> None:
    assert chunk_reason(layout(shape, "int16", chosen), chosen).endswith(words)
