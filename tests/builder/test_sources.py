"""Recognising sources: every layout gives its cases, everything wrong is said with its path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from niicache_builder.cases import CaseFiles, Layout
from niicache_builder.sources import NO_LAYOUT, find_cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from niicache.errors import Problem

LAYOUTS = ["images-labels", "folder", "image-label-suffix", "case-folders", "table"]


def put(root: Path, *names: str) -> None:
    """Make files; not one of them is ever opened."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened")


def table(root: Path, *lines: str, name: str = "t.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n", "utf-8")
    return root / name


def only(layout: Layout, code: str) -> Problem:
    """Return the one problem there is."""
    assert [problem.code for problem in layout.problems] == [code]
    (problem,) = layout.problems
    assert problem.got
    assert problem.expected
    assert problem.hint
    return problem


def names(layout: Layout) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in layout.classes}
    for case in layout.cases:
        found[case.class_name].append(case.name)
    return found


def test_images_labels(tmp_path: Path) -> None:
    put(tmp_path, "b/images/2.nii.gz", "b/labels/2.nii", "b/images/1.nii", "b/labels/1.nii.gz")
    put(tmp_path, "a/images/x.hdr", "a/images/x.img", "a/labels/x.nii")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert layout.notes == ()
    assert (layout.name, layout.classes, layout.root) == ("images-labels", ("a", "b"), tmp_path)
    assert layout.reason == "2 class folders with images/ and labels/ in it: 3 images, 3 labels"
    assert layout.cases == (
        CaseFiles(class_name="a", name="x", images=("a/images/x.hdr",), label="a/labels/x.nii"),
        CaseFiles(class_name="b", name="1", images=("b/images/1.nii",), label="b/labels/1.nii.gz"),
        CaseFiles(class_name="b", name="2", images=("b/images/2.nii.gz",), label="b/labels/2.nii"),
    )


def test_folder(tmp_path: Path) -> None:
    put(tmp_path, "cat/2_image.nii.gz", "cat/1.img", "cat/1.hdr", "dog/1.NII.GZ")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert layout.name == "folder"
    assert "2 class folders" in layout.reason
    assert "3 images" in layout.reason
    assert layout.cases == (
        CaseFiles(class_name="cat", name="1", images=("cat/1.hdr",)),
        CaseFiles(class_name="cat", name="2_image", images=("cat/2_image.nii.gz",)),
        CaseFiles(class_name="dog", name="1", images=("dog/1.NII.GZ",)),
    )


def test_image_label_suffix(tmp_path: Path) -> None:
    put(tmp_path, "a/1_image.nii.gz", "a/1_label.nii", "a/1_image_image.nii", "a/1_image_label.nii")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert layout.name == "image-label-suffix"
    assert layout.reason.startswith("1 class folder with files ending in _image")
    assert layout.cases == (
        CaseFiles(class_name="a", name="1", images=("a/1_image.nii.gz",), label="a/1_label.nii"),
        CaseFiles(
            class_name="a",
            name="1_image",
            images=("a/1_image_image.nii",),
            label="a/1_image_label.nii",
        ),
    )


def test_case_folders(tmp_path: Path) -> None:
    put(tmp_path, "a/p1/image.nii.gz", "a/p1/label.hdr", "a/p1/label.img")
    put(tmp_path, "a/p0/image.nii", "a/p0/label.nii.gz")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert layout.name == "case-folders"
    assert layout.cases == (
        CaseFiles(class_name="a", name="p0", images=("a/p0/image.nii",), label="a/p0/label.nii.gz"),
        CaseFiles(class_name="a", name="p1", images=("a/p1/image.nii.gz",), label="a/p1/label.hdr"),
    )


def test_table(tmp_path: Path) -> None:
    put(tmp_path, "x/1.nii", "y/1.nii", "x/2.hdr", "x/2.img", "m.nii.gz")
    far = tmp_path.parent / f"{tmp_path.name}-far.nii"
    put(far.parent, far.name)
    source = table(
        tmp_path,
        "\ufeff Class ,image,label,group,age",
        "b,x/1.nii,m.nii.gz,p1,3",
        'b,./y//1.nii,"m.nii.gz",p2,4',
        "",
        "a, x/2.img ,m.nii.gz",
        f"a,{far},m.nii.gz,,",
    )
    layout = find_cases(source)
    assert layout.problems == ()
    assert (layout.name, layout.classes, layout.root) == ("table", ("a", "b"), tmp_path)
    assert "4 rows, columns class, image, label, group, 2 classes" in layout.reason
    assert layout.notes == ("columns ignored: 1, the first is 'age'",)
    label = "m.nii.gz"
    outside = f"../{far.name}"
    assert layout.cases == (
        CaseFiles(class_name="a", name="2", images=("x/2.hdr",), label=label),
        CaseFiles(class_name="a", name=far.name[:-4], images=(outside,), label=label),
        CaseFiles(class_name="b", name="x__1", images=("x/1.nii",), label=label, group="p1"),
        CaseFiles(class_name="b", name="y__1", images=("y/1.nii",), label=label, group="p2"),
    )


def test_a_table_with_no_label_at_all_makes_the_class_the_label(tmp_path: Path) -> None:
    put(tmp_path, "1.nii", "2.nii")
    layout = find_cases(table(tmp_path, "class,image,label", "a,1.nii,", "b,2.nii,"))
    assert layout.problems == ()
    assert [case.label for case in layout.cases] == [None, None]
    assert "the class is the label" in layout.reason


STEMS = st.text("abC01_- .é中", min_size=1, max_size=6).filter(
    lambda text: text == text.strip() and not text.startswith(".")
)
CLASSES = STEMS.filter(lambda text: not text.startswith("__") and text.strip("."))


@given(
    wanted=st.dictionaries(
        CLASSES,
        st.dictionaries(STEMS, st.sampled_from([".nii", ".nii.gz", ".hdr", ".hdr.gz"]), min_size=1),
        min_size=1,
        max_size=4,
    ).filter(lambda wanted: len({name.casefold() for name in wanted}) == len(wanted)),
    layout=st.sampled_from(LAYOUTS),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_classes_and_stems_come_back_from_every_layout(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, dict[str, str]], layout: str
) -> None:
    root = tmp_path_factory.mktemp("source")
    where: dict[str, Callable[[str, str], tuple[str, str]]] = {
        "images-labels": lambda c, s: (f"{c}/images/{s}", f"{c}/labels/{s}"),
        "folder": lambda c, s: (f"{c}/{s}", ""),
        "image-label-suffix": lambda c, s: (f"{c}/{s}_image", f"{c}/{s}_label"),
        "case-folders": lambda c, s: (f"{c}/{s}/image", f"{c}/{s}/label"),
        "table": lambda c, s: (f"{c}/{s}", f"labels/{c}/{s}"),
    }
    expected = []
    for class_name, stems in wanted.items():
        for stem, suffix in stems.items():
            image, label = (part and part + suffix for part in where[layout](class_name, stem))
            for file in filter(None, (image, label)):
                put(root, file, file.replace(".hdr", ".img"))
            expected.append((class_name, stem, image, label or None))
    # A class folder whose images happen to be called so is another layout, rightly.
    if layout == "folder" and any(
        {stem.rpartition("_")[2] for stem in stems if "_" in stem} >= {"image", "label"}
        for stems in wanted.values()
    ):
        return
    source = root
    if layout == "table":
        lines = [f'"{c}","{image}","{label}"' for c, _, image, label in expected]
        source = table(root, "class,image,label", *lines)
    found = find_cases(source)
    assert found.problems == ()
    assert found.name == layout
    assert found.classes == tuple(sorted(wanted))
    got = [(case.class_name, case.name, case.image, case.label) for case in found.cases]
    assert got == sorted(expected, key=lambda case: case[:2])


def test_sources_that_are_not_there_or_of_another_kind(tmp_path: Path) -> None:
    put(tmp_path, "a.txt")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, code in (
        ("absent", "source-missing"),
        ("a.txt", "source-kind"),
        ("a.txt/b", "source-missing"),
        ("pipe.csv", "source-kind"),
        ("x" * 300, "unreadable"),
    ):
        layout = find_cases(tmp_path / name)
        assert only(layout, code).path == f"{tmp_path}/{name}"
        assert (layout.name, layout.cases) == (NO_LAYOUT, ())


def test_no_class_folder(tmp_path: Path) -> None:
    assert only(find_cases(tmp_path), "no-class").path == str(tmp_path)
    put(tmp_path, "1.nii", "2.nii")
    assert [p.code for p in find_cases(tmp_path).problems] == ["misplaced-file", "no-class"]


@pytest.mark.parametrize(
    "sides",
    [
        ("images",),
        ("imagesTr", "imagesTs"),
        ("images", "labels", "imagesTr"),
        ("images", "labels", "masks"),
        ("images", "annotations"),
        ("imagesTr", "labelsTr", "imagesTs_pred"),
        ("imagesTr", "labelsTr", "imagesVal", "labelsVal"),
        ("imagesTr", "labelsTr", "imagesTs", "preview"),
    ],
)
def test_halves_that_are_no_pair_are_not_taken_for_classes(
    tmp_path: Path, sides: tuple[str, ...]
) -> None:
    put(tmp_path, *(f"{side}/1.nii.gz" for side in sides))
    layout = find_cases(tmp_path)
    assert only(layout, "no-class").path == str(tmp_path)
    assert layout.classes == ()


def test_a_source_that_is_a_cache(tmp_path: Path) -> None:
    put(tmp_path, "zarr.json", "a/1.nii")
    assert only(find_cases(tmp_path), "source-is-cache").path == str(tmp_path)


def test_a_cache_inside_the_source_is_ignored(tmp_path: Path) -> None:
    put(tmp_path, "a/1.nii", "out/zarr.json", "out/a/1.nii")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert layout.classes == ("a",)
    (note,) = layout.notes
    assert note.endswith(f"1, the first is {tmp_path}/out")


@pytest.mark.parametrize("files", [(), ("a/x.txt",), ("a/images/x.txt", "a/labels/x.txt")])
def test_empty_class(tmp_path: Path, files: tuple[str, ...]) -> None:
    put(tmp_path, "b/images/1.nii", "b/labels/1.nii", *files)
    (tmp_path / "a").mkdir(exist_ok=True)
    layout = find_cases(tmp_path)
    problem = only(layout, "empty-class")
    assert (problem.path, problem.class_name) == (f"{tmp_path}/a", "a")
    assert layout.classes == ("a", "b")


@pytest.mark.parametrize(
    ("whole", "lonely", "case"),
    [
        (("a/images/0.nii", "a/labels/0.nii"), "a/images/1.nii", "1"),
        (("a/images/0.nii", "a/labels/0.nii"), "a/labels/1.nii", "1"),
        (("a/0_image.nii", "a/0_label.nii"), "a/1_image.nii", "1"),
        (("a/0_image.nii", "a/0_label.nii"), "a/1_label.nii", "1"),
        (("a/0/image.nii", "a/0/label.nii"), "a/1/image.nii", "1"),
        (("a/0/image.nii", "a/0/label.nii"), "a/1/label.nii", "1"),
    ],
)
def test_unpaired(tmp_path: Path, whole: tuple[str, ...], lonely: str, case: str) -> None:
    put(tmp_path, *whole, lonely)
    have, lack = ("image", "label") if "image" in lonely else ("label", "image")
    layout = find_cases(tmp_path)
    problem = only(layout, f"unpaired-{have}")
    assert problem.path == f"{tmp_path}/{lonely}"
    assert problem.expected.startswith(f"{tmp_path}/{lonely[:-4].replace(have, lack)}.")
    assert (problem.class_name, problem.case) == ("a", case)
    assert names(layout) == {"a": ["0"]}


def test_images_without_a_labels_folder_are_each_unpaired(tmp_path: Path) -> None:
    put(tmp_path, "a/images/1.nii", "a/images/2.nii")
    codes = [problem.code for problem in find_cases(tmp_path).problems]
    assert codes == ["unpaired-image", "unpaired-image"]


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        (("a/1.nii", "a/1.nii.gz"), ("a/0.nii",)),
        (("a/1.nii", "a/1.hdr", "a/1.img"), ("a/0.nii",)),
        (("a/1.hdr", "a/1.img", "a/1.img.gz"), ("a/0.nii",)),
        (
            ("a/images/1.nii", "a/images/1.nii.gz", "a/labels/1.nii"),
            ("a/images/0.nii", "a/labels/0.nii"),
        ),
        (
            ("a/1_image.nii", "a/1_label.nii", "a/1_label.nii.gz"),
            ("a/0_image.nii", "a/0_label.nii"),
        ),
        (
            ("a/1/image.nii", "a/1/label.nii", "a/1/label.nii.gz"),
            ("a/0/image.nii", "a/0/label.nii"),
        ),
    ],
)
def test_duplicate_case(tmp_path: Path, files: tuple[str, ...], whole: tuple[str, ...]) -> None:
    put(tmp_path, *files, *whole)
    layout = find_cases(tmp_path)
    problem = only(layout, "duplicate-case")
    assert problem.path.startswith(f"{tmp_path}/a/")
    assert " and " in problem.got
    assert names(layout) == {"a": ["0"]}


@pytest.mark.parametrize("half", ["hdr", "img"])
def test_half_pair(tmp_path: Path, half: str) -> None:
    put(tmp_path, "a/0.nii", f"a/1.{half}")
    problem = only(find_cases(tmp_path), "half-pair")
    assert problem.path == f"{tmp_path}/a/1.{half}"
    assert problem.got == f"1.{half} without 1.{'img' if half == 'hdr' else 'hdr'}"


@pytest.mark.parametrize("name", ["__a", "a\\b", "a\nb", "a\x7f", "zarr.json", "README.txt"])
def test_class_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, "ok/1.nii", f"{name}/1.nii")
    if name != "zarr.json":  # a folder with one in it is a cache
        layout = find_cases(tmp_path)
        assert only(layout, "class-name").path == f"{tmp_path}/{name}"
        assert names(layout) == {"ok": ["1"]}
    source = table(tmp_path, "class,image,label", "ok,ok/1.nii,", f'"{name}",ok/1.nii,')
    assert only(find_cases(source), "class-name").class_name == name


@pytest.mark.parametrize("name", ["a/b", "..", "/"])
def test_class_name_that_only_a_table_can_hold(tmp_path: Path, name: str) -> None:
    put(tmp_path, "1.nii")
    layout = find_cases(table(tmp_path, "class,image,label", f"{name},1.nii,", "ok,1.nii,"))
    assert only(layout, "class-name").path == f"{tmp_path}/t.csv"
    assert names(layout) == {"ok": ["1"]}


@pytest.mark.parametrize(("one", "two"), [("Cat", "cat"), ("STRASSE", "straße"), ("é", "e\u0301")])
def test_class_name_case(tmp_path: Path, one: str, two: str) -> None:
    put(tmp_path, f"{one}/1.nii", f"{two}/2.nii", "dog/1.nii")
    layout = find_cases(tmp_path)
    problem = only(layout, "class-name-case")
    assert repr(one) in problem.got
    assert repr(two) in problem.got
    assert len(layout.classes) == 2


def test_a_class_that_differs_names_both_layouts(tmp_path: Path) -> None:
    put(tmp_path, "a/1.nii", "b/images/1.nii", "b/labels/1.nii", "c/images/1.nii", "c/labels/1.nii")
    put(tmp_path, "c/images/2.nii")
    layout = find_cases(tmp_path)
    assert [problem.code for problem in layout.problems] == ["mixed-layouts", "unpaired-image"]
    problem = layout.problems[0]
    assert problem.path == f"{tmp_path}/a"
    assert "layout folder" in problem.got
    assert "layout images-labels" in problem.expected
    assert problem.expected.endswith(f"{tmp_path}/b")
    assert names(layout) == {"a": [], "b": ["1"], "c": ["1"]}
    assert layout.name == "images-labels"


@pytest.mark.parametrize(
    ("whole", "inner"),
    [
        ((), "a/g"),
        (("a/1.nii",), "a/g"),
        (("a/images/1.nii", "a/labels/1.nii"), "a/g"),
        (("a/images/1.nii", "a/labels/1.nii"), "a/images/g"),
        (("a/1_image.nii", "a/1_label.nii"), "a/g"),
        (("a/1/image.nii", "a/1/label.nii"), "a/1/g"),
    ],
)
@pytest.mark.parametrize("deeper", ["", "/h/i"])
def test_nested_folder(tmp_path: Path, whole: tuple[str, ...], inner: str, deeper: str) -> None:
    put(tmp_path, *whole, f"{inner}{deeper}/x.nii", f"{inner}{deeper}/y.nii")
    problem = only(find_cases(tmp_path), "nested-folder")
    assert problem.path == f"{tmp_path}/{inner}"
    assert "2 NIfTI files" in problem.got
    assert "CSV" in problem.hint


@pytest.mark.parametrize(
    ("whole", "loose"),
    [
        (("a/1.nii",), "x.nii"),
        (("a/images/1.nii", "a/labels/1.nii"), "a/x.nii"),
        (("a/1_image.nii", "a/1_label.nii"), "a/x.nii"),
        (("a/1/image.nii", "a/1/label.nii"), "a/x.nii"),
        (("a/1/image.nii", "a/1/label.nii"), "a/1/t2.nii"),
    ],
)
def test_misplaced_file(tmp_path: Path, whole: tuple[str, ...], loose: str) -> None:
    put(tmp_path, *whole, loose)
    layout = find_cases(tmp_path)
    assert only(layout, "misplaced-file").path == f"{tmp_path}/{loose}"
    assert names(layout) == {"a": ["1"]}


def test_empty_case(tmp_path: Path) -> None:
    put(tmp_path, "a/1/image.nii", "a/1/label.nii", "a/2/notes.txt")
    problem = only(find_cases(tmp_path), "empty-case")
    assert (problem.path, problem.case) == (f"{tmp_path}/a/2", "2")


def test_links_are_followed_and_counted_and_dangling_ones_are_problems(tmp_path: Path) -> None:
    put(tmp_path, "far/x.nii", "far/more/1.nii")
    source = tmp_path / "source"
    put(source, "a/0.nii")
    (source / "a" / "1.nii").symlink_to(tmp_path / "far" / "x.nii")
    (source / "b").symlink_to(tmp_path / "far" / "more")
    (source / "a" / "2.nii").symlink_to("nowhere")
    layout = find_cases(source)
    assert only(layout, "dangling-link").path == f"{source}/a/2.nii"
    assert names(layout) == {"a": ["0", "1"], "b": ["1"]}
    assert layout.notes == (f"symlinks followed: 2, the first is {source}/a/1.nii",)


def test_a_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    put(tmp_path, "a/0.nii")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert only(find_cases(tmp_path), "folder-loop").path == f"{tmp_path}/a/up"


def test_hidden_is_ignored_in_silence_and_the_rest_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "a/1.nii", "a/.2.nii", ".git/x.nii", "__MACOSX/a/1.nii", "a/._1.nii")
    put(tmp_path, "readme.md", "a/1.json", "a/2.mgz")
    layout = find_cases(tmp_path)
    assert layout.problems == ()
    assert names(layout) == {"a": ["1"]}
    (note,) = layout.notes
    assert note == f"files that are not NIfTI ignored: 3, the first is {tmp_path}/a/1.json"


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    put(tmp_path, "a/1.nii")
    (tmp_path / "a" / os.fsdecode(b"\xff.nii")).write_bytes(b"")
    problem = only(find_cases(tmp_path), "file-name")
    assert str(problem).encode("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_unreadable_folder(tmp_path: Path) -> None:
    put(tmp_path, "a/1.nii", "a/deep/1.txt")
    (tmp_path / "a" / "deep").chmod(0)
    assert only(find_cases(tmp_path), "unreadable-folder").path == f"{tmp_path}/a/deep"


def test_a_relative_source_is_named_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "s/a/images/1.nii")
    monkeypatch.chdir(tmp_path)
    assert only(find_cases(Path("s")), "unpaired-image").path == "s/a/images/1.nii"
    put(tmp_path, "1.nii")
    table(Path(), "class,image,label", "a,1.nii,", f"a,{tmp_path}/s/a/images/1.nii,", "b,0.nii,")
    layout = find_cases(Path("t.csv"))
    assert only(layout, "missing-file").path == "0.nii"
    assert [case.image for case in layout.cases] == ["1.nii", "s/a/images/1.nii"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("class,image", "class, image: without label"),
        ("class;image;label", "class;image;label: without class, image, label"),
        ("Data/A.nii,Mask/A.nii", "columns Data/A.nii, Mask/A.nii: without class"),
        ("", "an empty file"),
        ("class,image,label,image", "image twice"),
    ],
)
def test_csv_columns(tmp_path: Path, header: str, said: str) -> None:
    problem = only(find_cases(table(tmp_path, header, "")), "csv-columns")
    assert said in problem.got
    assert "class, image, label" in problem.expected


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_csv_with_another_separator(tmp_path: Path, mark: str, name: str) -> None:
    source = table(tmp_path, mark.join(("class", "image", "label")), mark.join("abc"))
    assert name in only(find_cases(source), "csv-columns").hint


@pytest.mark.parametrize("text", ["", "A/1.nii,B/1.nii\n", "class;image;label\n"])
def test_csv_without_a_known_column(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    layout = find_cases(tmp_path / "t.csv")
    assert layout.reason == "a CSV file with none of the columns class, image, label, group"
    assert layout.notes == ()


def test_csv_syntax(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_bytes(b"class,image,label\n\xff,1.nii,\n")
    assert "UTF-8" in only(find_cases(source), "csv-syntax").hint
    source.write_bytes(b'class,image,label\n"a"b,1.nii,\n')
    only(find_cases(source), "csv-syntax")


def test_csv_without_rows(tmp_path: Path) -> None:
    only(find_cases(table(tmp_path, "class,image,label")), "no-class")


def test_every_bad_row_is_said(tmp_path: Path) -> None:
    put(tmp_path, "1.nii", "2.nii", "l.nii", "3.hdr", "d.nii/x")
    source = table(
        tmp_path,
        "class,image,label",
        "a,1.nii,l.nii",
        ",2.nii,l.nii",
        "a,,",
        "a,2.nii,l.nii,extra",
        "a,absent.nii,gone.nii",
        "a,3.hdr,l.nii",
        "a,2.png,l.nii",
        "a,d.nii,l.nii",
        "a,zero\0.nii,l.nii",
    )
    layout = find_cases(source)
    found = [
        (problem.code, problem.path.removeprefix(f"{tmp_path}/")) for problem in layout.problems
    ]
    assert found == [
        ("csv-row", "t.csv"),
        ("blank-field", "t.csv"),
        ("blank-field", "t.csv"),
        ("missing-file", "absent.nii"),
        ("missing-file", "gone.nii"),
        ("missing-file", "3.img"),
        ("not-nifti-name", "2.png"),
        ("missing-file", "d.nii"),
        ("missing-file", "zero\0.nii"),
    ]
    assert "line 3 with no class" in layout.problems[1].got
    assert "line 4 with no image and no label" in layout.problems[2].got
    assert "line 6" in layout.problems[3].got
    assert names(layout) == {"a": ["1"]}


def test_duplicate_rows(tmp_path: Path) -> None:
    put(tmp_path, "1.nii", "d/2.nii", "d/2.nii.gz", "e/3.nii")
    rows = ["a,1.nii,", "a,./1.nii,", "a,d/2.nii,", "a,d/2.nii.gz,", "a,e/3.nii,", "b,1.nii,"]
    layout = find_cases(table(tmp_path, "class,image,label", *rows))
    assert [problem.code for problem in layout.problems] == ["duplicate-case"] * 2
    assert [problem.case for problem in layout.problems] == ["1", "d__2"]
    assert "lines 2, 3" in layout.problems[0].got
    assert names(layout) == {"a": ["3"], "b": ["1"]}


def test_links_in_a_table_are_counted(tmp_path: Path) -> None:
    put(tmp_path, "1.nii")
    (tmp_path / "2.nii").symlink_to("1.nii")
    layout = find_cases(table(tmp_path, "class,image,label", "a,1.nii,", "a,2.nii,"))
    assert layout.notes == (f"symlinks followed: 1, the first is {tmp_path}/2.nii",)


def test_labels_beside_images_are_not_images(tmp_path: Path) -> None:
    stems = ("c0", "c0_label", "c1", "c1-seg", "alone_mask")
    put(tmp_path, *(f"a/{stem}.nii.gz" for stem in stems))
    found = find_cases(tmp_path)
    named = {(p.code, p.case) for p in found.problems}
    assert named == {("looks-like-label", "c0_label"), ("looks-like-label", "c1-seg")}


@pytest.mark.parametrize("field", ["name", "group"])
def test_a_text_that_no_reader_takes_is_refused(tmp_path: Path, field: str) -> None:
    put(tmp_path, "a.nii", "b.nii")
    if field == "group":
        source = table(tmp_path, "class,image,label,group", "A,a.nii,," + "g" * 5000, "A,b.nii,,g")
        problem = only(find_cases(source), "text-too-long")
        assert problem.got == "a group of 5,000 bytes"
        assert [case.name for case in find_cases(source).cases] == ["b"]
        return
    put(tmp_path, "m.nii")
    (tmp_path / "dataset.json").write_text(
        json.dumps({"dataset": {"n" * 5000: {"images": ["a.nii"], "label": "m.nii"}}})
    )
    found = find_cases(tmp_path)
    assert "text-too-long" in [problem.code for problem in found.problems]
    assert found.cases == ()
