"""Damage of any kind to a finished cache: found, named, and mended to the byte."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from building import build0, copy, masks, tree, voxels, write

from breaks.damage import KINDS, damage
from breaks.warm import scratch
from niicache.errors import NotACacheError
from niicache_builder import repair, verify


@cache
def _state() -> tuple[Path, Path, Path]:
    """Return a source, its cache, and a cache of what the source was before."""
    root = scratch() / "damaged-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 4)
        source = masks(root / "s", {"a": 6, "b": 2})
        build0(source, root / "older", chunk=(1,))
        for name in ("a", "b"):
            write(source / name / "images" / "case001.nii.gz", voxels(77, (6, 4, 6)))
        build0(source, root / "c", chunk=(1,))
    return source, root / "c", root / "older"


def once(seed: int, folder: Path) -> None:
    """Damage a cache in one way, verify it, and repair it where its manifest is sound.

    Raises:
        AssertionError: Another file was named, or none; or the repaired cache is another.
    """
    source, intact, older = _state()
    target = copy(intact, folder / "c")
    done = damage(KINDS[seed % len(KINDS)], np.random.default_rng(seed), target, older=older)
    try:
        named = {Path(one.path).relative_to(target).as_posix() for one in verify(target).problems}
    except NotACacheError:
        named = {"zarr.json"}
    assert named == done.found.keys(), f"seed {seed}: {done}, found {sorted(named)}"
    if "zarr.json" not in done.found:
        repair(target, source, remove_unexpected=True, workers=0)
        assert tree(target) == tree(intact), f"seed {seed}: {done}, mended to something else"
