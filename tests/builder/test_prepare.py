"""Voxels of a file to a padded case; numpy is the judge."""

from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import pytest
from building import header
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from niicache.format.codec import Blosc
from niicache.format.geometry import Box
from niicache.format.manifest import ArrayLayout
from niicache.format.names import PadMode
from niicache_builder.options import DTYPES
from niicache_builder.prepare import (
    PrepareError,
    converted,
    filled,
    place,
    real_voxels,
    with_channels,
)

MODES = get_args(PadMode)
INTEGERS = [name for name in DTYPES if np.dtype(name).kind in "iu"]
FLOATS = [name for name in DTYPES if np.dtype(name).kind == "f"]


@st.composite
def padded(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    """Draw a case ``(*spatial, channel)`` and a spatial shape that it fits into."""
    dims = draw(st.sampled_from([2, 3]))
    inner = draw(st.tuples(*[st.integers(1, 6)] * dims))
    outer = tuple(n + draw(st.integers(0, 9)) for n in inner)
    shape = (*inner, draw(st.integers(1, 3)))
    dtype = draw(st.sampled_from(DTYPES))
    # Numbered voxels: none looks like another, nor like the fill.
    numbers = np.arange(1, np.prod(shape) + 1).reshape(shape)
    return (numbers % 120 + 1).astype(dtype), outer


def empty(voxels: np.ndarray, outer: tuple[int, ...], fill: float) -> np.ndarray:
    return np.full((*outer, voxels.shape[-1]), fill, voxels.dtype)


@given(padded(), st.sampled_from(MODES))
def test_cropping_undoes_placing(case: tuple[np.ndarray, tuple[int, ...]], mode: PadMode) -> None:
    voxels, outer = case
    out = empty(voxels, outer, 0)
    box = place(voxels, out, mode)
    assert box.shape == voxels.shape[:-1]
    assert np.array_equal(out[box.slices], voxels)


@given(padded(), st.sampled_from(MODES), st.sampled_from([0, 7]))
def test_padding_is_that_of_numpy(
    case: tuple[np.ndarray, tuple[int, ...]], mode: PadMode, fill: int
) -> None:
    voxels, outer = case
    out = empty(voxels, outer, fill)
    place(voxels, out, mode)
    # numpy's own arithmetic of widths, half before and the odd voxel after.
    totals = [b - a for a, b in zip(voxels.shape, outer, strict=False)]
    widths = [*((total // 2, total - total // 2) for total in totals), (0, 0)]
    more = {"constant_values": fill} if mode == "constant" else {}
    expected = np.pad(voxels, widths, mode=mode, **more)
    assert out.dtype == expected.dtype
    assert np.array_equal(out, expected)


def test_the_odd_voxel_comes_after() -> None:
    out = np.zeros((64, 64, 3), "int16")
    assert place(np.ones((45, 45, 3), "int16"), out, "constant") == Box((9, 9), (54, 54))


def test_what_does_not_fit_is_refused() -> None:
    for mode in MODES:
        with pytest.raises(ValueError, match="does not fit"):
            place(np.ones((5, 5, 1)), np.zeros((4, 6, 1)), mode)


@given(
    arrays.arrays(st.sampled_from(INTEGERS), st.integers(1, 9)),
    st.sampled_from(INTEGERS),
)
def test_integers_become_integers_exactly_or_not_at_all(raw: np.ndarray, dtype: str) -> None:
    limits = np.iinfo(dtype)
    fits = all(limits.min <= int(value) <= limits.max for value in raw)
    if fits:
        result = converted(raw, dtype)
        assert result.dtype == dtype
        assert result.tolist() == raw.tolist()
    else:
        with pytest.raises(PrepareError) as error:
            converted(raw, dtype)
        assert error.value.problem("p", "c", "n").code == "dtype-loses"


@given(
    arrays.arrays(
        "float64",
        st.integers(1, 9),
        elements=st.one_of(
            st.integers(-(2**65), 2**65).map(float),
            st.floats(width=64),
        ),
    ),
    st.sampled_from(INTEGERS),
)
def test_floats_become_integers_exactly_or_not_at_all(raw: np.ndarray, dtype: str) -> None:
    limits = np.iinfo(dtype)
    fits = all(
        np.isfinite(v) and v == int(v) and limits.min <= int(v) <= limits.max for v in raw.tolist()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if fits:
            assert converted(raw, dtype).tolist() == [int(v) for v in raw.tolist()]
        else:
            with pytest.raises(PrepareError):
                converted(raw, dtype)


@given(
    arrays.arrays(
        st.sampled_from(["float32", "float64", "int64", "uint64", "uint16"]), st.integers(1, 9)
    ),
    st.sampled_from(FLOATS),
)
def test_floats_are_rounded_and_integers_are_not(raw: np.ndarray, dtype: str) -> None:
    with np.errstate(all="ignore"):
        expected = raw.astype(dtype)
    if raw.dtype.kind == "f":
        lost = np.isinf(expected).sum() > np.isinf(raw).sum()
    else:
        lost = any(int(a) != b for a, b in zip(raw.tolist(), expected.tolist(), strict=True))
    if lost:
        with pytest.raises(PrepareError) as error:
            converted(raw, dtype)
        assert error.value.problem("p", "c", "n").code == "dtype-loses"
    else:
        assert np.array_equal(converted(raw, dtype), expected, equal_nan=True)


def test_a_refusal_says_values_and_what_to_do() -> None:
    with pytest.raises(PrepareError) as error:
        converted(np.array([-3.0, 0.25, 700.0]), "uint8")
    problem = error.value.problem("a/b.nii", "class", "case")
    assert str(problem) == (
        "a/b.nii: [dtype-loses] got values from -3.0 to 700.0 stored as float64, expected values "
        "that uint8 holds exactly; give --dtype float32"
    )
    assert (problem.class_name, problem.case) == ("class", "case")
    with pytest.raises(PrepareError) as error:
        converted(np.array([2**24 + 1], "int32"), "float32", label=True)
    said = str(error.value.problem("p", "c", "n"))
    assert "from 16777217 to 16777217" in said
    assert said.endswith("; store all labels in one integer type")


@given(st.lists(st.integers(-(2**30), 2**30) | st.floats(-9, 9), min_size=1))
def test_a_whole_number_of_a_label_stays_what_it_is(values: list[float]) -> None:
    raw = np.array(values, "float64")
    single = raw.astype("float32")
    kept = all(float(a) == b for a, b in zip(single, values, strict=True) if float(b).is_integer())
    if kept:
        assert np.array_equal(converted(raw, "float32", label=True), single)
    else:
        with pytest.raises(PrepareError, match="dtype-loses"):
            converted(raw, "float32", label=True)
    assert np.array_equal(converted(raw, "float32"), single)  # an image may be rounded


@given(
    arrays.arrays(st.sampled_from([d for d in DTYPES if d != "float16"]), st.integers(1, 9)),
    st.sampled_from([(1.0, 0.0), (2.0, 0.0), (1.0, -1024.0), (0.1, 3.0)]),
)
def test_scaling(raw: np.ndarray, scaling: tuple[float, float]) -> None:
    slope, inter = scaling
    real = real_voxels(raw, header(raw.shape, slope=slope, inter=inter))
    if scaling == (1.0, 0.0):
        assert real is raw
    else:
        assert real.dtype == np.float64
        with np.errstate(all="ignore"):
            expected = raw.astype(np.float64) * slope + inter
        assert np.array_equal(real, expected, equal_nan=True)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    st.sampled_from([2, 3]),
    st.integers(0, 2),
    st.sampled_from("CF"),
)
def test_channels_come_last(shape: tuple[int, ...], dims: int, ones: int, order: str) -> None:
    assume(len([n for n in shape[dims:] if n != 1]) <= 1)
    raw = np.asarray(np.arange(np.prod(shape)).reshape(shape), order=order)
    out = with_channels(raw.reshape((*shape, *[1] * ones), order="A"), dims)
    assert out.ndim == dims + 1
    for index in np.ndindex(*shape):
        beyond = max(index[dims:], default=0)
        place_of = (*index[:dims], *[0] * (dims - len(index)), beyond)
        assert out[place_of] == raw[index]


def test_too_many_axes_for_channels() -> None:
    with pytest.raises(ValueError, match="more than 2"):
        with_channels(np.zeros((2, 2, 2, 2)), 2)


@pytest.mark.parametrize("codec", [None, Blosc(cname="lz4", clevel=1, shuffle="shuffle")])
def test_a_fresh_chunk_is_all_padding(codec: Blosc | None) -> None:
    layout = ArrayLayout(
        dtype="int16", shape=(4, 5, 2), chunk=(3, 2, 2, 2), shard_cases=3, fill=-7, codec=codec
    )
    chunk = filled(layout)
    assert chunk.shape == (3, 4, 5, 2)
    assert chunk.dtype.str == "<i2"
    assert (chunk == -7).all()
