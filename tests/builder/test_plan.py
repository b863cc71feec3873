"""Plans: what is guessed and why, what problems do, what is written again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from building import build0, case, folders, header, masks, scanned, shards, vectors, write
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import OptionError, Problem, SourceError
from niicache.format.facts import CaseFacts
from niicache.format.manifest import SkippedCase
from niicache_builder import BuildOptions, plan_build
from niicache_builder.options import CODECS
from niicache_builder.plan import Plan, Previous, make_plan
from niicache_builder.report.plan import plan_json, plan_text
from niicache_builder.room import disk_bytes

if TYPE_CHECKING:
    from niicache_builder.scan import CaseScan

PLANE = header((45, 45, 3))
STOP, SKIP = BuildOptions(), BuildOptions(on_error="skip")


def facts_of(one: CaseScan) -> CaseFacts:
    """Return facts of a case, as far as a plan looks at them."""
    zeros = (0.0,)
    return CaseFacts(
        name=one.files.name,
        key="",
        group="",
        image=one.files.images,
        image_size=(one.image.size,),
        image_mtime_ns=(one.image.mtime_ns,),
        image_hash=("",),
        label="",
        label_size=0,
        label_mtime_ns=0,
        label_hash="",
        source_shape=one.image.shape,
        box_start=(0,),
        box_stop=(0,),
        affine=one.image.affine,
        spacing=one.image.spacing,
        slope=(1.0,),
        inter=(0.0,),
        nonfinite=(0,),
        minimum=zeros,
        maximum=zeros,
        mean=zeros,
        std=zeros,
        percentiles=(zeros,),
        label_count=(),
    )


def previous(plan: Plan, *, skipped: tuple[SkippedCase, ...] = ()) -> Previous:
    """Return the cache that a plan led to."""
    cases = {c.identity: c for c in plan.scan.cases}
    slots = {
        name: tuple(facts_of(cases[name, held]) if held else None for held in names)
        for name, names in plan.slots.items()
    }
    return Previous(recipe_digest=plan.recipe.digest, slots=slots, skipped=skipped)


def everyone(plan: Plan) -> frozenset[tuple[str, str]]:
    return frozenset(c.identity for c in plan.scan.cases)


def test_what_is_guessed_is_explained() -> None:
    cases = [case(f"{i}", PLANE, header((4,), dtype="float32")) for i in range(3)]
    plan = make_plan(scanned(*cases), STOP)
    assert plan.recipe.spatial_dims == 2
    assert plan.recipe.label_kind == "vector"
    assert plan.recipe.image.shape == (45, 45, 3)
    assert plan.recipe.label is not None
    assert plan.recipe.label.shape == (4,)
    assert plan.decisions.spatial_dims.startswith("2: the third axis has 3 entries")
    assert plan.decisions.label_kind == "vector: 3 of 3 labels have one axis"
    assert "largest case" in plan.decisions.shape
    assert plan.decisions.dtype == "images are stored as int16"
    assert "are read at once" in plan.decisions.chunk
    text = plan_text(plan)
    for words in (plan.decisions.spatial_dims, plan.decisions.label_kind, "3 cases in 1"):
        assert words.split(":")[0] in text


def test_what_is_said_is_not_guessed() -> None:
    cases = [case(f"{i}", PLANE, header((45, 45, 3), dtype="uint8")) for i in range(3)]
    options = BuildOptions(
        spatial_dims=3, labels="mask", shape=(64, 64, 3), dtype="float32", chunk=(2,)
    )
    plan = make_plan(scanned(*cases), options)
    assert plan.recipe.image.shape == (64, 64, 3, 1)
    assert plan.recipe.image.dtype == "float32"
    assert plan.recipe.image.chunk[0] == 2
    assert [plan.decisions.spatial_dims, plan.decisions.label_kind] == [
        "3: as --spatial-dims says",
        "mask: as --labels says",
    ]
    assert "as --shape says" in plan.decisions.shape
    assert "as --dtype says" in plan.decisions.dtype
    assert "as --chunk says" in plan.decisions.chunk
    plan = make_plan(scanned(*cases), BuildOptions(shape=(64, 64), labels="folder"))
    assert plan.recipe.image.shape == (64, 64, 3)
    assert plan.recipe.label is None
    with pytest.raises(OptionError, match="got 3 numbers, expected 2"):
        make_plan(scanned(*cases), BuildOptions(shape=(64, 64, 64)))


def test_scaled_files_are_counted() -> None:
    cases = [case("x"), case("y", header(slope=2.0)), case("z", header(inter=-1024.0))]
    plan = make_plan(scanned(*cases), STOP)
    assert plan.recipe.image.dtype == "float32"
    assert "2 of them with scl_slope or scl_inter" in plan.decisions.dtype


@pytest.mark.parametrize(
    ("image", "label", "said"),
    [
        ({"slope": 2.0}, {}, (True, False)),
        ({"dtype": "float64"}, {"dtype": "float64"}, (True, True)),
        ({"dtype": "float32"}, {"dtype": "float32"}, (False, False)),
        ({"dtype": "int32"}, {"inter": 1.0}, (False, True)),
    ],
)
def test_what_is_rounded_is_said(
    image: dict[str, Any], label: dict[str, Any], said: tuple[bool, bool]
) -> None:
    cases = [case("x", header(**image), label=header((2,), **label))]
    decisions = make_plan(scanned(*cases), STOP).decisions
    found = (decisions.dtype, decisions.label_kind)
    assert tuple("rounded to float32" in text for text in found) == said
    assert ("--dtype float64" in decisions.dtype) == said[0]
    unread = make_plan(scanned(*cases), BuildOptions(labels="folder")).decisions
    assert "rounded" not in unread.label_kind


BROKEN = Problem(
    code="truncated", path="source/a/x", got="1", expected="2", hint="h", class_name="a", case="x"
)


def test_stop_raises_every_problem() -> None:
    bad = case("bad", header((5, 4, 3, 2)))
    source = scanned(case("y"), case("z"), bad, problems=(BROKEN,))
    with pytest.raises(SourceError) as error:
        make_plan(source, STOP)
    assert {p.code for p in error.value.problems} == {"truncated", "channels-differ"}
    assert str(error.value).startswith("2 problems\n")


def test_skip_leaves_out_and_says_so() -> None:
    bad = case("bad", header((5, 4, 3, 2)))
    source = scanned(case("y"), case("z"), bad, problems=(BROKEN,))
    plan = make_plan(source, SKIP)
    assert {(s.case, s.code) for s in plan.skipped} == {
        ("x", "truncated"),
        ("bad", "channels-differ"),
    }
    assert sorted(filter(None, plan.slots["a"])) == ["y", "z"]
    assert plan.recipe.image.shape[-1] == 1
    assert "skipped  2 cases" in plan_text(plan)
    assert [p["code"] for p in plan_json(plan)["problems"]] == ["truncated", "channels-differ"]


def test_skip_that_leaves_nothing() -> None:
    with pytest.raises(SourceError, match="truncated"):
        make_plan(scanned(problems=(BROKEN,)), SKIP)
    for options in (STOP, SKIP):
        with pytest.raises(SourceError, match="no-case"):
            make_plan(scanned(), options)


def test_an_option_that_does_not_go_with_the_source() -> None:
    with pytest.raises(OptionError, match="pad_value"):
        make_plan(scanned(case("x", header(dtype="uint8"))), BuildOptions(pad_value=-1024))


@given(st.integers(1, 12), st.data())
def test_only_what_changed_is_to_do(count: int, data: st.DataObject) -> None:
    cases = [case(f"{i}", class_name="ab"[i % 2]) for i in range(count)]
    first = make_plan(scanned(*cases), BuildOptions(chunk=(1,)))
    assert first.todo == first.units
    size = first.recipe.image.shard_cases
    before = previous(first)
    again = make_plan(
        scanned(*cases), BuildOptions(chunk=(1,)), previous=before, unchanged=everyone(first)
    )
    assert again.todo == ()
    assert again.slots == first.slots
    changed = data.draw(st.sampled_from(cases))
    plan = make_plan(
        scanned(*cases),
        BuildOptions(chunk=(1,)),
        previous=before,
        unchanged=everyone(first) - {changed.identity},
    )
    ((name, index),) = {(u.class_name, u.index) for u in plan.todo}
    assert name == changed.files.class_name
    assert index == first.slots[name].index(changed.files.name) // size


def test_another_recipe_makes_all_new() -> None:
    cases = [case(f"{i}") for i in range(5)]
    first = make_plan(scanned(*cases), STOP)
    plan = make_plan(
        scanned(*cases),
        BuildOptions(shape=(9, 9)),
        previous=previous(first),
        unchanged=everyone(first),
    )
    assert plan.todo == plan.units
    assert plan.previous is None


def test_a_unit_is_known_by_what_it_reads() -> None:
    one = case("x", header(), header(dtype="uint8"))
    others = [
        replace(one, images=(replace(one.image, mtime_ns=2),)),
        replace(one, images=(replace(one.image, size=2),)),
        replace(one, label=header(dtype="uint8", mtime_ns=2)),
        replace(one, files=replace(one.files, images=("elsewhere",))),
        replace(one, files=replace(one.files, class_name="b")),
        replace(one, files=replace(one.files, name="y")),
    ]
    ids = {make_plan(scanned(c), STOP).units[0].id for c in (one, *others)}
    assert len(ids) == 1 + len(others)
    assert make_plan(scanned(one), BuildOptions(shape=(9, 9))).units[0].id not in ids
    assert make_plan(scanned(one), STOP).units[0].id in ids


def failed(one: CaseScan) -> SkippedCase:
    size, mtime_ns = one.stamp
    return SkippedCase(
        class_name="a",
        case=one.files.name,
        path="p",
        code="gzip-damaged",
        got="g",
        expected="e",
        size=size,
        mtime_ns=mtime_ns,
    )


def test_what_failed_before_is_tried_again_only_when_something_changed() -> None:
    cases = [case(f"{i}") for i in range(4)]
    bad = cases[2]
    kept = [c for c in cases if c is not bad]
    before = previous(make_plan(scanned(*kept), SKIP), skipped=(failed(bad),))
    same = frozenset(c.identity for c in kept)

    def plan(*now: CaseScan, options: BuildOptions = SKIP) -> Plan:
        return make_plan(scanned(*now), options, previous=before, unchanged=same)

    again = plan(*cases)
    assert again.todo == ()
    assert again.skipped == (failed(bad),)
    # Another file, another recipe, or a build that does not skip: worth a new try.
    mended = replace(bad, images=(replace(bad.image, mtime_ns=9),))
    assert plan(cases[0], cases[1], mended, cases[3]).skipped == ()
    assert plan(*cases, options=STOP).skipped == ()
    assert plan(*cases, options=replace(SKIP, dtype="float32")).skipped == ()
    assert "2" in plan(*cases, options=replace(SKIP, dtype="float32")).slots["a"]


@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize("shape", [None, (40, 40)])
@pytest.mark.usefixtures("small_shards")
def test_the_disk_bytes_are_enough(tmp_path, codec, shape) -> None:
    source = folders(tmp_path / "s", {"a": 7, "b": 2}, shape=(20, 20, 3))
    # Noise does not compress, a plain image almost vanishes.
    write(source / "b" / "plain.nii.gz", np.zeros((20, 20, 3), "int16"))
    options = BuildOptions(workers=0, codec=codec, shape=shape)
    plan = plan_build(source, tmp_path / "c", options)
    build0(source, tmp_path / "c", codec=codec, shape=shape)
    written = {path: (tmp_path / "c" / path).stat().st_size for path in shards(tmp_path / "c")}
    assert len(written) == len(plan.units)
    for unit in plan.units:
        path = f"{unit.class_name}/image/c/{unit.index}/0/0/0"
        assert written[path] <= disk_bytes(unit, plan.recipe)
    assert sum(written.values()) <= plan.disk_bytes


def test_padding_that_is_stored_as_it_is_takes_room(tmp_path) -> None:
    source = folders(tmp_path / "s", {"a": 2}, shape=(4, 4))
    options = BuildOptions(workers=0, codec="none", shape=(500, 500))
    plan = plan_build(source, tmp_path / "c", options)
    assert plan.disk_bytes >= 2 * 500 * 500 * 2


def test_planning_writes_nothing(tmp_path) -> None:
    for make in (masks, vectors):
        source = make(tmp_path / make.__name__, {"a": 2, "b": 1})
        plan = plan_build(source, tmp_path / "c", STOP)
        assert len(plan.units) == 2
    assert not (tmp_path / "c").exists()
