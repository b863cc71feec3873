"""A cache is read, case by case and by both Sequences: what the model says, or damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from niicache.cache import Cache, open_cache
from niicache.errors import CacheError, DamageError
from niicache.hot import SHARED

if TYPE_CHECKING:
    from breaks.state_bench import Bench
    from breaks.state_model import Generation


def opens(bench: Bench) -> None:
    """Check that the cache opens and has the cases that were committed last."""
    if bench.is_lost:
        with pytest.raises(CacheError):
            open_cache(bench.cache)
        return
    assert bench.now is not None
    cache = open_cache(bench.cache)
    assert set(cache.classes) == {owner for owner, _ in bench.now.cases}
    for view in cache:
        try:
            names = view.cases
        except DamageError:
            assert bench.must, "damage where there is none"
        else:
            assert {(view.name, name) for name in names} == {
                case for case in bench.now.cases if case[0] == view.name
            }


def read_all(bench: Bench, cache: Cache, now: Generation, *, strict: bool) -> int:
    """Read every case, and return how many could be read.

    Args:
        bench: Tells what is damaged.
        cache: The cache, open.
        now: What it has to be.
        strict: Whether only damage of the class is an excuse, and none of it elsewhere.
    """
    SHARED.clear()
    right = 0
    for (owner, name), version in now.cases.items():
        try:
            sample = cache[owner][name]
        except CacheError as error:
            mine = [path for path in bench.may if path.startswith(f"{owner}/")]
            if strict and not mine:
                raise AssertionError(f"{owner}/{name} cannot be read: {error}") from error
            continue
        image, mask = version.padded(now.shape)
        assert np.array_equal(sample.image, image), f"{owner}/{name} has other voxels"
        assert np.array_equal(sample.label, mask), f"{owner}/{name} has another mask"
        right += 1
    return right


def read_by_sequences(bench: Bench) -> None:
    """Read every case by OrderedSequence, and some by BalancedSequence."""
    from niicache import BalancedSequence, OrderedSequence

    assert bench.now is not None
    now = bench.now
    every = [now.cases[case].padded(now.shape) for case in sorted(now.cases)]
    SHARED.clear()
    try:
        ordered = OrderedSequence(bench.cache, 3, workers=1, memory=0, check="always")
        batches = [ordered.batch(0, step) for step in range(len(ordered))]
        classes = len({owner for owner, _ in now.cases})
        balanced = BalancedSequence(
            bench.cache, 2 * classes, steps=3, workers=1, memory=0, check="always"
        )
        drawn = [balanced.batch(0, step) for step in range(3)]
    except DamageError as error:
        if not bench.may:
            raise AssertionError(f"damage where there is none: {error}") from error
        return
    images, masks = (np.concatenate(half) for half in zip(*batches, strict=True))
    assert np.array_equal(images, np.stack([image for image, _ in every])), "other voxels"
    assert np.array_equal(masks, np.stack([mask for _, mask in every])), "other masks"
    known = {(image.astype("f4").tobytes(), mask.tobytes()) for image, mask in every}
    for x, y in drawn:
        got = {(image.tobytes(), mask.tobytes()) for image, mask in zip(x, y, strict=True)}
        assert got <= known, "a batch holds what no case does"
