"""Repairs that leave cases out prove all that they take in, and touch nothing that is sound."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from breaks.damage import flip
from breaks.state_disk import killed_at
from building import build0, copy, masks, stamps, voxels, write

from niicache.cache import Cache, open_cache
from niicache.errors import CacheError, Problem, SourceError
from niicache.format.codec import encode
from niicache_builder import repair, verify
from niicache_builder.durable import make_folder
from niicache_builder.refusals import check_classes


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Return a source and its cache, shards of three cases."""
    root = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 3)
        source = masks(root / "s", {"a": 6, "b": 3})
        build0(source, root / "c", chunk=(1,))
    return source, root / "c"


@pytest.mark.parametrize("column", ["image_hash", "label_hash", "name"])
def test_no_case_is_left_out_where_hashes_do_not_prove_the_others(state, tmp_path, column):
    source, cache = copy(state[0], tmp_path / "s"), copy(state[1], tmp_path / "c")
    (cache / "a" / "cases" / column / "c" / "0").write_bytes(b"nothing")
    one, other = open_cache(state[1])["a"].cases[:2]
    (source / "a" / "images" / f"{one}.nii.gz").unlink()
    write(source / "a" / "images" / f"{other}.nii.gz", voxels(99, (6, 4, 6)))
    before = stamps(cache)
    with pytest.raises(SourceError, match="damaged hashes of the sources"):
        repair(cache, source, quarantine=True, workers=0)
    assert stamps(cache) == before


@pytest.mark.parametrize(
    ("kind", "shape"), [("image", (9, 9, 9)), ("image", (5, 4, 6, 2)), ("label", (4, 4, 6))]
)
def test_a_source_of_another_shape_is_said_to_be_so_without_its_hash(state, tmp_path, kind, shape):
    source, cache = copy(state[0], tmp_path / "s"), copy(state[1], tmp_path / "c")
    (cache / "a" / "cases" / f"{kind}_hash" / "c" / "0").write_bytes(b"nothing")
    write(source / "a" / f"{kind}s" / "case001.nii.gz", voxels(99, shape).astype("uint8"))
    before = stamps(cache)
    with pytest.raises(SourceError, match=r"source-changed.*the cache has room for"):
        repair(cache, source, workers=0)
    assert stamps(cache) == before


def test_a_refusal_leaves_an_interrupted_rebuild_as_it_was(state, tmp_path, monkeypatch):
    """Only the folder of the build tells what it has put in place, and that it is no damage."""
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 3)
    source, cache = copy(state[0], tmp_path / "s"), copy(state[1], tmp_path / "c")
    hashes = cache / "a" / "cases" / "image_hash" / "c" / "0"
    hashes.write_bytes(b"nothing")
    for half in ("images", "labels"):
        write(source / "a" / half / "new.nii.gz", voxels(7, (5, 4, 6), "uint8"))
    with killed_at(1, f"'{cache / 'zarr.json'}'"):
        build0(source, cache, chunk=(1,))
    before = stamps(cache)
    write(source / "a" / "images" / "case000.nii.gz", voxels(99, (5, 4, 6)))
    with pytest.raises(SourceError, match="other sources of shard"):
        repair(cache, source, workers=0)
    after = stamps(cache)
    assert {path: now for path, now in after.items() if "holder" not in path} == {
        path: then for path, then in before.items() if "holder" not in path
    }
    assert [one.path for one in verify(cache).problems] == [str(hashes)]


def test_whatever_takes_the_last_case_of_a_class_is_refused(state):
    """Also what shows only when a case is read: a worker that it kills, say."""
    manifest = open_cache(state[1]).manifest
    lost = [
        Problem(
            code="kills-worker", path="x", got="", expected="", hint="", class_name="b", case=case
        )
        for case in open_cache(state[1])["b"].cases
    ]
    check_classes(manifest, lost[1:])
    with pytest.raises(SourceError, match="class 'b' would have no case left"):
        check_classes(manifest, lost)


def test_a_sound_shard_is_kept_where_its_other_half_is_done_again(state, tmp_path, monkeypatch):
    """Also where this version of a compression library would write other bytes."""
    source, cache = copy(state[0], tmp_path / "s"), copy(state[1], tmp_path / "c")
    flip(cache / "a" / "image" / "c" / "0" / "0" / "0" / "0" / "0", 99)
    flip(cache / "b" / "image" / "c" / "0" / "0" / "0" / "0" / "0", 99)
    (source / "b" / "images" / f"{open_cache(cache)['b'].cases[0]}.nii.gz").unlink()

    def otherwise(chunk, codec):
        return encode(chunk, codec and replace(codec, shuffle="noshuffle"))

    monkeypatch.setattr("niicache_builder.shards.encode", otherwise)
    done = repair(cache, source, quarantine=True, workers=0)
    assert len(done.quarantined) == 1
    assert verify(cache).problems == ()


def test_nothing_is_removed_of_a_cache_that_was_built_in_between(state, tmp_path, monkeypatch):
    cache = copy(state[1], tmp_path / "c")
    (cache / "foreign.txt").write_text("x")
    now = open_cache(cache)
    other = replace(now.manifest, label_values=(1.0,))
    module = sys.modules["niicache_builder.refusals"]

    def built(target):
        make_folder(target)
        monkeypatch.setattr(module, "open_cache", lambda path: Cache(path, other))

    monkeypatch.setattr("niicache_builder.lock.make_folder", built)
    with pytest.raises(CacheError, match="another build came in between"):
        repair(cache, remove_unexpected=True)
    assert (cache / "foreign.txt").exists()
