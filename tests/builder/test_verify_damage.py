"""Damage of every kind, at random places: found and named, and mended to the byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from breaks.damage import ALTERED, KINDS, damage, files_of, flip, shards_of
from building import build0, copy, masks, tree, voxels, write

from niicache.errors import FormatError, NotACacheError
from niicache_builder import repair, verify

if TYPE_CHECKING:
    from niicache_builder import Verification

FLIPS = 2000
PLACES = 2
OPTIONS: dict[str, dict[str, Any]] = {
    "compressed": {"chunk": (1,)},
    "as it is": {"chunk": (2,), "codec": "none"},
}


@pytest.fixture(scope="module", params=OPTIONS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a source, its cache, and a cache of what the source was before."""
    root = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 4)
        source = masks(root / "s", {"a": 6, "b": 3})  # no flip makes a 3 of a 6
        build0(source, root / "older", **OPTIONS[request.param])
        for name in ("a", "b"):
            write(source / name / "images" / "case001.nii.gz", voxels(77, (6, 4, 6)))
        build0(source, root / "c", **OPTIONS[request.param])
    return source, root / "c", root / "older"


def said(cache: Path, **options: Any) -> tuple[dict[str, set[str]], Verification | None]:
    """Verify, and return path to the codes of its problems."""
    try:
        found = verify(cache, **options)
    except NotACacheError as error:
        return {"zarr.json": {error.code}}, None
    codes: dict[str, set[str]] = {}
    for problem in found.problems:
        path = Path(problem.path).relative_to(cache).as_posix()
        codes.setdefault(path, set()).add(problem.code)
        owner = path.split("/")[0]
        assert problem.class_name == (owner if owner in {"a", "b"} else "")
        if path in SHARDS:
            assert problem.case
    return codes, found


SHARDS = {
    f"{name}/{array}/c/{index}/0/0/0/0"
    for name, count in (("a", 2), ("b", 1))
    for array in ("image", "label")
    for index in range(count)
}


def test_thousands_of_flipped_bits(state: Any, tmp_path: Path) -> None:
    cache = copy(state[1], tmp_path / "c")
    assert set(shards_of(cache)) == SHARDS
    rng = np.random.default_rng(0)
    sizes = {path: (cache / path).stat().st_size for path in files_of(cache)}
    root = 8 * sizes.pop("zarr.json")
    flips = 0
    while flips < FLIPS // len(OPTIONS):
        bits = {path: int(rng.integers(8 * size)) for path, size in sizes.items()}
        for path, bit in bits.items():
            flip(cache / path, bit)
        found, _ = said(cache)
        assert found.keys() == bits.keys()
        odd = {path: said for path, said in found.items() if not said <= {*ALTERED, "zero-filled"}}
        assert not odd, bits
        for path, bit in bits.items():
            flip(cache / path, bit)
        for bit in rng.integers(root, size=5).tolist():
            flip(cache / "zarr.json", bit)
            assert said(cache)[0] == {"zarr.json": {"manifest-damaged"}}
            flip(cache / "zarr.json", bit)
        flips += len(bits) + 5
    assert verify(cache).problems == ()


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_every_kind_is_found_and_named(state: Any, tmp_path: Path, kind: str) -> None:
    for seed in range(PLACES):
        cache = copy(state[1], tmp_path / "c")
        done = damage(kind, np.random.default_rng(seed), cache, older=state[2])
        for quick in (False, True):
            found, result = said(cache, quick=quick)
            if quick and not done.size_tells:
                continue
            assert found.keys() == done.found.keys(), done
            if not quick:
                for path, codes in found.items():
                    assert codes <= done.found[path], (done, path)
            assert result is None or result.quick == quick
        shutil.rmtree(cache)
        (tmp_path / "c aside").unlink(missing_ok=True)


@pytest.mark.parametrize("state", ["compressed"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_a_repaired_cache_is_what_it_was(state: Any, tmp_path: Path, kind: str) -> None:
    source, intact, older = state
    for seed in range(PLACES, PLACES + 1):
        cache = copy(intact, tmp_path / "c")
        done = damage(kind, np.random.default_rng(seed), cache, older=older)
        if "zarr.json" in done.found and done.found["zarr.json"] != {"link"}:
            before = tree(cache)
            with pytest.raises((FormatError, NotACacheError)):
                repair(cache, source, remove_unexpected=True, workers=0)
            assert tree(cache) == before
        else:
            repaired = repair(cache, source, remove_unexpected=True, workers=0)
            assert {*repaired.mended, *repaired.removed} == done.found.keys()
            assert tree(cache) == tree(intact)
            assert not any(path.is_symlink() for path in cache.rglob("*"))
            assert verify(cache).problems == ()
        shutil.rmtree(cache)
        (tmp_path / "c aside").unlink(missing_ok=True)
