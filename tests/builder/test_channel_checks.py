"""Files of one image that do not fit together: each problem has its code, and all come at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from building import build0, header, voxels, write
from hypothesis import given
from hypothesis import strategies as st
from test_checks import GRID, case, check, mask, moved, turned

from niicache.errors import SourceError
from niicache_builder.corners import GRID_TOLERANCE
from niicache_builder.options import BuildOptions
from niicache_builder.prepare import joined
from niicache_builder.recipe import make_recipe
from niicache_builder.record import case_key
from niicache_builder.room import UNIT_SPARE, disk_bytes, worker_bytes
from niicache_builder.unit import make_unit

if TYPE_CHECKING:
    from pathlib import Path

    from niicache_builder.nifti import Header
    from niicache_builder.scan import CaseScan


def several(name: str, *images: Header) -> CaseScan:
    """Return a case of some files, name_0000 and on, with a mask."""
    one = case(name, images[0], mask())
    paths = tuple(f"a/images/{name}_{n:04}.nii.gz" for n in range(len(images)))
    return replace(one, files=replace(one.files, images=paths), images=images)


def good(name: str) -> CaseScan:
    return several(name, header(), header(dtype="float32"))


BAD: dict[str, tuple[CaseScan, int, str, str]] = {
    "files-differ": (several("bad", header()), 0, "1 files of an image", "2, as in most cases"),
    "channels-differ": (
        several("bad", header(), header((5, 4, 3, 2))),
        0,
        "1 + 2 channels (shape (5, 4, 3), (5, 4, 3, 2))",
        "1 + 1, as in most images",
    ),
    "channel-shape-mismatch": (
        several("bad", header(), header((5, 4, 2))),
        1,
        "(5, 4, 2)",
        "(5, 4, 3) as in a/images/bad_0000.nii.gz",
    ),
    "channel-grid-mismatch": (
        several("bad", header(), header(affine=moved(0.3))),
        1,
        "0.2 voxels (0.3 mm) from that of a/images/bad_0000.nii.gz",
        "at most 0.05 voxels",
    ),
    "image-axes": (several("bad", header(), header((5, 4, 3, 2, 2))), 1, "(5, 4, 3, 2, 2)", "3 s"),
    "does-not-fit": (several("bad", header(), header((9, 4, 3))), 1, "(9, 4, 3)", "8,8,8"),
}


@pytest.mark.parametrize("code", BAD)
def test_each_problem_names_its_file(code: str) -> None:
    bad, at, got, expected = BAD[code]
    found = {one.code: one for one in check(good("x"), bad, good("y"), shape=(8, 8, 8))}
    problem = found.pop(code)
    assert found.keys() <= {"channel-shape-mismatch"}  # what does not fit is no match either
    assert (problem.case, problem.path) == ("bad", f"source/a/images/bad_{at:04}.nii.gz")
    assert got in problem.got
    assert expected in problem.expected


def test_all_problems_at_once() -> None:
    third = header((5, 4, 2))
    found = check(*map(good, "uvw"), several("bad", header(), header(affine=turned(3)), third))
    assert sorted(problem.code for problem in found) == [
        "channel-grid-mismatch",
        "channel-shape-mismatch",
        "files-differ",
    ]


@given(st.floats(-0.2, 0.2), st.sampled_from([0, 1, 2]))
def test_two_channels_may_lie_apart_as_far_as_image_and_mask(voxel: float, axis: int) -> None:
    affine = GRID.copy()
    affine[axis, 3] += voxel * 1.5  # the smallest edge
    found = check(good("x"), several("y", header(), header(affine=affine)))
    if abs(abs(voxel) - GRID_TOLERANCE) > 1e-6:
        assert bool(found) == (abs(voxel) > GRID_TOLERANCE)


def test_channels_of_one_file_after_those_of_another() -> None:
    parts = [np.full((4, 3, 2), 1, "int16"), np.full((4, 3, 1), 2, "int16")]
    image = joined(iter(parts), 3)
    assert image[0, 0].tolist() == [1, 1, 2]
    assert (image.shape, image.dtype, image.flags.f_contiguous) == ((4, 3, 3), "int16", True)
    with pytest.raises(ValueError, match="channels"):
        joined(iter(parts), 4)


def test_one_type_holds_every_file() -> None:
    cases = [several("x", header(dtype="uint8"), header((5, 4, 3, 2), dtype="int16"))]
    recipe, why = make_recipe(cases, BuildOptions(), (3, ""), ("mask", ""))
    assert (recipe.image.dtype, recipe.image.shape) == ("int16", (5, 4, 3, 3))
    assert recipe.image_files == 2
    assert why.dtype == "images are stored as int16, uint8"
    scaled = [replace(cases[0], images=(header(), header(slope=0.5)))]
    assert make_recipe(scaled, BuildOptions(), (3, ""), ("mask", ""))[0].image.dtype == "float32"


def test_all_files_of_a_case_make_its_unit_and_its_key() -> None:
    one = several("x", header(size=5), header(size=7))
    recipe, _ = make_recipe([one], BuildOptions(), (3, ""), ("mask", ""))
    first, second = one.images
    paths = one.files.images
    others = [
        replace(one, images=(first, replace(second, size=2))),
        replace(one, images=(first, replace(second, mtime_ns=2))),
        replace(one, images=(second, first)),
        replace(one, files=replace(one.files, images=(paths[0], "elsewhere"))),
        replace(one, files=replace(one.files, images=paths[::-1])),
    ]
    ids = {make_unit("a", 0, (case,), recipe).id for case in (one, *others)}
    assert len(ids) == 1 + len(others)
    hashes = [("1", "2"), ("2", "1"), ("1", "3"), ("1",), ("1", "2", "3")]
    assert len({case_key(recipe, image, "") for image in hashes}) == len(hashes)


def test_room_is_made_for_every_file() -> None:
    few, many = ([several("x", *[header((50, 50, 50), size=200_000)] * count)] for count in (1, 4))
    sizes = []
    for cases in (few, many):
        recipe, _ = make_recipe(cases, BuildOptions(chunk=(1,)), (3, ""), ("folder", ""))
        unit = make_unit("a", 0, tuple(cases), recipe)
        sizes.append((worker_bytes(cases, recipe), disk_bytes(unit, recipe) - UNIT_SPARE))
    assert [4 * size for size in sizes[0]] == list(sizes[1])


def test_a_file_that_cannot_be_read_takes_its_case_out(tmp_path: Path) -> None:
    image = voxels(1, (4, 4, 5))
    for name in "ab":
        for channel in (0, 1):
            write(tmp_path / "s" / "images" / f"{name}_{channel:04}.nii", image + channel)
        write(tmp_path / "s" / "labels" / f"{name}.nii", (image % 3).astype("uint8"))
    bad = tmp_path / "s" / "images" / "b_0001.nii"
    bad.write_bytes(bad.read_bytes()[:-1])
    built = build0(tmp_path / "s", tmp_path / "c", on_error="skip")
    (problem,) = built.plan.problems
    assert (problem.case, problem.path) == ("b", str(bad))
    assert built.manifest.classes[0].cases == 1


def test_a_build_tells_all_of_them_and_skips_what_is_to_be_skipped(tmp_path: Path) -> None:
    source = tmp_path / "s"
    for name in "abcd":
        for channel in (0, 1):
            path = source / "imagesTr" / f"{name}_{channel:04}.nii.gz"
            odd = name == "b" and channel
            affine = np.diag([1.5, 2.0, 2.5, 1.0])
            affine[0, 3] = 1 if name == "c" and channel else 0
            write(path, voxels(ord(name) + channel, (4 + odd, 4, 5)), affine=affine)
        image = voxels(ord(name), (4, 4, 5))
        write(source / "labelsTr" / f"{name}.nii.gz", (image % 3).astype("uint8"))
    (source / "imagesTr" / "d_0001.nii.gz").unlink()
    with pytest.raises(SourceError) as caught:
        build0(source, tmp_path / "c")
    assert sorted((one.code, one.case) for one in caught.value.problems) == [
        ("channel-grid-mismatch", "c"),
        ("channel-shape-mismatch", "b"),
        ("files-differ", "d"),
    ]
    built = build0(source, tmp_path / "c", on_error="skip")
    assert [entry.cases for entry in built.manifest.classes] == [1]
    assert {entry.case for entry in built.manifest.skipped} == {"b", "c", "d"}
    assert not build0(source, tmp_path / "c", on_error="skip").changed


def test_the_same_image_twice_is_known_by_all_of_its_files(tmp_path: Path) -> None:
    source = tmp_path / "s"
    for name, numbers in {"a": (1, 2), "b": (1, 3), "c": (1, 2), "d": (2, 1)}.items():
        for channel, number in enumerate(numbers):
            path = source / "images" / f"{name}_{channel:04}.nii"
            write(path, voxels(number, (4, 4, 5)))
        write(source / "labels" / f"{name}.nii", (voxels(9, (4, 4, 5)) % 3).astype("uint8"))
    found = [(one.code, one.case) for one in build0(source, tmp_path / "c").warnings]
    assert found == [("image-twice", "c")]
