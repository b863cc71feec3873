"""The manifest and the root zarr.json that carries it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest
from helpers import flips
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache.errors import FormatError
from niicache.format.class_names import class_fault
from niicache.format.codec import Blosc
from niicache.format.facts import CODES, CROPPED
from niicache.format.manifest import (
    MAYBE,
    ArrayLayout,
    ClassEntry,
    FileEntry,
    Manifest,
    Recipe,
    SkippedCase,
    SplitRule,
    canonical,
)
from niicache.format.names import (
    ATTRIBUTE,
    FORMAT_VERSION,
    ROOT,
    Crop,
    Interpolation,
    LabelKind,
    PadMode,
)
from niicache.format.paths import shard_count, shards_of, small_files
from niicache.format.root import pack_root, unpack_root
from niicache.format.unpack import from_json
from niicache_builder.options import DTYPES

GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}

sizes = st.integers(1, 10**6)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
finite = st.floats(allow_nan=False, allow_infinity=False)
codecs = st.builds(
    Blosc,
    cname=st.sampled_from(["lz4", "lz4hc", "zstd"]),
    clevel=st.integers(0, 9),
    shuffle=st.sampled_from(["noshuffle", "shuffle", "bitshuffle"]),
)
entries = st.builds(FileEntry, size=st.integers(0, 2**63 - 1), sha256=digests)
skipped = st.builds(
    SkippedCase,
    class_name=names,
    case=names,
    path=names,
    code=names,
    got=names,
    expected=names,
    size=sizes,
    mtime_ns=st.integers(0, 2**63 - 1),
)


@st.composite
def fills(draw, dtype):
    if np.dtype(dtype).kind == "f":
        return draw(
            st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False, allow_infinity=False)
        )
    limits = np.iinfo(dtype)
    return draw(st.integers(int(limits.min), int(limits.max)))


@st.composite
def layouts_of(draw, shape, shards):
    dtype = draw(st.sampled_from(DTYPES))
    chunk = tuple(draw(st.integers(max(1, n // 5), n)) for n in shape)
    cases = draw(st.sampled_from([n for n in range(1, shards + 1) if shards % n == 0]))
    return ArrayLayout(
        dtype=dtype,
        shape=shape,
        chunk=(cases, *chunk),
        shard_cases=shards,
        fill=draw(fills(dtype)),
        codec=draw(st.none() | codecs),
    )


@st.composite
def recipes(draw):
    dims, kind = draw(st.sampled_from([2, 3])), draw(st.sampled_from(get_args(LabelKind)))
    shape, shards = (
        tuple(draw(st.integers(1, 40)) for _ in range(dims + 1)),
        draw(st.integers(1, 9)),
    )
    other = {"vector": shape[:1], "mask": (*shape[:-1], 1)}
    return Recipe(
        spatial_dims=dims,
        label_kind=kind,
        pad_mode=draw(st.sampled_from(get_args(PadMode))),
        image=draw(layouts_of(shape, shards)),
        label=None if kind == "folder" else draw(layouts_of(other[kind], shards)),
        **draw(preparations(dims)),
    )


@st.composite
def preparations(draw, dims):
    found = {"crop": draw(st.sampled_from([None, *get_args(Crop)]))}
    if draw(st.booleans()):
        lengths = st.floats(0, 1e6, exclude_min=True)
        found["spacing"] = tuple(draw(lengths) for _ in range(dims))
        found["interpolation"] = draw(st.sampled_from(get_args(Interpolation)))
    if dims == 3 and draw(st.booleans()):
        pairs = draw(st.permutations(["LR", "PA", "IS"]))
        found["orient"] = "".join(draw(st.sampled_from(pair)) for pair in pairs)
    return found


@st.composite
def class_entries(draw, name):
    slots = draw(st.integers(1, 20))
    return ClassEntry(name=name, cases=draw(st.integers(1, slots)), slots=slots)


@st.composite
def manifests(draw):
    named = st.lists(names.filter(lambda name: not class_fault(name)), min_size=1, max_size=3)
    found = tuple(draw(class_entries(name)) for name in sorted(set(draw(named))))
    values = tuple(sorted(set(draw(st.lists(finite, max_size=4)))))
    recipe, left_out = draw(recipes()), tuple(draw(st.lists(skipped, max_size=2)))
    codes = draw(st.sets(st.sampled_from(CODES)))
    columns = tuple(sorted(codes | set(() if recipe.crop is None else CROPPED)))
    return completed(recipe, found, values, left_out, columns)


def completed(recipe, found, values=(), left_out=(), columns=()):
    """Return the manifest of a cache, with files that no bytes have."""
    bare = Manifest(
        format_version=FORMAT_VERSION,
        recipe=recipe,
        classes=found,
        label_values=values,
        shards={},
        files={},
        skipped=left_out,
        columns=columns,
    )
    some = hashlib.sha256().hexdigest()
    files = {path: 2**40 for one in found for path, _ in shards_of(one, recipe)}
    files |= {path: 7 for one in found for path, _ in small_files(one, bare)}
    indexes = {one.name: range(shard_count(one.slots, recipe.image)) for one in found}
    return replace(
        bare,
        shards={f"{name}/{i}": some for name, count in indexes.items() for i in count},
        files={path: FileEntry(size=size, sha256=some) for path, size in files.items()},
    )


def sealed(attribute):
    """Return the text of a root whose digest holds, whatever the attribute says."""
    whole = {**GROUP, "attributes": {ATTRIBUTE: {**attribute, "digest": ""}}}
    whole["attributes"][ATTRIBUTE]["digest"] = hashlib.sha256(canonical(whole)).hexdigest()
    return (json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


@pytest.fixture(scope="module")
def small():
    layout = ArrayLayout(
        dtype="int16", shape=(4, 4, 1), chunk=(2, 4, 4, 1), shard_cases=4, fill=10999, codec=None
    )
    recipe = Recipe(
        spatial_dims=2, label_kind="folder", pad_mode="constant", image=layout, label=None
    )
    return completed(recipe, (ClassEntry(name="größe", cases=1, slots=2),), (0.5,))


@given(manifests())
def test_a_manifest_comes_back_as_itself(manifest):
    assert from_json(json.loads(json.dumps(manifest.to_json()))) == manifest
    assert unpack_root(pack_root(GROUP, manifest)) == manifest


@given(manifests())
def test_the_text_of_a_manifest_is_one(manifest):
    text = pack_root(GROUP, manifest)
    assert pack_root(dict(reversed(GROUP.items())), unpack_root(text)) == text


@given(recipes(), recipes())
def test_recipes_have_one_digest_exactly_if_they_are_equal(one, other):
    again = from_json(json.loads(json.dumps(bare(one).to_json()))).recipe
    assert again.digest == one.digest
    assert (one.digest == other.digest) == (text_of(one) == text_of(other))


def test_a_manifest_without_a_split_says_nothing_of_it(small):
    assert b"split" not in pack_root(GROUP, small)
    rule = SplitRule(shares=(("train", 1.0),))
    assert b"split" in pack_root(GROUP, replace(small, split=rule))
    assert replace(small, split=rule).recipe.digest == small.recipe.digest


LATER = ("orient", "spacing", "interpolation", "crop", "columns")


def test_a_manifest_of_cases_as_they_are_says_nothing_of_preparation(small):
    value = json.loads(pack_root(GROUP, small))["attributes"][ATTRIBUTE]
    assert not set(LATER) & {*value, *value["recipe"]}
    # What format 1 had for the same cache before any of these members were there.
    assert small.recipe.digest == hashlib.sha256(canonical(OLD_RECIPE)).hexdigest()


OLD_RECIPE = {
    "spatial_dims": 2,
    "label_kind": "folder",
    "pad_mode": "constant",
    "image": {
        "dtype": "int16",
        "shape": [4, 4, 1],
        "chunk": [2, 4, 4, 1],
        "shard_cases": 4,
        "fill": 10999,
        "codec": None,
    },
    "label": None,
}


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"orient": "RAS"}, "recipe.orient does not go with images that are no volumes"),
        ({"orient": "RAX"}, "recipe.orient is 'RAX'"),
        ({"orient": None}, "recipe.orient is None"),
        ({"spacing": [1.0, 1.0]}, "one without the other"),
        ({"interpolation": "cubic"}, "one without the other"),
        ({"spacing": [1.0, 1.0], "interpolation": "sinc"}, "recipe.interpolation is 'sinc'"),
        ({"spacing": [1.0], "interpolation": "cubic"}, "recipe.spacing has 1 axes, not 2"),
        ({"spacing": [1.0, 0.0], "interpolation": "cubic"}, "recipe.spacing is"),
        ({"spacing": [1.0, 1], "interpolation": "cubic"}, "recipe.spacing is"),
        ({"spacing": [1.0, 1e300], "interpolation": "cubic"}, "recipe.spacing is"),
        ({"spacing": "1,1", "interpolation": "cubic"}, "recipe.spacing is"),
        ({"crop": "all"}, "recipe.crop is 'all', not one of foreground"),
        ({"crop": "foreground"}, "column 'crop_start' does not go with recipe.crop"),
    ],
)
def test_a_preparation_that_makes_no_sense_is_refused(small, members, text):
    value = small.to_json()
    with pytest.raises(FormatError) as caught:
        unpack_root(sealed({**value, "recipe": {**value["recipe"], **members}}))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ([], "columns is list of 0, not a sorted list of at least one name"),
        ("sform_code", "columns is 'sform_code', not a sorted list"),
        (["sform_code", "qform_code"], "not a sorted list"),
        (["sform_code", "sform_code"], "not a sorted list"),
        ([1], "not a sorted list"),
        (["name"], "columns has 'name', which is none"),
        (["../name"], "columns has '../name', which is none"),
        (["crop_start", "crop_stop"], "column 'crop_start' does not go with recipe.crop"),
        (["sform_code"], "no member 'größe/cases/sform_code/zarr.json' in files"),
    ],
)
def test_columns_that_are_none_are_refused(small, columns, text):
    with pytest.raises(FormatError) as caught:
        unpack_root(sealed({**small.to_json(), "columns": columns}))
    assert text in str(caught.value)


def test_files_of_columns_that_are_not_listed_are_refused(small):
    listed = completed(small.recipe, small.classes, (0.5,), columns=CODES).to_json()
    assert unpack_root(sealed(listed)).columns == CODES
    del listed["columns"]
    with pytest.raises(FormatError, match=r"unknown member 'gr.*/cases/qform_code/zarr.json"):
        unpack_root(sealed(listed))


def bare(recipe):
    return Manifest(
        format_version=1, recipe=recipe, classes=(), label_values=(), shards={}, files={}
    )


def text_of(recipe):
    return canonical(bare(recipe).to_json()["recipe"])


def test_every_flipped_bit_of_a_small_root_is_found(small):
    data = pack_root(GROUP, small)
    for _, damaged in flips(data):
        with pytest.raises(FormatError):
            unpack_root(damaged)


def test_flipped_bits_all_over_a_real_root_are_found(mask_cache):
    data = (mask_cache / ROOT).read_bytes()
    for _, damaged in flips(data, step=57):
        with pytest.raises(FormatError):
            unpack_root(damaged)


@settings(max_examples=400)
@given(st.data())
def test_any_other_byte_in_any_place_is_found(small, data):
    text = bytearray(pack_root(GROUP, small))
    place = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[place]))
    text[place] = byte
    with pytest.raises(FormatError):
        unpack_root(bytes(text))


def test_a_number_that_one_byte_made_infinite_is_found(small):
    text = pack_root(GROUP, small)
    with pytest.raises(FormatError):
        unpack_root(text.replace(b"10999", b"1e999"))


def test_every_truncation_of_a_root_is_found(small):
    data = pack_root(GROUP, small)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            unpack_root(data[:length])
    with pytest.raises(FormatError):
        unpack_root(data + b"\n")


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"null", b"[]", b'"niicache"', b"{}", b"\xff\xfe", b"[" * 100_000),
        json.dumps(GROUP).encode(),
        json.dumps({**GROUP, "attributes": {ATTRIBUTE: None}}).encode(),
        json.dumps({**GROUP, "attributes": {ATTRIBUTE: {"format_version": 1}}}).encode(),
        json.dumps({**GROUP, "attributes": []}).encode(),
    ],
)
def test_what_is_no_root_of_ours_is_said_to_be_none(text):
    with pytest.raises(FormatError, match="not the root of a niicache cache"):
        unpack_root(text)


@pytest.mark.parametrize("version", [2, 0, 10**9, "2", None])
def test_another_version_says_what_this_release_reads_and_what_to_do(small, version):
    text = sealed({**small.to_json(), "format_version": version})
    with pytest.raises(FormatError) as caught:
        unpack_root(text)
    assert str(caught.value) == (
        f"format version {version!r}, this niicache reads 1; "
        "install a newer niicache, or build the cache again"
    )


def test_a_newer_version_is_named_even_if_nothing_else_is_understood():
    with pytest.raises(FormatError, match="install a newer niicache"):
        unpack_root(sealed({"format_version": 2, "seal": "of another kind"}))


NONSENSE = [
    (field, value)
    for field in ("recipe", "classes", "label_values", "shards", "files", "skipped")
    for value in (None, 1, [1], [{"b": 2}], {"a": 1})
    if (field, value) != ("label_values", [1])
]
NONSENSE += [
    ("split", value)
    for value in (
        *(1, [1], {}, {"shares": [], "seed": ""}, {"shares": [["a", "b"]], "seed": ""}),
        *({"shares": [["a", 1]]}, {"shares": [["a"]], "seed": ""}),
    )
]


@pytest.mark.parametrize(("field", "value"), NONSENSE)
def test_a_sealed_root_that_makes_no_sense_is_a_format_error(small, field, value):
    text = sealed({**small.to_json(), field: value})
    with pytest.raises(FormatError, match="not the root of a niicache cache"):
        unpack_root(text)


@pytest.mark.parametrize(
    "field", [field.name for field in fields(Manifest) if field.name not in MAYBE]
)
def test_a_sealed_root_that_lacks_a_field_is_a_format_error(small, field):
    attribute = small.to_json()
    del attribute[field]
    with pytest.raises(FormatError, match=f"not the root of a niicache cache: no member.*{field}"):
        unpack_root(sealed(attribute))


@given(recipes())
def test_sizes_of_a_layout_are_those_of_the_arrays(recipe):
    layout = recipe.image
    item = np.dtype(layout.dtype).itemsize
    assert layout.case_nbytes == math.prod(layout.shape) * item
    assert layout.chunk_nbytes == math.prod(layout.chunk) * item
    cover = [-(-n // c) for n, c in zip(layout.shape, layout.chunk[1:], strict=True)]
    assert layout.blocks == math.prod(cover)
    assert layout.shard_chunks == layout.shard_cases // layout.chunk[0] * layout.blocks


def test_the_digest_as_the_format_describes_it(mask_cache):
    # docs/format.md, in the words of bytes alone: no JSON library.
    text = (mask_cache / "zarr.json").read_bytes()
    kept, inside, escaped = bytearray(), False, False
    for byte in text:
        if inside or not chr(byte).isspace():
            kept.append(byte)
        if byte == ord('"') and not escaped:
            inside = not inside
        escaped = byte == ord("\\") and not escaped
    digest = json.loads(text)["attributes"]["niicache"]["digest"]
    blank = bytes(kept).replace(f'"digest":"{digest}"'.encode(), b'"digest":""')
    assert hashlib.sha256(blank).hexdigest() == digest
