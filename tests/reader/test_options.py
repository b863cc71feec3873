"""Options of a Sequence, refused as soon as they are given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import OptionError
from niicache.options import check_count, class_weights, image_dtype
from niicache_builder.options import DTYPES


@pytest.mark.parametrize("stored", DTYPES)
@pytest.mark.parametrize("wanted", DTYPES)
def test_a_type_is_taken_exactly_if_it_is_a_float_or_holds_every_stored_value(stored, wanted):
    fits = np.dtype(wanted).kind == "f" or (
        np.dtype(stored).kind != "f"
        and np.iinfo(wanted).min <= np.iinfo(stored).min
        and np.iinfo(stored).max <= np.iinfo(wanted).max
    )
    if fits:
        assert image_dtype(wanted, stored=stored) == np.dtype(wanted)
    else:
        with pytest.raises(OptionError, match=f"dtype: got '{wanted}'.*stored as {stored}"):
            image_dtype(wanted, stored=stored)


@pytest.mark.parametrize("wanted", [">f4", "<f4", "f", np.float32, np.dtype(">f4")])
def test_a_type_may_be_said_in_numpys_ways_and_comes_in_the_order_of_this_machine(wanted):
    dtype = image_dtype(wanted, stored="int16")
    assert dtype == np.float32
    assert dtype.isnative


@pytest.mark.parametrize(
    "wanted",
    [
        *("complex64", "bool", "longdouble", "object", "str", "datetime64", "U4", "f4,f4", ""),
        *("(2,3)f4", "a,,b", "float33", None, 5, [], "i2"),
    ],
)
def test_what_images_cannot_be_is_refused(wanted):
    with pytest.raises(OptionError, match="dtype: got"):
        image_dtype(wanted, stored="int32")


@given(st.text(max_size=6))
def test_no_text_breaks_it(text):
    try:
        dtype = image_dtype(text, stored="int16")
    except OptionError as error:
        said = str(error)
    else:
        said = f"{dtype!r} {text!r}"
        assert dtype.kind in "fi"
    assert repr(text) in said


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_a_count_is_any_whole_number_that_is_large_enough(value):
    check_count("workers", value, 1)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True, np.float64(2)])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(
        OptionError, match=r"workers: got .*, expected a whole number of at least 1"
    ):
        check_count("workers", value, 1)


def test_weights_by_name_come_in_the_order_of_the_classes():
    assert class_weights({"b": 2, "a": 0.5}, ("a", "b")) == [0.5, 2]
    assert class_weights([3, 4], ("a", "b")) == [3, 4]
    assert class_weights(None, ("a", "b")) is None


@pytest.mark.parametrize("weights", [{}, {"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
def test_weights_for_other_classes_are_refused(weights):
    with pytest.raises(OptionError, match="expected exactly a, b; 0 leaves a class out"):
        class_weights(weights, ("a", "b"))
