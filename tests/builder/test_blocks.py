"""Blocks for patches: the model against counting, the choice against every other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache_builder import blocks
from niicache_builder.blocks import amplification, mean_touched, plan_block


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_the_mean_is_that_of_all_places(extent, patch, edge, margin):
    grid = extent + 2 * margin
    places = range(margin, margin + extent - patch + 1) or [margin - (patch - extent) // 2]
    counts = []
    for start in places:
        voxels = np.arange(max(0, start), min(grid, start + patch))
        counts.append(len(np.unique(voxels // edge)))
    assert mean_touched(grid, patch, edge, (margin, margin + extent)) == pytest.approx(
        np.mean(counts)
    )


@pytest.mark.parametrize(
    ("grid", "patch"), [((40, 40, 30), (16, 16, 16)), ((64, 50), (20, 8)), ((24, 24, 9), (9, 9, 9))]
)
def test_no_other_block_costs_less(grid, patch):
    def cost(block):
        counts = [mean_touched(n, p, c, (0, n)) for n, p, c in zip(grid, patch, block, strict=True)]
        return np.prod(counts) * (2 * np.prod(block) + blocks.BLOCK_COST_BYTES)

    edges = [list(blocks._edges(n)) for n in grid]
    chosen = plan_block(grid, patch, 2)
    assert cost(chosen) == min(cost(block) for block in itertools.product(*edges))


def test_a_patch_of_everything_is_one_block():
    assert plan_block((30, 40), (30, 40), 2) == (30, 40)
    assert amplification((30, 40), (30, 40), (30, 40), [(30, 40)]) == 1


def test_cases_count_by_their_own_shape():
    whole = amplification((32, 32), (8, 8), (8, 8), [(32, 32)])
    corner = amplification((32, 32), (8, 8), (8, 8), [(8, 8)])
    both = amplification((32, 32), (8, 8), (8, 8), [(32, 32), (8, 8), (8, 8)])
    assert both == pytest.approx((whole + 2 * corner) / 3)
