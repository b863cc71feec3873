"""Every bit of a small cache, one after another: each is found, in its file and in no other.

A seed stands for the bits of one byte, of every file that is so long. They are flipped together,
and each file has to be named all the same. Those of the root, without which nothing can be said of
any other file, have a test: every bit of it, in every run.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from building import build0, copy, masks

from breaks.damage import files_of, flip
from breaks.warm import scratch
from niicache.format.names import ROOT
from niicache_builder import verify


@cache
def _intact() -> Path:
    """Return a cache of two classes, with a mask and two shards of each array in one of them."""
    root = scratch() / "flipped-bits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 4)
        build0(masks(root / "s", {"a": 6, "b": 2}), root / "c", chunk=(1,))
    return root / "c"


@cache
def sizes() -> dict[str, int]:
    """Return how long each file is, but for the root."""
    files = files_of(_intact())
    return {path: (_intact() / path).stat().st_size for path in files if path != ROOT}


def once(seed: int, folder: Path) -> None:
    """Flip each bit of a byte of every file.

    Raises:
        AssertionError: A flip was not found, or another file was named.
    """
    target = copy(_intact(), folder / "c")
    byte = seed % max(sizes().values())
    held = {path for path, size in sizes().items() if byte < size}
    for bit in range(8 * byte, 8 * byte + 8):
        for path in held:
            flip(target / path, bit)
        named = {Path(one.path).relative_to(target).as_posix() for one in verify(target).problems}
        assert named == held, f"bit {bit} of {sorted(held)}: found {sorted(named)}"
        for path in held:
            flip(target / path, bit)
    assert verify(target).problems == (), "every flip was taken back"
