"""Compression: what the user said, and for ``balanced`` the size of a case."""

from __future__ import annotations

import pytest
from building import case, header, scanned
from hypothesis import given
from hypothesis import strategies as st

from niicache.format.codec import Blosc
from niicache_builder import BuildOptions
from niicache_builder.arrays import plan_chunk
from niicache_builder.codecs import SMALL_BYTES, choose_codec
from niicache_builder.options import CODECS
from niicache_builder.plan import make_plan
from niicache_builder.report.plan import plan_json, plan_text

SIZES = st.integers(0, 2**40)
PLANE, VOLUME = (45, 45, 3), (96, 96, 96)
MASK = header((96, 96, 96), dtype="uint8")


@given(SIZES, st.sampled_from(["fast", "small", "none"]))
def test_a_preset_with_a_name_of_its_own_is_taken_at_its_word(nbytes: int, name: str) -> None:
    assert choose_codec(name, nbytes) == CODECS[name]


@given(SIZES)
def test_balanced_takes_its_time_over_small_cases_alone(nbytes: int) -> None:
    chosen = choose_codec("balanced", nbytes)
    assert isinstance(chosen, Blosc)
    assert chosen.cname == ("lz4hc" if nbytes <= SMALL_BYTES else "lz4")


@given(st.integers(1, 2 * SMALL_BYTES))
def test_a_case_is_small_where_several_share_a_chunk(nbytes: int) -> None:
    together = plan_chunk((nbytes,), 1)[0]
    assert (choose_codec("balanced", nbytes) == CODECS["balanced"]) == (together > 1)


@pytest.mark.parametrize(
    ("name", "shape", "label", "image_codec", "label_codec", "words"),
    [
        ("balanced", PLANE, header((4,), dtype="float32"), "lz4hc", "lz4hc", "cases are small"),
        ("balanced", VOLUME, MASK, "lz4", "lz4", "keep up with gunzip"),
        ("balanced", VOLUME, header((4,), dtype="float32"), "lz4", "lz4hc", "quick to read"),
        ("fast", PLANE, header((4,), dtype="float32"), "lz4", "lz4", "as --codec fast says"),
        ("small", VOLUME, MASK, "zstd", "zstd", "as --codec small says"),
    ],
)
def test_images_and_labels_are_judged_each_by_its_own_size(
    name: str, shape: tuple[int, ...], label: object, image_codec: str, label_codec: str, words: str
) -> None:
    plan = make_plan(scanned(case("a", header(shape), label)), BuildOptions(codec=name))
    image, other = plan.recipe.image.codec, plan.recipe.label.codec
    assert (image.cname, other.cname) == (image_codec, label_codec)
    assert words in plan.decisions.codec
    assert f"\ncodec    {plan.decisions.codec}\n" in plan_text(plan)
    assert plan_json(plan)["decisions"]["codec"] == plan.decisions.codec
