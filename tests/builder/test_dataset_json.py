"""``dataset.json`` of nnU-Net and of the Decathlon, by names alone; hostile ones too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sources import only, put

from niicache_builder.cases import CaseFiles, Layout
from niicache_builder.cli.main import main
from niicache_builder.sources import dataset_json, find_cases

if TYPE_CHECKING:
    from pathlib import Path

V2 = {"channel_names": {"0": "T2", "1": "ADC"}, "file_ending": ".nii.gz", "numTraining": 1}
ONE = ("imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")


def say(root: Path, document: object) -> Path:
    """Write dataset.json, as JSON unless it is bytes."""
    root.mkdir(parents=True, exist_ok=True)
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    (root / "dataset.json").write_bytes(data)
    return root


def listing(*pairs: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    return {"training": [{"image": image, "label": label} for image, label in pairs], **more}


def codes(layout: Layout) -> list[tuple[str, str]]:
    return sorted((problem.code, problem.case) for problem in layout.problems)


def test_version_2(tmp_path: Path) -> None:
    put(tmp_path, *ONE, "imagesTr/._a_0000.nii.gz", "imagesTs/b_0000.nii.gz", "labelsTs/b.nii.gz")
    layout = find_cases(say(tmp_path, V2))
    assert layout.problems == ()
    assert (layout.name, layout.classes, layout.table) == ("dataset-json", ("all",), "dataset.json")
    assert layout.channels == ("T2", "ADC")
    assert layout.cases == (
        CaseFiles(class_name="all", name="a", images=ONE[:2], label="labelsTr/a.nii.gz"),
    )
    assert [note.split(":")[0] for note in layout.notes] == [
        "imagesTs left out",
        "labelsTs left out",
    ]


def test_the_number_of_a_case_is_not_that_of_a_channel(tmp_path: Path) -> None:
    names = ("c_0001", "c")
    for name in names:
        put(tmp_path, *(f"imagesTr/{name}_{c:04}.nii.gz" for c in (0, 1)))
        put(tmp_path, f"labelsTr/{name}.nii.gz")
    # "c_0001" is a channel of c here; the case c_0001 has two of its own.
    layout = find_cases(say(tmp_path, V2 | {"numTraining": 2}))
    assert layout.problems == ()
    assert {case.name: len(case.images) for case in layout.cases} == {"c": 2, "c_0001": 2}


@pytest.mark.parametrize(
    ("gone", "more", "problems"),
    [
        ("imagesTr/b_0001.nii.gz", (), [("missing-channel", "b")]),
        ("imagesTr/b_0000.nii.gz", (), [("missing-channel", "b")]),
        ("labelsTr/b.nii.gz", (), [("unpaired-image", "b")]),
        ("", ("labelsTr/c.nii.gz",), [("unpaired-label", "c")]),
        ("", ("imagesTr/b_0002.nii.gz",), [("channel-count", "b")]),
        ("", ("imagesTr/b.nii.gz",), [("misplaced-file", "")]),
        ("", ("imagesTr/b_0001.nii",), [("misplaced-file", "")]),
        ("", ("imagesTr/more/c_0000.nii.gz",), [("nested-folder", "")]),
        (
            "imagesTr/b_0000.nii.gz",
            ("labelsTr/c.nii.gz",),
            [("missing-channel", "b"), ("unpaired-label", "c")],
        ),
    ],
)
def test_what_is_wrong_with_the_files_of_version_2(
    tmp_path: Path, gone: str, more: tuple[str, ...], problems: list[tuple[str, str]]
) -> None:
    put(tmp_path, *ONE, *(name.replace("/a", "/b") for name in ONE), *more)
    (tmp_path / gone).unlink() if gone else None
    layout = find_cases(say(tmp_path, V2))
    assert codes(layout) == problems
    assert {case.name for case in layout.cases} >= {"a"}
    for problem in layout.problems:
        assert str(tmp_path) in problem.path
        if problem.code == "missing-channel":
            assert problem.path == f"{tmp_path}/{gone.removesuffix('.nii.gz')}"


def test_a_count_that_differs_is_a_note(tmp_path: Path) -> None:
    put(tmp_path, *ONE)
    layout = find_cases(say(tmp_path, V2 | {"numTraining": 32}))
    assert layout.problems == ()
    assert layout.notes == ("numTraining of dataset.json is 32, but 1 case there",)


def test_version_1_and_the_decathlon_list_their_cases(tmp_path: Path) -> None:
    put(tmp_path, *ONE, "imagesTr/m.nii.gz", "labelsTr/m.nii.gz", "imagesTr/rest.nii.gz")
    put(tmp_path, "imagesTr/p.hdr", "imagesTr/p.img", "labelsTr/p.nii")
    document = listing(
        ("./imagesTr/a.nii.gz", "./labelsTr/a.nii.gz"),
        ("./imagesTr/m.nii.gz", "./labelsTr/m.nii.gz"),
        ("imagesTr//p.img", "labelsTr/p.nii"),
        modality={"0": "T2", "1": "ADC"},
        test=["./imagesTs/x.nii.gz"],
        numTraining=3,
    )
    layout = find_cases(say(tmp_path, document))
    assert layout.problems == ()
    assert {case.name: (case.images, case.label) for case in layout.cases} == {
        "a": (ONE[:2], ONE[2]),
        "m": (("imagesTr/m.nii.gz",), "labelsTr/m.nii.gz"),
        "p": (("imagesTr/p.hdr",), "labelsTr/p.nii"),
    }
    assert layout.notes == (
        "1 case under 'test' of dataset.json left out",
        f"files that dataset.json does not list: 1, the first is {tmp_path}/imagesTr/rest.nii.gz",
    )


def test_lists_of_images_and_names_of_cases(tmp_path: Path) -> None:
    put(tmp_path, "x/t1.nii", "x/t2.nii", "y/t1.nii", "y/t2.nii", "x/m.nii", "y/m.nii")
    named = {
        name: {"images": [f"{name}/t2.nii", f"{name}/t1.nii"], "label": f"{name}/m.nii"}
        for name in "yx"
    }
    mapped = find_cases(say(tmp_path, V2 | {"numTraining": 2, "dataset": named}))
    listed = find_cases(
        say(tmp_path, listing(*((one["images"], one["label"]) for one in named.values())))
    )
    for layout, names in ((mapped, ["x", "y"]), (listed, ["x__t2", "y__t2"])):
        assert layout.problems == ()
        assert [case.name for case in layout.cases] == names
        images = [case.images for case in layout.cases]
        assert images == [("x/t2.nii", "x/t1.nii"), ("y/t2.nii", "y/t1.nii")]


def test_every_entry_that_is_wrong_is_said(tmp_path: Path) -> None:
    put(tmp_path, *ONE, "imagesTr/b.nii.gz", "labelsTr/b.nii.gz")
    good = ("imagesTr/b.nii.gz", "labelsTr/b.nii.gz")
    document = listing(
        *(good, good, ("imagesTr/gone.nii.gz", "labelsTr/lost.nii.gz")),
        *((f"imagesTr/{'n' * 300}.nii", good[1]), ("../b.nii.gz", good[1]), (5, good[1])),
        *((good[0], None), (good[0], "/etc/b.nii"), ("imagesTr/a.png", good[1]), ([], good[1])),
        *(("imagesTr/\ud800.nii", good[1]), ("imagesTr/z\0.nii", good[1]), ("", good[1])),
        modality={"0": "T2"},
        numTraining="many",
    )
    document["training"] += ["text", None, {}]
    layout = find_cases(say(tmp_path, document))
    assert [case.name for case in layout.cases] == ["b"]
    told = [problem.got for problem in layout.problems if problem.code == "dataset-json"]
    for number in range(4, 16):
        assert any(f"training[{number}]" in got for got in told), number
    assert sum("training[15]" in got for got in told) == 2  # neither image nor label
    rest = [problem for problem in layout.problems if problem.code != "dataset-json"]
    assert [(one.code, one.case[:4]) for one in rest] == [
        ("duplicate-case", "b"),
        ("missing-file", "gone"),
        ("missing-file", "gone"),
        ("missing-file", "nnnn"),
    ]
    assert any("numTraining" in got for got in told)
    for problem in layout.problems:
        assert str(problem).encode()


def test_version_2_that_lists_a_case_without_a_channel(tmp_path: Path) -> None:
    put(tmp_path, *ONE)
    entry = {"images": [ONE[0]], "label": ONE[2]}
    layout = find_cases(say(tmp_path, V2 | {"dataset": {"a": entry}}))
    problem = only(layout, "missing-channel")
    assert (problem.path, problem.case) == (f"{tmp_path}/imagesTr/a_0001", "a")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file_ending": ".png"}, "file_ending '.png'"),
        ({"file_ending": 5}, "file_ending 5"),
        ({"file_ending": "_0000.nii.gz"}, "file_ending '_0000.nii.gz'"),
        ({"channel_names": 5}, "channel_names 5"),
        ({"channel_names": {"0": "T2", "2": "ADC"}}, "channel_names numbered '0', '2'"),
        ({"channel_names": {"0": 5}}, "channel_names dict"),
        ({"channel_names": {"0": "x" * 300}}, "channel_names dict"),
        ({"channel_names": {str(n): "" for n in range(10_001)}}, "channel_names dict of 10,001"),
        ({"numTraining": 1.5}, "numTraining 1.5"),
        ({"numTraining": 10**30}, "numTraining a number"),
        ({"dataset": []}, "dataset list"),
        ({"dataset": {"a\0": {"images": [ONE[0], ONE[1]], "label": ONE[2]}}}, "as the name"),
    ],
)
def test_members_of_the_wrong_kind(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    put(tmp_path, *ONE)
    layout = find_cases(say(tmp_path, V2 | change))
    (problem,) = (one for one in layout.problems if one.code == "dataset-json")
    assert said in problem.got
    assert problem.path == f"{tmp_path}/dataset.json"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON text"),
        (b"\xff\xfe", "no JSON text"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"training":' * 100_000, "nested too deeply"),
        (b'{"training": [], "training": []}', "comes twice"),
        (b'{"numTraining": ' + b"9" * 5000 + b', "training": []}', "no JSON text"),
        (b"[]", "list of 0"),
        (b'{"training": []} ', "no case"),
        (b'{"training": [' + b"7," * 5000 + b"7]}", "4,901 more of this kind"),
        (b'{"training": []' + b" " * 2000 + b"}", "more than 16,777,216 bytes"),
    ],
    ids=range(10),
)
def test_hostile_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str
) -> None:
    if said.startswith("more than"):
        monkeypatch.setattr(dataset_json, "MOST_BYTES", 2000)
    put(tmp_path, *ONE)  # which are there, and nobody may guess that they are meant
    layout = find_cases(say(tmp_path, data))
    assert layout.cases == ()
    assert any(said in problem.got for problem in layout.problems)
    assert len(layout.problems) <= 101
    done = CliRunner().invoke(main, ["build", str(tmp_path), str(tmp_path.with_name("c"))])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["image", "images", "label", "0", "a"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    document=st.dictionaries(
        st.sampled_from([*V2, "dataset", "modality", "training", "test", "labels"]), JSON
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_it_says_there_is_a_layout(tmp_path: Path, document: dict[str, Any]) -> None:
    layout = find_cases(say(tmp_path, document))
    assert layout.problems or layout.cases


def test_a_mark_of_byte_order_is_no_fault(tmp_path: Path) -> None:
    put(tmp_path, *ONE)
    layout = find_cases(say(tmp_path, b"\xef\xbb\xbf" + json.dumps(V2).encode()))
    assert layout.problems == ()


@pytest.mark.parametrize("document", [{}, {"name": "mine", "labels": ["cat"]}])
def test_another_file_of_that_name_is_ignored(tmp_path: Path, document: dict[str, Any]) -> None:
    put(tmp_path, "cat/1.nii", "dog/1.nii")
    layout = find_cases(say(tmp_path, document))
    assert (layout.name, layout.classes, layout.problems) == ("folder", ("cat", "dog"), ())


def test_one_file_is_not_two_channels(tmp_path: Path) -> None:
    put(tmp_path, *ONE)
    images = ["imagesTr/a_0000.nii.gz", "imagesTr/a_0000.nii.gz"]
    entry = {"images": images, "label": "labelsTr/a.nii.gz"}
    layout = find_cases(say(tmp_path, {"dataset": {"a": entry}}))
    assert codes(layout) == [("channel-twice", "a")]
    assert layout.cases == ()
