"""Options of a Sequence, refused as soon as they are given."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import OptionError
from niicache.options import (
    byte_count,
    check_callable,
    check_count,
    check_flag,
    check_one_of,
    class_weights,
    image_dtype,
)
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


UNITS = {
    **dict.fromkeys(["", "B", "b"], 1),
    **dict.fromkeys(["k", "K", "kB", "KB"], 10**3),
    **dict.fromkeys(["m", "MB"], 10**6),
    **dict.fromkeys(["G", "gb", "GB"], 10**9),
    **dict.fromkeys(["T", "TB"], 10**12),
    **dict.fromkeys(["Ki", "KiB", "kib"], 2**10),
    **dict.fromkeys(["MiB", "mib"], 2**20),
    **dict.fromkeys(["GiB", "gi"], 2**30),
    **dict.fromkeys(["TIB", "TiB"], 2**40),
}
SPACES = st.sampled_from(["", " ", "  ", "\t"])


@given(st.integers(0, 2**70))
def test_bytes_are_a_whole_number(value):
    assert byte_count("memory", value) == value
    assert byte_count("memory", str(value)) == value


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)), SPACES, SPACES, SPACES)
def test_bytes_may_be_said_in_units(number, unit, before, between, after):
    said = f"{before}{number}{between}{unit}{after}"
    assert byte_count("memory", said) == number * UNITS[unit]


@given(st.integers(0, 9999), st.integers(0, 999), st.sampled_from(sorted(UNITS)))
def test_parts_of_a_unit_are_exact_down_to_the_byte(whole, thousandths, unit):
    said = f"{whole}.{thousandths:03} {unit}"
    assert byte_count("memory", said) == (1000 * whole + thousandths) * UNITS[unit] // 1000


@pytest.mark.parametrize(
    ("said", "nbytes"),
    [("4GiB", 2**32), ("1.5 MB", 1_500_000), ("500MB", 500_000_000), (np.int64(7), 7), ("0", 0)],
)
def test_bytes_are_what_people_say(said, nbytes):
    assert byte_count("memory", said) == nbytes
    assert type(byte_count("memory", said)) is int


@pytest.mark.parametrize(
    "value",
    [
        *(-1, "-1", "-1GiB", True, False, 1.0, float("inf"), float("nan"), None, [], b"4GiB"),
        *("", " ", "GiB", "4 GiB GiB", "4XB", "4iB", "1e9", "1,5MB", ".5MB", "5.MB", "0x10", "1 2"),
        *("4 G i B", "4GiBs", "inf", np.float64(8), np.True_, "+4", "4_000"),
    ],
)
def test_what_is_no_number_of_bytes_is_refused(value):
    with pytest.raises(OptionError, match=r"memory: got .*, expected bytes, such as .* or '4GiB'"):
        byte_count("memory", value)


@given(st.text(max_size=8))
def test_no_text_is_a_number_of_bytes_by_accident(text):
    try:
        assert byte_count("memory", text) >= 0
    except OptionError as error:
        assert repr(text) in str(error)  # noqa: PT017 - either way will do
    else:
        assert text.strip()[0].isdigit()


def test_one_of_some_words_is_taken_and_nothing_else():
    for word in ("raise", "skip"):
        check_one_of("on_damage", word, ("raise", "skip"))
    for word in ("", "Raise", "skip ", None, True, 0, ["skip"]):
        with pytest.raises(OptionError) as caught:
            check_one_of("on_damage", word, ("raise", "skip"))
        said = f"on_damage: got {word!r}, expected one of 'raise', 'skip'"
        assert str(caught.value) == said


@pytest.mark.parametrize("weights", ["balanced", 3, {1, 2}])
def test_weights_that_are_no_numbers_in_order_are_refused_once(weights):
    with pytest.raises(OptionError, match=r"weights: got .*, expected one number for each") as told:
        class_weights(weights, ("a", "b"))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("value", ["yes", 1, None, [True]])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(OptionError, match=r"shuffle: got .*, expected True or False"):
        check_flag("shuffle", value)
    check_flag("shuffle", np.bool_(1))


def test_what_cannot_be_called_is_refused():
    for good in (None, len, print, dict, lambda image: image, lambda *all_of_them: all_of_them):
        check_callable("transform", good, "image")
    with pytest.raises(OptionError, match="transform: got 3, expected a function, or None"):
        check_callable("transform", 3, "image")


def test_what_cannot_be_called_as_it_will_be_is_refused():
    def two(x, y):
        return x, y

    def three(x, y, weights):
        return x, y, weights

    @functools.wraps(two)
    def adapted(image):
        return two(image, image)

    check_callable("f", adapted, "image")  # as it is called, not as what it wraps is
    for good in (two, three, lambda x, y, weights=None: (x, y, weights)):
        check_callable("collate_fn", good, "images", "labels", "weights?")
    with pytest.raises(OptionError, match=r"f: got .*two.* takes \(x, y\), .* takes \(image\)"):
        check_callable("f", two, "image")
    with pytest.raises(OptionError, match=r"takes \(x, y, weights\), .* takes \(image, label\)"):
        check_callable("f", three, "image", "label")


def test_weights_by_name_come_in_the_order_of_the_classes():
    assert class_weights({"b": 2, "a": 0.5}, ("a", "b")) == [0.5, 2]
    assert class_weights([3, 4], ("a", "b")) == [3, 4]
    assert class_weights(None, ("a", "b")) is None


@pytest.mark.parametrize("weights", [{}, {"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
def test_weights_for_other_classes_are_refused(weights):
    with pytest.raises(OptionError, match="expected exactly a, b; 0 leaves a class out"):
        class_weights(weights, ("a", "b"))
