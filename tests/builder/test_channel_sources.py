"""Which files are channels of one case, by names alone, and sources without classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sources import names, only, put, table

from niicache_builder.cases import CaseFiles
from niicache_builder.sources import find_cases

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("sides", [("images", "labels"), ("imagesTr", "labelsTr")])
def test_images_and_labels_alone_are_one_class(tmp_path: Path, sides: tuple[str, str]) -> None:
    images, labels = sides
    put(tmp_path, f"{images}/1.nii", f"{labels}/1.nii.gz", "imagesTs/2.nii.gz", "docs/readme.txt")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert (layout.name, layout.classes) == ("one-class", ("all",))
    assert (
        layout.reason == f"{images}/ and {labels}/ at the top, so one class 'all': 1 image, 1 label"
    )
    assert layout.cases == (
        CaseFiles(
            class_name="all", name="1", images=(f"{images}/1.nii",), label=f"{labels}/1.nii.gz"
        ),
    )
    assert [note.partition(":")[0] for note in layout.notes] == [
        "files that are not NIfTI ignored",
        "imagesTs left out",
    ]


def test_what_is_wrong_with_one_class_is_said_as_with_many(tmp_path: Path) -> None:
    put(tmp_path, "images/1.nii", "images/2.nii", "labels/1.nii", "labels/3.nii", "0.nii")
    put(tmp_path, "images/deep/4.nii", "images/5_0000.nii", "images/5_0002.nii", "labels/5.nii")
    layout = find_cases(tmp_path)
    assert sorted((one.code, one.case) for one in layout.problems) == [
        ("misplaced-file", ""),
        ("missing-channel", "5"),
        ("nested-folder", ""),
        ("unpaired-image", "2"),
        ("unpaired-label", "3"),
    ]
    assert names(layout) == {"all": ["1"]}


def test_halves_beside_another_folder_are_no_classes(tmp_path: Path) -> None:
    put(tmp_path, "images/1.nii", "labels/1.nii", "cat/1.nii")
    layout = find_cases(tmp_path)
    assert "move the others away" in only(layout, "no-class").hint
    assert layout.classes == ()


def test_images_named_like_channels_are_noted(tmp_path: Path) -> None:
    put(tmp_path, *(f"{c}/p{n}_000{k}.nii" for c in "ab" for n in (1, 2) for k in (0, 1)))
    (note,) = find_cases(tmp_path).notes
    assert "named like a channel" in note
    assert len(find_cases(tmp_path).cases) == 8
    put(tmp_path, "a/p3_0000.nii")  # one image too few: a counter
    assert find_cases(tmp_path).notes == ()


STEMS = st.text("ab01_", min_size=1, max_size=6).filter(lambda text: not text.endswith("_"))


@given(
    counts=st.dictionaries(STEMS, st.integers(1, 3), min_size=1, max_size=4).filter(
        lambda counts: len({name.casefold() for name in counts}) == len(counts)
    ),
    layout=st.sampled_from(["c/images", "images", "imagesTr", "case"]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cases_and_numbers_of_channels_come_back(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int], layout: str
) -> None:
    root = tmp_path_factory.mktemp("s")
    expected = {}
    for name, count in counts.items():
        start = f"c/{name}/image" if layout == "case" else f"{layout}/{name}"
        label = (
            f"c/{name}/label" if layout == "case" else f"{layout}/{name}".replace("image", "label")
        )
        expected[name] = tuple(f"{start}_{channel:04}.nii" for channel in range(count))
        put(root, *expected[name], f"{label}.nii")
    # Such names mean two things; which one they are taken for is told below.
    files = {path.rpartition("/")[2][:-4] for paths in expected.values() for path in paths}
    if layout != "case" and files & counts.keys():
        return
    found = find_cases(root)
    assert found.problems == ()
    assert {case.name: case.images for case in found.cases} == expected


def test_a_label_of_the_whole_name_goes_before_a_number(tmp_path: Path) -> None:
    put(tmp_path, "c/images/x_0000.nii", "c/images/x_0001.nii", "c/images/y.nii")
    put(tmp_path, "c/labels/x_0000.nii", "c/labels/x_0001.nii", "c/labels/y.nii")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert names(layout) == {"c": ["x_0000", "x_0001", "y"]}


def test_a_channel_of_one_label_is_no_case_of_another(tmp_path: Path) -> None:
    put(tmp_path, "c/images/x_0000.nii", "c/labels/x_0000.nii", "c/labels/x.nii")
    layout = find_cases(tmp_path)
    assert only(layout, "unpaired-label").case == "x"
    assert names(layout) == {"c": ["x_0000"]}


def test_a_whole_image_goes_before_its_channels(tmp_path: Path) -> None:
    put(tmp_path, "s/c/images/x.nii", "s/c/images/x_0000.nii", "s/c/labels/x.nii")
    put(tmp_path, "t/d/p/image.nii", "t/d/p/image_0000.nii", "t/d/p/label.nii")
    for name, code in (("s", "unpaired-image"), ("t", "misplaced-file")):
        layout = find_cases(tmp_path / name)
        assert only(layout, code).path.endswith("_0000.nii")
        assert len(layout.cases) == 1


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_running_numbers_are_no_channels_where_there_are_no_labels(
    tmp_path: Path, kind: str
) -> None:
    put(tmp_path, "c/x_0000.nii", "c/x_0001.nii", "c/x_0002.nii")
    source = tmp_path
    if kind == "table":
        source = table(tmp_path, "class,image,label", *(f"c,c/x_000{n}.nii," for n in range(3)))
    assert names(find_cases(source)) == {"c": ["x_0000", "x_0001", "x_0002"]}


@pytest.mark.parametrize(
    ("files", "code", "path"),
    [
        (("c/images/x_0000.nii", "c/images/x_0002.nii"), "missing-channel", "c/images/x_0001"),
        (("c/images/x_0001.nii",), "missing-channel", "c/images/x_0000"),
        (
            ("c/images/x_0000.nii", "c/images/x_0001.nii", "c/images/x_0001.nii.gz"),
            "duplicate-case",
            "",
        ),
        (("c/images/x_0000.nii", "c/images/x_0001.hdr"), "half-pair", "c/images/x_0001.hdr"),
    ],
)
def test_a_case_with_a_bad_channel_is_left_out(
    tmp_path: Path, files: tuple[str, ...], code: str, path: str
) -> None:
    put(tmp_path, *files, "c/labels/x.nii", "c/images/y.nii", "c/labels/y.nii")
    layout = find_cases(tmp_path)
    problem = only(layout, code)
    assert names(layout) == {"c": ["y"]}
    if path:
        assert problem.path == f"{tmp_path}/{path}"


def test_channels_of_a_case_folder(tmp_path: Path) -> None:
    put(tmp_path, "c/p/image_0000.nii", "c/p/image_0002.nii", "c/p/label.nii")
    put(tmp_path, "c/q/image_0000.nii", "c/q/image_0001.nii", "c/q/label.nii", "c/q/image_1.nii")
    layout = find_cases(tmp_path)
    assert [(one.code, one.case) for one in layout.problems] == [
        ("missing-channel", "p"),
        ("misplaced-file", ""),
    ]
    assert layout.problems[0].path == f"{tmp_path}/c/p/image_0001"
    assert names(layout) == {"c": ["q"]}


def test_a_table_with_a_column_a_channel(tmp_path: Path) -> None:
    put(tmp_path, "a1.nii", "b1.nii", "a2.hdr", "a2.img", "b2.nii", "m.nii")
    rows = ["b1.nii,m.nii,a1.nii", "b2.nii,m.nii,a2.img"]
    layout = find_cases(table(tmp_path, "image_t1,label,image_FLAIR", *rows))
    assert layout.problems == ()
    assert layout.classes == ("all",)
    assert layout.channels == ("t1", "flair")
    assert [(case.name, case.images) for case in layout.cases] == [
        ("b1", ("b1.nii", "a1.nii")),
        ("b2", ("b2.nii", "a2.hdr")),
    ]
    assert "columns image_t1, label, image_flair" in layout.reason


def test_a_column_image_goes_before_columns_of_channels(tmp_path: Path) -> None:
    put(tmp_path, "1.nii", "m.nii")
    layout = find_cases(table(tmp_path, "image,label,image_id", "1.nii,m.nii,7"))
    assert layout.problems == ()
    assert layout.cases[0].images == ("1.nii",)
    assert layout.channels == ()
    assert layout.notes == ("columns ignored: 1, the first is 'image_id'",)


def test_a_case_is_named_without_the_number_of_its_first_channel(tmp_path: Path) -> None:
    put(tmp_path, "x_0000.nii", "x_0001.nii", "m.nii")
    layout = find_cases(table(tmp_path, "image_a,image_b,label", "x_0000.nii,x_0001.nii,m.nii"))
    assert [case.name for case in layout.cases] == ["x"]
    layout = find_cases(table(tmp_path, "class,image,label", "c,x_0000.nii,m.nii"))
    assert [case.name for case in layout.cases] == ["x_0000"]


def test_what_is_wrong_with_a_table_of_channels(tmp_path: Path) -> None:
    put(tmp_path, "1.nii", "2.nii", "m.nii")
    rows = [
        "1.nii,,m.nii",
        "1.nii,gone.nii,m.nii",
        "2.nii,2.png,m.nii",
        f"{'n' * 300}.nii,2.nii,m.nii",
        "2.nii,2.nii,m.nii",
    ]
    layout = find_cases(table(tmp_path, "image_a,image_b,label", *rows))
    assert [(one.code, one.got[:60]) for one in layout.problems] == [
        ("blank-field", "line 2 with no image_b"),
        ("missing-file", f"no such file (image_b in line 3 of {tmp_path}"[:60]),
        ("not-nifti-name", f"a name of another kind (image_b in line 4 of {tmp_path}"[:60]),
        ("missing-file", f"no such file (image_a in line 5 of {tmp_path}"[:60]),
        ("channel-twice", "2 channels of the case"),
    ]
    assert layout.cases == ()
    assert (
        "image_a twice"
        in only(
            find_cases(table(tmp_path, "image_a,image_a,label", "1.nii,2.nii,m.nii")), "csv-columns"
        ).got
    )


def test_a_table_without_class_needs_labels(tmp_path: Path) -> None:
    put(tmp_path, "1.nii")
    problem = only(find_cases(table(tmp_path, "image,label", "1.nii,")), "no-class")
    assert "no label in any row" in problem.got
