"""Options are checked as soon as they are said, all of them."""

from __future__ import annotations

import itertools
import math
import os
from typing import Any, get_args

import numpy as np
import pytest
from building import build0, folders, opened
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import OptionError
from niicache.format.names import LabelKind, PadMode
from niicache_builder.options import CODECS, DTYPES, BuildOptions, default_workers

BAD: dict[str, list[Any]] = {
    "shape": [(), (0, 4), (-1, 4, 4), (4,), (4, 4, 4, 4), (4.5, 4)],
    "spatial_dims": [0, 1, 4],
    "dtype": ["float", "int12", "complex64", ""],
    "codec": ["gzip", ""],
    "chunk": [(), (0,), (2, 4, 4), (1, 4), (1, 4, 4, 4, 4), (1.5,)],
    "labels": ["masks", ""],
    "pad_value": [math.nan, math.inf, -math.inf],
    "pad_mode": ["mean", ""],
    "workers": [-1],
    "on_error": ["ignore", ""],
}

GOOD: dict[str, list[Any]] = {
    "shape": [None, (64, 64), (64, 64, 30)],
    "spatial_dims": [None, 2, 3],
    "dtype": ["auto", *DTYPES],
    "codec": list(CODECS),
    "chunk": [None, (16,), (1, 8, 8), (1, 8, 8, 8)],
    "labels": ["auto", *get_args(LabelKind)],
    "pad_value": [0, -1024, 0.5],
    "pad_mode": list(get_args(PadMode)),
    "workers": [None, 0, 8],
    "on_error": ["stop", "skip"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_every_bad_option_is_named_with_what_it_got(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as error:
        BuildOptions(**{name: value})
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{name}: got {value!r}, expected ") for line in lines)
    assert isinstance(error.value, ValueError)


@given(st.sets(st.sampled_from(sorted(BAD)), min_size=1), st.data())
def test_all_bad_options_at_once(names: set[str], data: st.DataObject) -> None:
    values = {name: data.draw(st.sampled_from(BAD[name])) for name in sorted(names)}
    with pytest.raises(OptionError) as error:
        BuildOptions(**values)
    assert {line.split(":")[0] for line in str(error.value).splitlines()} >= names


def test_every_good_option() -> None:
    for name, values in GOOD.items():
        for value in values:
            assert getattr(BuildOptions(**{name: value}), name) == value


def test_shape_and_chunk_go_with_the_dims() -> None:
    for dims, name in itertools.product((2, 3), ("shape", "chunk")):
        good = (1,) * (dims + (name == "chunk"))
        assert getattr(BuildOptions(spatial_dims=dims, **{name: good}), name) == good
        with pytest.raises(OptionError, match=f"^{name}: "):
            BuildOptions(spatial_dims=5 - dims, **{name: good})


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape", (np.int64(6), np.int64(6))), ("chunk", [np.int32(2)]), ("shape", [6, 6])],
)
def test_sizes_from_numpy_build(tmp_path: Any, name: str, value: Any) -> None:
    source = folders(tmp_path / "source", {"a": 2})
    build0(source, tmp_path / "c", **{name: value})
    plain = tuple(map(int, value))
    build0(source, tmp_path / "d", **{name: plain})
    assert opened(tmp_path / "c").keys() == opened(tmp_path / "d").keys()
    assert getattr(BuildOptions(**{name: value}), name) == plain


def test_default_workers() -> None:
    assert 1 <= default_workers() <= (os.cpu_count() or 1)


def test_a_pad_value_beside_a_mode_that_makes_its_own() -> None:
    with pytest.raises(OptionError, match="pad_value: got -7, expected no value beside"):
        BuildOptions(pad_value=-7, pad_mode="edge")
