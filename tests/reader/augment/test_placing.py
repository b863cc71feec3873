"""Many cases at once are placed as each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from niicache import augment
from niicache.augment.placing import Cases, place_cases
from niicache.augment.plan import Fill, Plan
from niicache.augment.warp import STRAIGHT, Line, place
from niicache.errors import OptionError
from niicache.sampling import sample_generator

SHAPES = [(11, 9, 3), (12, 10, 1), (7, 8, 9, 1), (6, 7, 5, 2), (5, 6, 1, 1)]
MOVES = [
    augment.Compose(augment.Affine(rotation=30, shift=2, p=0.5), augment.Flip(p=0.5)),
    augment.Compose(
        augment.Affine(zoom=(0.8, 1.3), fill_mode="reflect", p=0.7),
        augment.Elastic(magnitude=2, fill_mode="reflect", p=0.5),
    ),
    augment.Compose(augment.Flip(p=0.5), augment.CenterCrop(size=4)),
    augment.Compose(augment.Affine(shift=3, fill=7.5, fill_label=2)),
]


def cases_of(shape, dtype, count=9):
    rng = np.random.default_rng(len(shape))
    voxels = (rng.random((count, *shape)) * 200).astype(dtype)
    addresses = voxels.__array_interface__["data"][0] + np.arange(count) * voxels.strides[0]
    return voxels, Cases(addresses, voxels.dtype, shape)


def plans_of(transform, shape, count=9):
    plans = []
    for number in range(count):
        params = transform.draw(sample_generator(3, 0, 0, number), shape)
        plans.append(transform.plan(params, shape))
    return plans


def fitting(shape):
    """Return the moves that an image of a shape can make."""
    small = min(shape[:-1]) < 4
    return [one for one in MOVES if not (small and one is MOVES[2])]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("stored", "wanted"), [("int16", "float32"), ("float16", "float32"), ("uint8", "float64")]
)
def test_images(shape, stored, wanted):
    voxels, cases = cases_of(shape, stored)
    rng = np.random.default_rng(0)
    drawn = rng.uniform(0.5, 2, (len(voxels), 2, shape[-1])).tolist()
    lines = [Line(*map(tuple, one)) for one in drawn]
    lines[4] = Line((0.5,), (3.0,))  # one for all channels, among others
    for transform in fitting(shape):
        plans = plans_of(transform, shape)
        for some in ([STRAIGHT] * len(voxels), lines):
            out = transform.out_shape(shape)
            batch = np.full((len(voxels) + 1, *out), -1, wanted)
            slots = rng.permutation(len(voxels) + 1)[: len(voxels)]
            place_cases(cases, batch, slots, plans, some, what="image")
            for case, slot, plan, line in zip(voxels, slots, plans, some, strict=True):
                alone = np.empty(out, wanted)
                place(case, alone, plan, line)
                np.testing.assert_array_equal(batch[slot], alone)
            left = set(range(len(voxels) + 1)) - set(slots.tolist())
            assert (batch[list(left)] == -1).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_masks(shape, dtype):
    voxels, cases = cases_of(shape, dtype)
    for transform in fitting(shape):
        plans = plans_of(transform, shape)
        out = transform.out_shape(shape)
        batch = np.zeros((len(voxels), *out), dtype)
        lines = [Line((2.0,), (1.0,))] * len(voxels)  # of images alone
        slots = np.arange(len(voxels))
        place_cases(cases, batch, slots, plans, lines, what="mask")
        for case, made, plan in zip(voxels, batch, plans, strict=True):
            alone = np.empty(out, dtype)
            place(case, alone, plan, what="mask")
            np.testing.assert_array_equal(made, alone)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("what", ["image", "mask"])
def test_a_matrix_that_leads_out_of_the_memory_is_refused(value, what):
    _, cases = cases_of((6, 7, 1), "uint8")
    matrix = np.array([[value, 0.1, 0.0], [0.1, 1.0, 0.0]])
    plans = [Plan(matrix=matrix, shape=(6, 7), fill=Fill(mode="nearest"))] * 9
    batch = np.zeros((9, 6, 7, 1), "float32" if what == "image" else "uint8")
    with pytest.raises(OptionError, match=r"matrix: got .*expected finite numbers"):
        place_cases(cases, batch, np.arange(9), plans, [STRAIGHT] * 9, what=what)


@pytest.mark.parametrize("shape", [(2, 2), (3, 4)])
def test_a_matrix_of_other_axes_is_refused_wherever_it_is_among_the_others(shape):
    _, cases = cases_of((6, 7, 1), "uint8")
    odd = Plan(matrix=np.eye(*shape), shape=(6, 7), fill=Fill())
    plans = [Plan(matrix=np.eye(2, 3), shape=(6, 7), fill=Fill())] * 8 + [odd]
    batch = np.zeros((9, 6, 7, 1), "float32")
    with pytest.raises(OptionError, match=r"matrix: got shape .*expected \(2, 3\)"):
        place_cases(cases, batch, np.arange(9), plans, [STRAIGHT] * 9, what="image")


def test_whole_numbers_that_are_no_change_of_place_are_interpolated():
    voxels, cases = cases_of((6, 7, 1), "float32", count=2)
    rows = [[2.0, 0.0, 1.0], [0.0, 3.0, -1.0]], [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    plans = [Plan(matrix=np.array(one), shape=(6, 7), fill=Fill()) for one in rows]
    batch = np.empty((2, 6, 7, 1), "float32")
    place_cases(cases, batch, np.arange(2), plans, [STRAIGHT] * 2, what="image")
    for case, made, plan in zip(voxels, batch, plans, strict=True):
        alone = np.empty((6, 7, 1), "float32")
        place(case, alone, plan)
        np.testing.assert_array_equal(made, alone)


def test_a_case_keeps_its_bits_whatever_is_done_to_others_in_the_call():
    voxels, cases = cases_of((6, 7, 1), "float32")
    voxels[:] = -0.0
    plans = [Plan(matrix=np.eye(2, 3), shape=(6, 7), fill=Fill())] * 9
    lines = [STRAIGHT] * 8 + [Line((2.0,), (1.0,))]
    batch = np.ones((9, 6, 7, 1), "float32")
    place_cases(cases, batch, np.arange(9), plans, lines, what="image")
    assert np.signbit(batch[:8]).all()
    assert (batch[8] == 1).all()
