"""Halves in compiled loops, against numpy's own."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from niicache.halves import as_bits, told

NUMBERS = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]


@numba.njit
def _loop(source, out, kind):
    for i in range(source.size):
        out[i] = told(source[i], kind)


def converted(source, wanted):
    out = np.empty(source.shape, wanted)
    like, seen, kind = as_bits(source.dtype, out)
    _loop(source.view(like), seen, kind)
    return out


def judged(source, wanted):
    with np.errstate(over="ignore", invalid="ignore"):
        return source.astype(wanted)


def every_half():
    return np.arange(2**16, dtype=np.uint16).view(np.float16)


@pytest.mark.parametrize("wanted", ["float32", "float64"])
def test_every_half_is_the_number_that_it_is(wanted):
    source = every_half()
    np.testing.assert_array_equal(converted(source, wanted), source.astype(wanted))
    signs = np.signbit(converted(source, wanted))
    np.testing.assert_array_equal(signs, np.signbit(source))


def test_every_half_comes_back_and_keeps_its_bits_where_nothing_is_converted():
    source = every_half()
    np.testing.assert_array_equal(
        converted(source, "float16").view(np.uint16), source.view(np.uint16)
    )
    kept = ~np.isnan(source)
    back = converted(converted(source, "float32"), "float16")
    np.testing.assert_array_equal(back.view(np.uint16)[kept], source.view(np.uint16)[kept])
    assert np.isnan(back[~kept]).all()


@pytest.mark.parametrize("wide", ["float32", "float64"])
def test_what_lies_between_two_halves_goes_to_the_nearest_and_ties_to_even(wide):
    finite = np.sort(every_half()[np.isfinite(every_half())]).astype(wide)
    middle = (finite[1:] + finite[:-1]) / 2
    largest = np.array([65519.96, 65520, 65520.1, 1e30, np.inf], wide)
    for source in (middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf), largest):
        for one in (source, -source):
            np.testing.assert_array_equal(
                converted(one, "float16").view(np.uint16), judged(one, "float16").view(np.uint16)
            )


@pytest.mark.parametrize("stored", NUMBERS)
@given(data=st.data())
def test_any_number_becomes_the_half_that_numpy_makes_of_it(stored, data):
    source = data.draw(arrays.arrays(stored, st.integers(0, 40)))
    got, want = converted(source, "float16"), judged(source, "float16")
    np.testing.assert_array_equal(got, want)
    known = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(want)[known])
