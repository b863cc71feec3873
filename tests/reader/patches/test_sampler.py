"""Where patches lie: uniform, inside, exact in their quotas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from niicache import Foreground
from niicache.errors import OptionError
from niicache.patches.sampler import PatchSampler, Spots
from niicache.real import Extents
from niicache.sampling import Draw

SURE = 1e-4  # a seeded test is right or wrong for ever; a fair histogram passes nearly surely


def extents(start, stop):
    return Extents(np.array([start]), np.array([stop]))


def sampler(*, shape=(4, 5), grid=(20, 30), start=(2, 3), stop=(17, 28), batch=8, **more):
    return PatchSampler(
        shape=shape, grid=grid, batch_size=batch, extents=[extents(start, stop)], **more
    )


def drawn(one, steps):
    """Return the start of every patch of some batches, (steps, batch, axes)."""
    zeros = np.zeros(one.batch_size, np.int64)
    draw = Draw(classes=zeros, rows=zeros, again=zeros)
    slots = np.arange(one.batch_size)
    return np.array([[b.start for b in one.boxes(draw, slots, (3, 0, t))] for t in range(steps)])


def spots(*voxels, grid=(20, 30)):
    """Return spots of one case: the voxels of each value, background none."""
    counts = [0, *map(len, voxels)]
    flat = [np.ravel_multi_index(at, grid) for one in voxels for at in one]
    return [Spots(np.cumsum([0, *counts])[None], np.array(flat, np.uint32))]


def test_each_place_inside_is_as_likely():
    starts = drawn(sampler(), 1000).reshape(-1, 2)
    for axis, (low, high) in enumerate(((2, 13), (3, 23))):
        counts = np.bincount(starts[:, axis], minlength=high + 1)
        assert counts[:low].sum() == 0
        assert len(counts) == high + 1
        assert chisquare(counts[low:]).pvalue > SURE


def test_a_patch_longer_than_the_image_holds_all_of_it():
    starts = drawn(sampler(shape=(18, 5)), 20)
    assert (starts[..., 0] == 1).all()  # 15 voxels from 2 on, in the middle of 18


def test_the_chosen_voxel_lies_anywhere_in_the_patch():
    corner, middle = (2, 3), (9, 15)
    share = Foreground(share=1.0)
    one = sampler(
        batch=64,
        foreground=share,
        spots=spots([corner, middle]),
        weights=np.array([0.0, 1.0]),
    )
    starts = drawn(one, 300).reshape(-1, 2)
    hits = 0
    for voxel in (corner, middle):
        offsets = np.array(voxel) - starts
        held = ((offsets >= 0) & (offsets < (4, 5))).all(axis=1)
        hits += held.sum()
        assert abs(held.mean() - 0.5) < 0.02
        flat = offsets[held] @ np.array([5, 1])
        assert chisquare(np.bincount(flat, minlength=20)).pvalue > SURE
    assert hits == len(starts)


def test_shifted_patches_stay_inside_and_still_hold_it():
    one = sampler(
        foreground=Foreground(share=1.0, border="shift"),
        spots=spots([(2, 3), (16, 27)]),
        weights=np.array([0.0, 1.0]),
    )
    starts = drawn(one, 200).reshape(-1, 2)
    assert set(map(tuple, starts.tolist())) == {(2, 3), (13, 23)}


@pytest.mark.parametrize(("share", "forced"), [(0.0, 0), (0.33, 3), (0.5, 4), (1.0, 8)])
def test_quotas_are_exact_and_the_last_of_a_batch(share, forced):
    one = sampler(
        shape=(1, 1),
        foreground=Foreground(share=share),
        spots=spots([(2, 3)]),
        weights=np.array([0.0, 1.0]),
    )
    hit = (drawn(one, 50) == (2, 3)).all(axis=-1)
    assert hit[:, 8 - forced :].all()
    assert hit[:, : 8 - forced].sum() < 0.05 * hit.size


def test_by_chance_the_share_is_met_in_the_mean():
    one = sampler(
        shape=(1, 1),
        foreground=Foreground(share=0.3, exact=False),
        spots=spots([(2, 3)]),
        weights=np.array([0.0, 1.0]),
    )
    hit = (drawn(one, 500) == (2, 3)).all(axis=-1)
    assert abs(hit.mean() - 0.3) < 0.03
    assert hit.sum(axis=1).std() > 1


def test_label_values_are_balanced_or_weighted():
    rare, common = [(5, 5)], [(x, y) for x in range(8, 12) for y in range(8, 20)]
    for weights, want in (([0, 1, 1], 0.5), ([0, 3, 1], 0.75), ([0, 0, 1], 0.0)):
        one = sampler(
            shape=(1, 1),
            foreground=Foreground(share=1.0),
            spots=spots(rare, common),
            weights=np.array(weights, float),
        )
        assert abs((drawn(one, 300) == (5, 5)).all(axis=-1).mean() - want) < 0.04


def test_a_case_without_foreground_gives_any_patch():
    one = sampler(foreground=Foreground(share=1.0), spots=spots([]), weights=np.array([0.0, 1.0]))
    assert len({tuple(start) for start in drawn(one, 30).reshape(-1, 2).tolist()}) > 50


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"share": 1.5}, "foreground.share: got 1.5, expected a number from 0 to 1"),
        ({"share": True}, "foreground.share: got True"),
        ({"share": 0.5, "exact": 1}, "foreground.exact: got 1, expected True or False"),
        ({"share": 0.5, "border": "clamp"}, "expected one of 'pad', 'shift'"),
        ({"share": 0.5, "weights": {}}, "foreground.weights: got {}"),
        ({"share": 0.5, "weights": {1: -1}}, "at least 0"),
        ({"share": 0.5, "weights": {1: 0.0}}, "one of them more"),
        ({"share": 0.5, "weights": {1: float("nan")}}, "foreground.weights"),
    ],
)
def test_wrong_options_are_refused(arguments, text):
    with pytest.raises(OptionError) as caught:
        Foreground(**arguments)
    assert text in str(caught.value)
