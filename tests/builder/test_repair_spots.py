"""Repairs of caches that keep coordinates of the foreground."""

from __future__ import annotations

import shutil

import pytest
from breaks.damage import flip
from helpers import make_cache

from niicache import open_cache
from niicache_builder import repair, verify


@pytest.fixture(scope="module")
def whole(patch_source, tmp_path_factory):
    """Return a cache of one case a shard."""
    target = tmp_path_factory.mktemp("whole") / "cache"
    return make_cache(patch_source, target, chunk=(1, 16, 16, 16), patch=(8, 8, 8), shards=1)


def tree(root):
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.is_file() and not file.relative_to(root).parts[0].startswith(".")
    }


PLACES = [
    "ill/image/c/1/0/0/0/0",
    "ill/label/c/0/0/0/0/0",
    "ill/cases/name/c/0",
    "ill/spots/stop/c/0/0",
    "ill/spots/stop/zarr.json",
    "ill/spots/voxel/c/0",
    "ill/spots/voxel/zarr.json",
    "ill/spots/zarr.json",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_repaired_cache_is_what_it_was(patch_source, whole, tmp_path, place):
    target = shutil.copytree(whole, tmp_path / "cache")
    flip(target / place, 5)
    assert verify(target).problems
    done = repair(target, patch_source, workers=0)
    assert done.mended == (place,)
    assert tree(target) == tree(whole)
    assert not verify(target).problems


def test_metadata_need_no_source(whole, tmp_path):
    target = shutil.copytree(whole, tmp_path / "cache")
    for place in PLACES:
        if place.endswith("zarr.json"):
            flip(target / place, 5)
    repair(target)
    assert tree(target) == tree(whole)


def test_a_quarantined_case_has_no_spots(patch_source, whole, tmp_path):
    source = shutil.copytree(patch_source, tmp_path / "source")
    target = shutil.copytree(whole, tmp_path / "cache")
    gone = open_cache(target)["ill"].slot_names[1]
    (source / "ill" / "images" / f"{gone}.nii.gz").unlink()
    flip(target / "ill/image/c/1/0/0/0/0", 99)
    repair(target, source, quarantine=True, workers=0)
    before, after = (open_cache(path)["ill"].spots() for path in (whole, target))
    assert after[0][1, 0] == after[0][1, -1]
    for slot in (0, 2):
        kept, was = (one[1][one[0][slot, 0] : one[0][slot, -1]] for one in (after, before))
        assert kept.tolist() == was.tolist()
    assert not verify(target).problems
