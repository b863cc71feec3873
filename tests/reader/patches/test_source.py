"""The box that a resampling looks at, against the resampling of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import augment
from niicache.augment.plan import Fill, Plan
from niicache.augment.warp import place
from niicache.errors import OptionError
from niicache.format.geometry import Box
from niicache.patches.source import seen_from, source_box

TRANSFORMS = [
    augment.Flip(p=1),
    augment.Affine(rotation=40, shift=3.5, zoom=(0.6, 1.7), p=1),
    augment.Affine(rotation=10, shift=80, p=1),
    augment.Elastic(grid=5, magnitude=4, p=1),
    augment.Compose(augment.Affine(rotation=25, p=1), augment.Elastic(grid=4, magnitude=3, p=1)),
    augment.Compose(),
]


def plan_of(transform, shape, seed, mode):
    compose = augment.Compose(transform)
    params = compose.draw(np.random.default_rng(seed), shape)
    made = compose.plan(params, shape)
    fill = Fill(mode=mode, value=-7, label=9)
    return Plan(matrix=made.matrix, shape=made.shape, fill=fill, displacement=made.displacement)


@settings(max_examples=60)
@given(
    st.sampled_from(TRANSFORMS),
    st.sampled_from(["constant", "nearest", "reflect", "wrap"]),
    st.integers(0, 1000),
    st.sampled_from([2, 3]),
)
def test_the_box_gives_what_the_whole_gives(transform, mode, seed, axes):
    rng = np.random.default_rng(seed)
    grid = tuple(rng.integers(6, 15, axes).tolist())
    shape = tuple(rng.integers(4, 10, axes).tolist())
    start = tuple(int(rng.integers(-3, n)) for n in grid)
    patch = Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)))
    plan = plan_of(transform, (*shape, 1), seed, mode)
    box = source_box(plan, patch, grid)

    low = np.minimum(start, 0)
    high = np.maximum(patch.stop, grid)
    whole = np.full((*(high - low), 1), 33, np.int16)
    inner = tuple(slice(-a, n - a) for a, n in zip(low.tolist(), grid, strict=True))
    whole[inner] = rng.integers(-500, 500, (*grid, 1))
    assert (np.array(box.start) >= low).all()
    assert (np.array(box.stop) <= high).all()
    part = whole[tuple(slice(*p) for p in zip(box.start - low, box.stop - low, strict=True))]

    wanted, got = (np.empty((*shape, 1), np.float32) for _ in range(2))
    place(whole, wanted, seen_from(plan, patch, Box(tuple(low), tuple(high))))
    place(part, got, seen_from(plan, patch, box))
    np.testing.assert_allclose(got, wanted, atol=2e-2)  # coordinates round another way
    masks = [np.empty((*shape, 1), np.int16) for _ in range(2)]
    place(whole, masks[0], seen_from(plan, patch, Box(tuple(low), tuple(high))), what="mask")
    place(part, masks[1], seen_from(plan, patch, box), what="mask")
    assert (masks[0] != masks[1]).mean() < 0.05  # halves may round either way


def test_what_stays_is_read_as_it_is():
    plan = Plan(matrix=np.eye(3, 4), shape=(5, 6, 7), fill=Fill())
    patch = Box((-2, 3, 60), (3, 9, 67))
    assert source_box(plan, patch, (20, 20, 64)) == patch
    assert seen_from(plan, patch, patch) is plan


def test_a_turn_reads_no_more_than_its_corners_reach():
    quarter = np.array([[0.0, -1.0, 7.0], [1.0, 0.0, 0.0]])
    plan = Plan(matrix=quarter, shape=(8, 8), fill=Fill())
    box = source_box(plan, Box((10, 10), (18, 18)), (64, 64))
    assert all(n <= 8 + 3 for n in box.shape)


def test_a_matrix_that_leads_nowhere_is_refused():
    plan = Plan(matrix=np.full((2, 3), np.nan), shape=(8, 8), fill=Fill())
    with pytest.raises(OptionError, match="finite"):
        source_box(plan, Box((0, 0), (8, 8)), (64, 64))
