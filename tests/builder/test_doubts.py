"""What headers make one doubt before a voxel is read, all cases together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from building import build0, voxels, write
from orientations import pointing

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.errors import Problem

CODE = "orientations-differ"


def pointed(root: Path, words: list[str], *, shape: tuple[int, ...] = (6, 5, 7)) -> Path:
    """Write a case for each orientation, a little oblique."""
    for number, word in enumerate(words):
        affine = pointing(word, (1.0, 1.2, 2.0), (4, -3, 7))
        write(root / "a" / f"{number}.nii", voxels(number, shape), affine=affine)
    return root


def warned(source: Path, target: Path, **options: object) -> list[Problem]:
    """Return what a build says of orientations."""
    return [one for one in build0(source, target, **options).warnings if one.code == CODE]


def test_axes_that_point_different_ways_are_told_once_for_all(tmp_path: Path) -> None:
    source = pointed(tmp_path / "s", ["RAS", "LPS", "RAS", "PSR", "RAS", "LPS"])
    (one,) = warned(source, tmp_path / "c")
    assert one.path == str(source / "a" / "1.nii")
    assert (one.class_name, one.case) == ("a", "1")
    assert one.got == "axes that point LPS, in a set of RAS (3), LPS (2), PSR (1)"
    assert one.expected == "RAS, as in 3 cases"
    assert "--orient RAS" in one.hint


def test_who_turns_all_is_told_nothing(tmp_path: Path) -> None:
    source = pointed(tmp_path / "s", ["RAS", "LPS"])
    assert warned(source, tmp_path / "c", orient="RAS") == []


@pytest.mark.parametrize("word", ["RAS", "LPI"])
def test_a_set_that_points_one_way_is_told_nothing(word: str, tmp_path: Path) -> None:
    assert warned(pointed(tmp_path / "s", [word] * 3), tmp_path / "c") == []


def test_planes_have_no_third_axis_to_tell_their_sides(tmp_path: Path) -> None:
    source = pointed(tmp_path / "s", ["RAS", "LPS"], shape=(6, 5))
    assert warned(source, tmp_path / "c") == []


def test_what_no_affine_tells_is_not_guessed(tmp_path: Path) -> None:
    source = pointed(tmp_path / "s", ["RAS", "RAS"])
    broken = np.full((4, 4), np.nan)
    broken[3] = 0, 0, 0, 1
    header = bytearray((source / "a" / "1.nii").read_bytes())
    header[280:328] = broken[:3].astype("float32").tobytes()  # srow_x, srow_y, srow_z
    header[252:254] = bytes(2)  # qform_code
    (source / "a" / "1.nii").write_bytes(header)
    built = build0(source, tmp_path / "c")
    assert {one.code for one in built.warnings} == {"affine"}
