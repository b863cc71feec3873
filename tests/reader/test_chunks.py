"""What is written is what is read, and what is not is refused with its name."""

from __future__ import annotations

import errno
import gc
import math
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from helpers import expected, flip_bit, make_cache, source_files, write_source
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import open_cache
from niicache.chunks import ChunkReader
from niicache.errors import CacheError, DamageError
from niicache.files import retired
from niicache.format.geometry import chunk_boxes
from niicache.format.manifest import ArrayLayout
from niicache.format.names import shard_path
from niicache.shards import OpenShards
from niicache_builder.options import CODECS, DTYPES
from niicache_builder.shards import ShardWriter

NIFTI_DTYPES = [dtype for dtype in DTYPES if dtype != "float16"]


@st.composite
def layouts(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    chunk_cases = draw(st.integers(1, 4))
    whole = draw(st.booleans())
    block = shape if whole else tuple(draw(st.integers(1, n)) for n in shape)
    return ArrayLayout(
        dtype=draw(st.sampled_from(DTYPES)),
        shape=shape,
        chunk=(chunk_cases, *block),
        shard_cases=chunk_cases * draw(st.integers(1, 3)),
        fill=0,
        codec=draw(st.sampled_from(list(CODECS.values()))),
    )


def written(root, layout, cases):
    """Write cases as the shards of ``a/image`` and return a reader of them."""
    files, crcs = {}, []
    for index, start in enumerate(range(0, len(cases), layout.shard_cases)):
        path = shard_path("a", "image", index, len(layout.chunk))
        (root / path).parent.mkdir(parents=True)
        with ShardWriter(root / path, layout) as writer:
            for first in range(start, min(start + layout.shard_cases, len(cases)), layout.chunk[0]):
                writer.write(cases[first : first + layout.chunk[0]])
            files[path] = writer.commit()
            crcs += writer.crcs
    return ChunkReader(
        root,
        class_name="a",
        array="image",
        layout=layout,
        crcs=np.array(crcs, np.uint32),
        files=files,
        shards=OpenShards(),
        case_of=lambda chunk: f"cases of chunk {chunk}",
    )


def whole(reader, count):
    """Return cases from the chunks of a reader, put together here."""
    layout = reader.layout
    cases = np.empty((count, *layout.shape), layout.dtype)
    for number in range(len(reader)):
        chunk = reader.empty()
        reader.read(number, chunk)
        along, block = divmod(number, layout.blocks)
        box = list(chunk_boxes(layout.shape, layout.chunk[1:]))[block]
        first = along * layout.chunk[0]
        inside = tuple(slice(0, n) for n in box.shape)
        cases[(slice(first, first + layout.chunk[0]), *box.slices)] = chunk[(slice(None), *inside)]
    return cases


@settings(max_examples=80)
@given(layout=layouts(), chunks=st.integers(1, 7), seed=st.integers(0, 2**32))
def test_written_equals_read_for_any_shape_and_dtype(layout, chunks, seed):
    count = chunks * layout.chunk[0]
    dtype = np.dtype(layout.dtype).newbyteorder("<")
    noise = np.random.default_rng(seed).bytes(count * layout.case_nbytes)
    cases = np.frombuffer(noise, dtype).reshape(count, *layout.shape)
    with TemporaryDirectory() as folder:
        reader = written(Path(folder), layout, cases)
        assert len(reader) == chunks * layout.blocks
        assert whole(reader, count).tobytes() == cases.tobytes()


@settings(max_examples=12)
@given(
    dtype=st.sampled_from(NIFTI_DTYPES),
    high=st.lists(st.integers(5, 9), min_size=2, max_size=3).map(tuple),
    seed=st.integers(0, 2**32),
    codec=st.sampled_from(list(CODECS)),
    blocks=st.booleans(),
)
def test_built_equals_nibabels_reading_for_any_shape_and_dtype(dtype, high, seed, codec, blocks):
    chunk = (1, *[3] * len(high)) if blocks else None
    kept = {"dtype": dtype, "codec": codec, "chunk": chunk}
    with TemporaryDirectory() as folder:
        source = write_source(
            Path(folder) / "source",
            {"a": 3},
            low=(2, 2, 2)[: len(high)],
            high=high,
            dtype=dtype,
            labels="mask",
            seed=seed,
        )
        cache = open_cache(make_cache(source, Path(folder) / "cache", **kept))
        for (_, case), (image, label) in source_files(source).items():
            sample = cache["a"][case]
            assert sample.image.dtype == dtype
            np.testing.assert_array_equal(sample.image, expected(image, (*high, 1)))
            np.testing.assert_array_equal(sample.label, expected(label, (*high, 1)))


def test_chunks_of_a_volume_are_blocks_and_the_rest_of_a_border_block_is_fill(volume_cache):
    view = open_cache(volume_cache)["tumour"]
    layout = view.image.layout
    assert layout.chunk == (1, 8, 8, 8, 1)
    assert layout.blocks == 3 * 3 * 3
    last = view.image.empty()
    view.image.read(layout.blocks - 1, last)
    first = view[view.slot_names[0]].image
    np.testing.assert_array_equal(last[0, :3, :5, :1], first[16:, 16:, 16:])
    assert not last[0, 3:].any()
    assert not last[0, :, 5:].any()


def image_shards(cache, class_name="axial"):
    return sorted(file for file in (cache / class_name / "image").rglob("0") if file.is_file())


def broken_cases(path, class_name="axial"):
    """Return the problem of each case that cannot be read; the others must be the right ones."""
    view = open_cache(path)[class_name]
    problems = {}
    for case in view.cases:
        try:
            view[case]
        except DamageError as error:
            (problems[case],) = error.problems
    return problems


def deleted(shard):
    shard.unlink()


def truncated(shard):
    shard.write_bytes(shard.read_bytes()[:-1])


def longer(shard):
    shard.write_bytes(shard.read_bytes() + b"\0")


def emptied(shard):
    shard.write_bytes(b"")


def folder_instead(shard):
    shard.unlink()
    shard.mkdir()


def index_flipped(shard):
    flip_bit(shard, 0.9999)


@pytest.mark.parametrize("kind", ["sharded", "vector"])
@pytest.mark.parametrize(
    "damage", [deleted, truncated, longer, emptied, folder_instead, index_flipped]
)
def test_a_broken_shard_breaks_its_cases_and_names_them(copy_of, request, kind, damage):
    path = copy_of(request.getfixturevalue(f"{kind}_cache"))
    view = open_cache(path)["axial"]
    shard = image_shards(path)[0]
    size = view.image.layout.shard_cases
    before = shard.stat().st_size
    damage(shard)
    after = shard.stat().st_size if shard.exists() else None
    problems = broken_cases(path)
    assert set(problems) == set(view.slot_names[:size]) - {""}
    for case, problem in problems.items():
        assert (problem.code, problem.class_name) == ("damaged", "axial")
        assert case in problem.case.split(", ")
        assert problem.path == str(path / shard.relative_to(path))
        assert "niicache verify" in problem.hint
        if after is None:
            assert problem.got == "No such file or directory"
        elif damage is folder_instead:
            assert problem.got == "something that is no file"
        elif after != before:
            assert problem.got == f"a shard of {after} bytes in place of {before}"
        else:
            assert problem.got == "the crc32c of the shard index does not hold"
    assert not broken_cases(path, "coronal")


@pytest.mark.parametrize("kind", ["sharded", "vector"])
def test_a_flipped_bit_breaks_the_cases_of_its_chunk_alone(copy_of, request, kind):
    path = copy_of(request.getfixturevalue(f"{kind}_cache"))
    view = open_cache(path)["axial"]
    size = view.image.layout.chunk[0]
    flip_bit(image_shards(path)[0], 0.001)
    problems = broken_cases(path)
    first = [name for name in view.slot_names[:size] if name]
    assert list(problems) == sorted(first)
    assert {problem.case for problem in problems.values()} == {", ".join(first)}
    assert "crc32c does not hold" in problems[first[0]].got


def test_a_flipped_bit_anywhere_in_a_shard_is_never_delivered(copy_of, mask_cache):
    path = copy_of(mask_cache)
    view = open_cache(path)["right"]
    sound = {case: view[case] for case in view.cases}
    shard = image_shards(path, "right")[0]
    data = shard.read_bytes()
    for place in np.linspace(0, 1, 97):
        flip_bit(shard, place)
        view = open_cache(path)["right"]
        for case, good in sound.items():
            try:
                np.testing.assert_array_equal(view[case].image, good.image)
            except DamageError:
                break
        else:
            pytest.fail(f"nothing was said of a flipped bit at {place:.0%}")
        shard.write_bytes(data)


def test_swapped_shards_are_found_though_each_is_sound_in_itself(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    one, other = image_shards(path)[:2]
    assert one.stat().st_size == other.stat().st_size
    keep = path / "aside"
    one.replace(keep)
    other.replace(one)
    keep.replace(other)
    problems = broken_cases(path)
    assert len(problems) == 16
    assert all("another chunk" in problem.got for problem in problems.values())


def test_a_shard_of_another_class_is_found(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    shutil.copy(image_shards(path, "coronal")[0], image_shards(path)[0])
    assert len(broken_cases(path)) == 8


def test_damage_of_a_volume_names_one_case_and_its_block(copy_of, volume_cache):
    path = copy_of(volume_cache)
    flip_bit(image_shards(path, "healthy")[0], 0.001)
    first = open_cache(path)["healthy"].slot_names[0]
    problems = broken_cases(path, "healthy")
    assert list(problems) == [first]
    assert problems[first].case == first
    assert problems[first].expected.startswith(f"chunk 0 ({first}) of sha256")


def test_a_damaged_label_is_found_where_it_is(copy_of, mask_cache):
    path = copy_of(mask_cache)
    (shard,) = (file for file in (path / "left/label").rglob("0") if file.is_file())
    flip_bit(shard, 0.001)
    problems = broken_cases(path, "left")
    assert len(problems) == 9
    assert {problem.path for problem in problems.values()} == {str(shard)}


@pytest.mark.parametrize("opened", [False, True])
def test_a_replaced_shard_is_read_from_its_retired_copy(copy_of, sharded_cache, opened):
    path = copy_of(sharded_cache)
    cache = open_cache(path)
    shard = image_shards(path)[0]
    want = open_cache(sharded_cache)["axial"]
    entry = cache.manifest.files[str(shard.relative_to(path))]
    if opened:
        _ = cache["axial"]["case_000"]
    keep = retired(path, entry)
    keep.parent.mkdir(exist_ok=True)
    shard.replace(keep)
    shutil.copy(image_shards(path)[1], shard)
    for case in want.cases:
        np.testing.assert_array_equal(cache["axial"][case].image, want[case].image)
    keep.unlink()
    assert len(broken_cases(path)) == 8


def test_a_reader_keeps_its_generation_while_a_rebuild_replaces_it(copy_of, vector_source):
    source = copy_of(vector_source)
    kept = {"shards": 8, "chunk": (2,), "codec": "none"}
    path = make_cache(source, source.parent / "cache", **kept)
    early, late = open_cache(path), open_cache(path)
    before = {identity: early[identity[0]][identity[1]] for identity in early.cases}
    images = source / "axial/images"
    shutil.copy(images / "case_001.nii.gz", images / "case_000.nii.gz")
    (images / "case_003.nii.gz").unlink()
    (source / "axial/labels/case_003.nii.gz").unlink()
    shutil.rmtree(source / "sagittal")
    make_cache(source, path, **kept)
    for cache in (early, late):
        assert set(cache.cases) == set(before)
        for (class_name, case), sample in before.items():
            now = cache[class_name][case]
            np.testing.assert_array_equal(now.image, sample.image)
            np.testing.assert_array_equal(now.label, sample.label)
        assert len(cache["sagittal"].column("mean")) == 5
    fresh = open_cache(path)
    assert fresh.classes == ("axial", "coronal", "oblique")
    assert ("axial", "case_003") not in fresh.cases
    image = source_files(source)["axial", "case_000"][0]
    shape = fresh.manifest.recipe.image.shape
    np.testing.assert_array_equal(fresh["axial"]["case_000"].image, expected(image, shape))


def open_files(folder):
    here = Path("/proc/self/fd")
    links = (os.path.realpath(link) for link in here.iterdir())
    return sum(link.startswith(str(folder)) for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files through /proc")
def test_files_are_closed_with_the_cache(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    cache = open_cache(path)
    for class_name, case in cache.cases:
        _ = cache[class_name][case]
    shards = sum(path.endswith("/0") and "/c/" in path for path in cache.manifest.files)
    assert open_files(path) == 2 * sum(math.ceil(len(view) / 8) for view in cache) <= shards
    del cache
    gc.collect()
    assert open_files(path) == 0
    emptied(image_shards(path)[0])
    broken_cases(path)
    gc.collect()
    assert open_files(path) == 0


def test_no_more_shards_are_open_than_allowed(tmp_path):
    layout = ArrayLayout(dtype="int16", shape=(3,), chunk=(1, 3), shard_cases=1, fill=0, codec=None)
    cases = np.arange(30, dtype="<i2").reshape(10, 3)
    reader = written(tmp_path, layout, cases)
    reader._shards._limit = 4
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in (*range(10), *range(10)):
        out = reader.empty()
        reader.read(number, out)
        np.testing.assert_array_equal(out[0], cases[number])
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 5


def test_no_file_left_is_no_damage(tmp_path, monkeypatch):
    layout = ArrayLayout(dtype="int16", shape=(3,), chunk=(1, 3), shard_cases=1, fill=0, codec=None)
    reader = written(tmp_path, layout, np.zeros((1, 3), "<i2"))

    def full(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(CacheError, match="ulimit -n") as error:
        reader.read(0, reader.empty())
    assert not isinstance(error.value, DamageError)


def test_no_file_left_for_the_retired_shard_is_no_damage(tmp_path, monkeypatch):
    layout = ArrayLayout(dtype="int16", shape=(3,), chunk=(1, 3), shard_cases=1, fill=0, codec=None)
    reader = written(tmp_path, layout, np.zeros((1, 3), "<i2"))
    errors = iter([FileNotFoundError(errno.ENOENT, "gone"), OSError(errno.EMFILE, "Too many")])

    def refuse(*_):
        raise next(errors)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CacheError, match="ulimit -n") as error:
        reader.read(0, reader.empty())
    assert not isinstance(error.value, DamageError)
