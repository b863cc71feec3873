"""Headers that do not fit together: each problem has its code, and all come at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from building import case, header
from hypothesis import given
from hypothesis import strategies as st

from niicache_builder import BuildOptions
from niicache_builder.checks import GRID_TOLERANCE, check_cases

if TYPE_CHECKING:
    from niicache.errors import Problem
    from niicache.format.names import LabelKind
    from niicache_builder.scan import CaseScan

ROOT = Path("source")
GRID = np.diag([1.5, 2.0, 2.5, 1.0])


def check(
    *cases: CaseScan,
    dims: int = 3,
    kind: LabelKind = "mask",
    shape: tuple[int, ...] | None = None,
) -> tuple[Problem, ...]:
    found = check_cases(
        cases, root=ROOT, spatial_dims=dims, label_kind=kind, options=BuildOptions(shape=shape)
    )
    for problem in found:
        assert problem.got
        assert problem.expected
        assert problem.hint
        assert problem.class_name == "a"
    return found


def mask(shape: tuple[int, ...] = (5, 4, 3), affine: np.ndarray | None = None) -> object:
    return header(shape, dtype="uint8", affine=affine)


def good(name: str) -> CaseScan:
    return case(name, header(), mask())


def moved(mm: float) -> np.ndarray:
    affine = GRID.copy()
    affine[0, 3] += mm
    return affine


def turned(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ GRID


BAD: dict[str, tuple[CaseScan, str, str, str]] = {
    "image-axes": (case("bad", header((5, 4, 3, 2, 2)), mask()), "image", "(5, 4, 3, 2, 2)", "3 s"),
    "channels-differ": (case("bad", header((5, 4, 3, 2)), mask()), "image", "2 channels", "1, as"),
    "does-not-fit": (case("bad", header((9, 4, 3)), mask((9, 4, 3))), "image", "(9, 4, 3)", "8,8"),
    "shape-mismatch": (case("bad", header(), mask((5, 4, 2))), "label", "(5, 4, 2)", "(5, 4, 3)"),
    "grid-mismatch": (case("bad", header(), mask(affine=moved(0.2))), "label", "0.2 mm", "0.075"),
    "no-label": (case("bad", header()), "image", "no label file", "a mask for every case"),
    "label-size-differs": (
        case("bad", header(), mask((5, 4, 3, 2))),
        "label",
        "2 channels",
        "1, as in most",
    ),
}


@pytest.mark.parametrize("code", BAD)
def test_each_problem(code: str) -> None:
    bad, about, got, expected = BAD[code]
    (problem,) = check(good("x"), bad, good("y"), shape=(8, 8, 8))
    assert problem.code == code
    assert problem.case == "bad"
    assert problem.path == f"source/a/{about}s/bad.nii.gz"
    assert got in problem.got
    assert expected in problem.expected


def test_all_problems_at_once() -> None:
    names = {code: f"bad-{code}" for code in BAD}
    bad = [case(names[code], one.image, one.label) for code, (one, *_) in BAD.items()]
    bad.append(case("both", header((9, 4, 3, 2)), mask((5, 4, 2))))
    found = check(*map(good, "uvwxyz"), *bad, shape=(8, 8, 8))
    assert {(p.case, p.code) for p in found} == {
        *((names[code], code) for code in BAD),
        ("both", "channels-differ"),
        ("both", "does-not-fit"),
        ("both", "shape-mismatch"),
    }


def test_vector_of_another_length() -> None:
    cases = [case(name, header(), header((4,), dtype="float32")) for name in "xyz"]
    bad = case("bad", header(), header((5,), dtype="float32"))
    (problem,) = check(*cases, bad, kind="vector")
    assert (problem.code, problem.case) == ("label-size-differs", "bad")
    assert "5 entries" in problem.got
    assert "4, as in most" in problem.expected
    (problem,) = check(*cases, case("none"), kind="vector")
    assert problem.code == "no-label"
    assert "a vector for every case" in problem.expected


def test_folder_labels_are_not_looked_at() -> None:
    assert check(case("x"), case("y", header(), mask((1, 2))), kind="folder") == ()


def test_plane_with_channels() -> None:
    image = header((45, 45, 3))
    assert check(case("x", image, mask((45, 45))), dims=2, shape=(64, 64)) == ()
    assert check(case("x", image, mask((45, 45, 1, 1))), dims=2, shape=(45, 45)) == ()
    (problem,) = check(case("x", image, mask((45, 45))), dims=2, shape=(64, 44))
    assert problem.code == "does-not-fit"


def test_no_case_no_problem() -> None:
    assert check() == ()


@given(st.floats(0, 1), st.sampled_from([0, 1, 2]))
def test_grids_may_lie_apart_by_less_than_a_resampling_would_notice(mm: float, axis: int) -> None:
    affine = GRID.copy()
    affine[axis, 3] += mm
    found = check(case("x", header(), mask(affine=affine)))
    # 1.5 mm is the smallest edge of a voxel of GRID.
    limit = GRID_TOLERANCE * 1.5
    if abs(mm - limit) > 1e-9:
        assert [p.code for p in found] == ["grid-mismatch"] * (mm > limit)


def test_a_turn_is_felt_at_the_far_corner() -> None:
    small, large = (5, 4, 3), (300, 300, 3)
    for shape, count in ((small, 0), (large, 1)):
        bad = case("x", header(shape), header(shape, dtype="uint8", affine=turned(0.1)))
        assert len(check(bad)) == count


@given(st.permutations("uvwxyz"), st.sets(st.sampled_from("uvwxyz"), max_size=2))
def test_the_few_are_wrong_not_the_many(order: list[str], odd: set[str]) -> None:
    cases = [case(n, header((5, 4, 3, 2 if n in odd else 1)), mask()) for n in order]
    assert {p.case for p in check(*cases)} == odd


def test_a_plane_among_volumes_is_not_padded_to_one() -> None:
    volumes = [case(name, header((5, 4, 3))) for name in "ab"]
    slice_, plane = case("slice", header((5, 4, 1))), case("plane", header((5, 4)))
    assert check(*volumes, slice_, kind="folder") == ()
    (problem,) = check(*volumes, slice_, plane, kind="folder")
    assert (problem.code, problem.case) == ("dimensions-differ", "plane")
    assert problem.got == "2 axes (shape (5, 4))"
    assert problem.expected == "at least 3 axes, as in most images"
    (problem,) = check(volumes[0], plane, kind="folder")
    assert (problem.case, problem.expected) == ("plane", "at least 3 axes, as in 1 of 2 images")
    (problem,) = check(volumes[0], plane, case("other", header((5, 4))), kind="folder")
    assert (problem.case, problem.expected) == ("a", "fewer than 3, as in most images")


def test_half_of_the_images_are_not_called_most() -> None:
    (problem,) = check(
        case("x", header((5, 4, 3, 2))), case("y", header((5, 4, 3, 3))), kind="folder"
    )
    assert (problem.case, problem.expected) == ("y", "2, as in 1 of 2 images")
