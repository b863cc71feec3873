"""Cases are alike where what their columns tell of the voxels is, whatever their files are."""

from __future__ import annotations

import pytest

from niicache.format.likeness import ASKED, likeness

NAN = float("nan")
CASE = {
    "box_start": (0, 1),
    "box_stop": (4, 3),
    "voxels_crc": (7, 8),
    "minimum": (0.0, NAN),
    "maximum": (2.0, NAN),
    "percentiles": ((0.1, 1.5), (NAN, NAN)),
    "image_hash": ("one",),
}


def test_it_asks_for_what_it_says():
    assert set(CASE) == set(ASKED)


def test_voxels_count_and_not_the_files_that_hold_them():
    same = {name: list(value) for name, value in CASE.items()} | {"image_hash": "other"}
    same |= {name: [CASE[name][0], float("nan")] for name in ("minimum", "maximum")}
    same["percentiles"] = [[0.1, 1.5], [float("nan"), float("nan")]]
    assert likeness(same) == likeness(CASE)


@pytest.mark.parametrize("name", [name for name in CASE if name != "image_hash"])
def test_whatever_differs_in_the_voxels_makes_another_image(name):
    first = CASE[name][0]
    other = CASE | {name: (0 if isinstance(first, tuple) else first + 1, CASE[name][1])}
    assert likeness(other) != likeness(CASE)


@pytest.mark.parametrize(
    "change",
    [
        {"maximum": (0.0, NAN)},  # an image of one value
        {"voxels_crc": ()},  # not known, and no column at all
        dict.fromkeys(("minimum", "maximum"), (NAN, NAN)),
    ],
)
def test_else_the_bytes_of_the_files_count(change):
    case = CASE | change
    for held in (case, {k: v for k, v in case.items() if k != "voxels_crc" or v}):
        assert likeness(held | {"box_stop": (9, 9)}) == likeness(held)
        assert likeness(held | {"image_hash": ("two",)}) != likeness(held)
        assert likeness(held | {"image_hash": "one"}) != likeness(held | {"image_hash": "two"})
