"""Splits in a cache: kept, stable, no voxel touched for them, no image in two of them."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from building import build0, folders, live, shards, stamps, voxels, write

from niicache import open_cache
from niicache.errors import OptionError, SourceError
from niicache_builder import BuildOptions, plan_build, verify
from niicache_builder.cli.main import main
from niicache_builder.report.built import built_json, built_text
from niicache_builder.report.plan import plan_text

if TYPE_CHECKING:
    from pathlib import Path

SHARES = {"train": 0.6, "val": 0.4}


def sessions(root: Path, subjects: int, *, classes: tuple[str, ...] = ("a", "b")) -> Path:
    """Write two sessions of each subject, the second one in another class."""
    for subject in range(subjects):
        for session, name in enumerate(classes):
            path = root / name / f"sub-{subject:02}_ses-{session}.nii.gz"
            write(path, voxels(10 * subject + session, (5, 4, 3)))
    return root


def split_by_case(path: Path) -> dict[tuple[str, str], str]:
    cache = open_cache(path)
    return {case: name for name in cache.splits for case in cache.split(name)}


def test_every_case_is_in_one_split_and_subjects_stay_together(tmp_path: Path) -> None:
    source = sessions(tmp_path / "s", 12)
    built = build0(source, tmp_path / "c", split=SHARES, group_by=r"sub-(\w+?)_")
    cache, found = open_cache(tmp_path / "c"), split_by_case(tmp_path / "c")
    assert cache.splits == ("train", "val")
    assert set(found) == set(cache.cases)
    assert set(found.values()) == {"train", "val"}
    for view in cache:
        assert dict(zip(view.cases, view.splits, strict=True)) == {
            name: split for (owner, name), split in found.items() if owner == view.name
        }
        assert view.column("group").tolist() == [case[4:6] for case in view.cases]
    for subject in range(12):
        names = {
            split for (_, name), split in found.items() if name.startswith(f"sub-{subject:02}")
        }
        assert len(names) == 1
    told = built_json(built, "c")["splits"]
    assert {name: sum(classes.values()) for name, classes in told.items()} == {
        name: len(cache.split(name)) for name in cache.splits
    }
    assert f"split train: {len(cache.split('train'))} cases (a " in built_text(built, "c")
    assert verify(tmp_path / "c").problems == ()


def test_added_cases_and_other_orders_move_none(tmp_path: Path) -> None:
    small = sessions(tmp_path / "s", 6)
    build0(small, tmp_path / "c", split=SHARES)
    before = split_by_case(tmp_path / "c")
    sessions(small, 11)
    build0(small, tmp_path / "c", split=SHARES)
    grown = split_by_case(tmp_path / "c")
    assert before.items() <= grown.items()
    # The same cases found in another order, and a class less: as if only those had ever been.
    rows = [
        f"{name},{name}/{file},\n"
        for (name, case) in reversed(list(grown))
        for file in [f"{case}.nii.gz"]
    ]
    table = small / "table.csv"
    table.write_text("class,image,label\n" + "".join(rows))
    build0(table, tmp_path / "t", split=SHARES)
    assert split_by_case(tmp_path / "t") == grown
    shutil.rmtree(small / "a")
    table.unlink()
    build0(small, tmp_path / "d", split=SHARES)
    assert split_by_case(tmp_path / "d").items() <= grown.items()


def test_changing_the_split_writes_no_voxel(tmp_path: Path) -> None:
    source = sessions(tmp_path / "s", 4)
    plain = build0(source, tmp_path / "c")
    assert open_cache(tmp_path / "c").splits == ()
    before = stamps(tmp_path / "c")
    held = shards(tmp_path / "c")
    built = build0(source, tmp_path / "c", split=SHARES, group_by=r"sub-(\w+?)_")
    assert built.changed
    assert built.written == 0
    assert built.manifest.recipe.digest == plain.manifest.recipe.digest
    after = stamps(tmp_path / "c")
    assert {path: after[path] for path in held} == {path: before[path] for path in held}
    assert set(open_cache(tmp_path / "c")["a"].column("group")) == {f"{n:02}" for n in range(4)}
    assert not build0(source, tmp_path / "c", split=SHARES, group_by=r"sub-(\w+?)_").changed
    other = build0(source, tmp_path / "c", split=SHARES, split_seed="b", group_by=r"sub-(\w+?)_")
    assert (other.changed, other.written) == (True, 0)
    assert [w.code for w in other.warnings] == ["split-moved"]
    build0(source, tmp_path / "c")
    build0(source, tmp_path / "d")
    assert live(tmp_path / "c") == live(tmp_path / "d")


def test_options_that_move_cases_are_told_before_anything_is_written(tmp_path: Path) -> None:
    source = sessions(tmp_path / "s", 12)
    options = {"split": SHARES, "group_by": r"sub-(\w+?)_"}
    build0(source, tmp_path / "c", **options)
    before = split_by_case(tmp_path / "c")
    for now, expected in (
        (options, []),
        ({"split": SHARES}, [r"\d+ of 24 cases in another split"]),
        ({**options, "split": {"train": 0.9, "val": 0.1}}, [r"\d+ of 24 cases"]),
        ({}, ["no --split for a cache with splits train, val"]),
    ):
        plan = plan_build(source, tmp_path / "c", BuildOptions(workers=0, **now))  # type: ignore[arg-type]  # of several kinds
        told = [w.got for w in plan.warnings if w.code == "split-moved"]
        assert len(told) == len(expected)
        assert all(re.search(*pair) for pair in zip(expected, told, strict=True))
    (lost,) = plan_build(source, tmp_path / "c", BuildOptions(split=SHARES)).warnings
    build0(source, tmp_path / "c", split=SHARES)
    after = split_by_case(tmp_path / "c")
    moved = sum(before[case] != after[case] for case in before)
    assert lost.got == f"{moved} of 24 cases in another split"


def test_a_group_of_the_table_is_kept(tmp_path: Path) -> None:
    source = sessions(tmp_path / "s", 3)
    lines = [
        f"{name},{name}/sub-{n:02}_ses-{s}.nii.gz,,{'mine' if n == 1 else ''}"
        for n in range(3)
        for s, name in enumerate("ab")
    ]
    (source / "t.csv").write_text("\n".join(["class,image,label,group", *lines]))
    build0(source / "t.csv", tmp_path / "c", group_by=r"sub-(\w+?)_")
    assert open_cache(tmp_path / "c")["a"].column("group").tolist() == ["00", "mine", "02"]


def test_a_case_without_a_group_is_a_problem(tmp_path: Path) -> None:
    source = sessions(tmp_path / "s", 2)
    for name in ("a", "b"):
        write(source / name / "other.nii.gz", voxels(ord(name), (5, 4, 3)))
    with pytest.raises(SourceError) as caught:
        build0(source, tmp_path / "c", group_by=r"sub-(\w+?)_")
    assert {(p.code, p.class_name, p.case) for p in caught.value.problems} == {
        ("no-group", "a", "other"),
        ("no-group", "b", "other"),
    }
    built = build0(source, tmp_path / "c", group_by=r"sub-(\w+?)_", on_error="skip")
    assert len(built.manifest.skipped) == 2


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a source in which one image lies twice, in two splits."""
    source = folders(tmp_path / "s", {"a": 12})
    build0(source, tmp_path / "first", split=SHARES)
    cache = open_cache(tmp_path / "first")
    one, other = (source / "a" / f"{cache.split(name)[0][1]}.nii.gz" for name in SHARES)
    other.write_bytes(one.read_bytes())
    return source


def test_an_image_in_two_splits_is_refused_until_it_is_allowed_or_grouped(
    copied: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"in split 'train' there and 'val' here|'val' there"):
        build0(copied, tmp_path / "c", split=SHARES, on_duplicates="stop")
    assert not (tmp_path / "c" / "zarr.json").exists()
    # What was built is kept, and gets the groups of the next run.
    together = build0(
        copied, tmp_path / "c", split=SHARES, group_by=r"(case)", on_duplicates="stop"
    )
    assert together.resumed == len(together.plan.units)
    assert {w.code for w in together.warnings} == {"image-twice"}
    assert set(open_cache(tmp_path / "c")["a"].column("group")) == {"case"}
    allowed = build0(copied, tmp_path / "d", split=SHARES)
    assert [w.code for w in allowed.warnings] == ["image-in-two-splits"]
    with pytest.raises(SourceError):
        build0(copied, tmp_path / "c", split=SHARES, on_duplicates="stop")
    assert set(open_cache(tmp_path / "c")["a"].column("group")) == {"case"}


def test_the_plan_tells_the_splits(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 9, "b": 1})
    plan = plan_build(source, tmp_path / "c", BuildOptions(split=SHARES))
    lines = [line for line in plan_text(plan).splitlines() if line.startswith("split ")]
    assert [line.split(":")[0] for line in lines] == ["split train", "split val"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"split": {"train": 0.5}}, "split: got .*sum to 1"),
        ({"split": {"a b": 1.0}}, "split: got .*names such as"),
        ({"split_seed": "x"}, "split_seed: got 'x'"),
        ({"group_by": "sub"}, "group_by: got 'sub', expected a regular expression"),
        ({"group_by": "(sub"}, "group_by"),
        ({"group_by": "(a)(b)"}, "group_by"),
        ({"on_duplicates": "skip"}, "on_duplicates: got 'skip'"),
    ],
)
def test_options_that_are_none(options: dict[str, object], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        BuildOptions(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_the_command_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    source = sessions(tmp_path / "s", 8)
    call = ["build", str(source), str(tmp_path / "c"), "--workers", "0", "--json"]
    more = ["--split", "train=0.6, val=0.4", "--group-by", r"sub-(\w+?)_", "--split-seed", "7"]
    done = CliRunner().invoke(main, [*call, *more])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["splits"]
    assert sum(told["train"].values()) + sum(told["val"].values()) == 16
    assert open_cache(tmp_path / "c").manifest.split is not None
    for text in ("train=0.6", "train", "train=0.5,train=0.5", "train=x,val=1"):
        wrong = CliRunner().invoke(main, [*call, "--split", text])
        assert wrong.exit_code == 2
        assert "--split" in wrong.stderr
