"""Images of several files: what the manifest says of them, and columns with an entry a file."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.zstd import Zstd

from niicache.errors import FormatError
from niicache.format.column_checks import column_problems
from niicache.format.columns import decode_column
from niicache.format.facts import A_FILE, COLUMNS
from niicache.format.layout_checks import recipe_problems
from niicache.format.manifest import ArrayLayout, ClassEntry, Recipe
from niicache.format.names import ROOT

LAYOUT = ArrayLayout(
    dtype="int16", shape=(4, 4, 3), chunk=(2, 4, 4, 3), shard_cases=4, fill=0, codec=None
)
ONE = Recipe(spatial_dims=2, label_kind="folder", pad_mode="constant", image=LAYOUT, label=None)
TWO = replace(ONE, image_files=2)
ENTRY = ClassEntry(name="a", cases=2, slots=3)


def test_images_of_one_file_leave_no_trace():
    assert "image_files" not in ONE.to_json()
    assert TWO.to_json() == ONE.to_json() | {"image_files": 2}
    assert TWO.digest != ONE.digest


@pytest.mark.parametrize(
    ("files", "sound"),
    [(2, True), (3, True), *((n, False) for n in (4, 1, 0, -1, 2.0, True, None, "2", [2], 2**64))],
)
def test_an_image_has_two_files_or_more_and_no_more_than_channels(files, sound):
    problems = recipe_problems(json.loads(json.dumps(ONE.to_json() | {"image_files": files})))
    assert problems == [] if sound else ["image_files" in one for one in problems] == [True]


def test_the_axis_of_the_files_is_left_out_where_there_is_one():
    sizes = {"axes": 2, "channels": 3, "label_values": 0}
    for column in COLUMNS:
        one, two = (column.shape(files=n, **sizes) for n in (1, 2))
        assert ("file" in column.stored_dims(2)) == (column.name in A_FILE)
        assert "file" not in column.stored_dims(1)
        assert two == ((2, *one) if column.name in A_FILE else one)


def metadata(dtype, shape):
    """Return the metadata of a column, as the format says."""
    first = {"name": "vlen-utf8"} if dtype == "string" else {"name": "bytes"}
    if dtype != "string":
        first["configuration"] = {"endian": "little"}
    chunk = {"chunk_shape": [max(1, n) for n in shape]}
    return json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": dtype,
            "chunk_grid": {"name": "regular", "configuration": chunk},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [first, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}],
            "fill_value": "" if dtype == "string" else 0,
        }
    ).encode()


def strings(texts, count=None):
    parts = [struct.pack("<I", len(text)) + text for text in (one.encode() for one in texts)]
    return struct.pack("<I", len(texts) if count is None else count) + b"".join(parts)


@given(
    rows=st.integers(1, 4).flatmap(
        lambda files: st.lists(
            st.lists(st.text(max_size=5), min_size=files, max_size=files), min_size=1, max_size=4
        )
    )
)
def test_texts_of_every_file_come_back(rows):
    shape = [len(rows), len(rows[0])]
    flat = [text for row in rows for text in row]
    files = {ROOT: metadata("string", shape), "c/0/0": Zstd().encode(strings(flat))}
    assert decode_column(files, "string", tuple(shape)).tolist() == rows


@pytest.mark.parametrize(
    ("shape", "payload"),
    [
        ((3, 2), strings(["x"] * 3)),
        ((3, 2), strings(["x"] * 6, 3)),
        ((3, 2), strings(["x"] * 5, 6)),
        ((3, 2), strings(["x"] * 7, 6)),
        ((3, 2), b"\6"),
        ((2**20, 2**20), strings(["x"])),  # more than the number can say
    ],
)
def test_texts_of_another_number_are_refused(shape, payload):
    files = {ROOT: metadata("string", list(shape)), "c/0/0": Zstd().encode(payload)}
    with pytest.raises(FormatError):
        decode_column(files, "string", shape)


@pytest.mark.parametrize(
    ("sizes", "sound"),
    [
        ([[5, 6], [0, 0], [7, 8]], True),
        ([[5, 6], [7, 0], [7, 8]], False),  # a slot that is neither vacant nor held
        ([[5, 6], [0, 0], [7, 0]], False),
        ([[5, 6], [1, 1], [7, 8]], False),
        ([[5, 6], [0, 0], [7, -8]], False),
    ],
)
def test_a_case_has_a_size_of_every_file_and_a_vacant_slot_none(sizes, sound):
    assert (column_problems("image_size", np.array(sizes), ENTRY, TWO) == []) == sound
