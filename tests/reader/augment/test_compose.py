"""Several transforms as one resampling: numpy's own indexing and scipy are the judges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import judged, places

from niicache import augment
from niicache.augment import (
    Affine,
    Brightness,
    CenterCrop,
    Compose,
    Elastic,
    Facts,
    Flip,
    Lambda,
    MixUp,
    RandomCrop,
    Rescale,
    Rotate90,
    Transform,
    ZScore,
)
from niicache.augment.plan import Fill
from niicache.augment.warp import STRAIGHT, place
from niicache.errors import OptionError

SHAPES = [(9, 9, 2), (7, 7, 7, 1)]
MODES = ["constant", "nearest", "reflect", "wrap"]


def sample(shape, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape).astype("float32")
    return image, rng.integers(0, 4, (*shape[:-1], 1)).astype("uint8")


def turned(image, one, params):
    """Return what numpy makes of a transform that is index arithmetic."""
    if params is None:
        return image
    if isinstance(one, Flip):
        return np.flip(image, params)
    if isinstance(one, Rotate90):
        return np.rot90(image, params, one.axes)
    box = tuple(slice(first, first + one.size) for first in params)
    return image[box]


exact = st.one_of(
    st.builds(Flip, axes=st.sampled_from([None, (0,), (1, 0)])),
    st.builds(Rotate90, axes=st.sampled_from([(0, 1), (1, 0)])),
    st.builds(RandomCrop, size=st.integers(4, 5)),
    st.builds(CenterCrop, size=st.integers(4, 5)),
)


@pytest.mark.parametrize("shape", SHAPES)
@given(chain=st.lists(exact, min_size=1, max_size=5), seed=st.integers(0, 2**32))
def test_mirrors_turns_and_crops_are_index_arithmetic_however_they_are_composed(shape, chain, seed):
    chain.sort(key=lambda one: -getattr(one, "size", 9))
    image, mask = sample(shape)
    image[0, 0] = np.nan
    chained = Compose(*chain)
    params = chained.draw(np.random.default_rng(seed), shape)
    made, label = chained.apply(image, mask, params)
    for one, drawn in zip(chain, params, strict=True):
        image, mask = turned(image, one, drawn), turned(mask, one, drawn)
    np.testing.assert_array_equal(made, image)
    np.testing.assert_array_equal(label, mask)
    assert made.dtype == "float32"
    assert label.dtype == "uint8"


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
@pytest.mark.parametrize("shape", SHAPES)
def test_what_moves_voxels_is_one_resampling_along_the_chain_of_places(shape, mode, seed):
    rng, outside = np.random.default_rng(seed), {"fill_mode": mode, "fill": -3, "fill_label": 7}
    chain = [
        Affine(rotation=40, shift=2, **outside),
        RandomCrop(size=5),
        Flip(),
        Affine(zoom=(0.6, 1.5), shear=10, **outside),
        Elastic(magnitude=2, p=1.0, **outside),
    ]
    image, mask = sample(shape, seed)
    params = Compose(*chain).draw(rng, shape)
    made, label = Compose(*chain).apply(image, mask, params)
    # from the last to the first: where does each voxel of the output come from?
    spatial = (5,) * (len(shape) - 1)
    at = places(np.eye(len(spatial), len(spatial) + 1), spatial, params[-1])
    shapes = [shape, shape, (*spatial, shape[-1]), (*spatial, shape[-1])]
    for one, drawn, before in list(zip(chain, params, shapes, strict=False))[::-1]:
        if drawn is not None:
            matrix = one.matrix(drawn, before)
            at = np.tensordot(matrix[:, :-1], at, 1) + matrix[:, -1].reshape(
                -1, *[1] * len(spatial)
            )
    from scipy.ndimage import map_coordinates

    for channel in range(shape[-1]):
        judge = map_coordinates(image[..., channel].astype(float), at, order=1, mode=mode, cval=-3)
        # a place on the very border may fall to either side of it
        off = ~np.isclose(made[..., channel], judge, rtol=0, atol=1e-3)
        assert off.mean() < 0.02
    judge = map_coordinates(mask[..., 0], at, order=0, mode=mode, cval=7)
    assert (label[..., 0] != judge).mean() < 0.02


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    mode=st.sampled_from(MODES),
    labels=st.sets(st.integers(0, 255), min_size=1, max_size=4),
)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_never_gets_a_label_that_it_had_not(shape, mode, labels, seed):
    image, _ = sample(shape)
    rng = np.random.default_rng(seed)
    mask = rng.choice(sorted(labels), (*shape[:-1], 1)).astype("uint8")
    outside = {"fill_mode": mode, "fill_label": 200}
    every = Compose(
        Affine(rotation=90, zoom=(0.5, 2), shear=20, shift=4, **outside),
        Elastic(magnitude=4, p=1.0, **outside),
        augment.medical(fill_mode=mode, fill_label=200).transforms[-1],
    )
    _, made = every(image, mask, rng)
    assert set(np.unique(made).tolist()) <= labels | ({200} if mode == "constant" else set())


@pytest.mark.parametrize("label", [np.arange(4.0), np.zeros(3, "uint8"), np.zeros((1,))])
def test_vectors_and_one_hot_labels_pass_through(label):
    image, _ = sample(SHAPES[0])
    for one in (augment.light(), augment.medical(), Flip(p=1.0)):
        assert one(image.copy(), label, np.random.default_rng(1))[1] is label


def test_where_nothing_is_drawn_the_arrays_are_returned_as_they_are():
    image, mask = sample(SHAPES[1])
    for one in (Compose(), Compose(Affine(p=0.0), Flip(p=0.0)), Affine(), CenterCrop(size=7)):
        made = one(image, mask, np.random.default_rng(0))
        assert made[0] is image
        assert made[1] is mask


def test_image_and_mask_are_each_resampled_once(monkeypatch):
    calls = []
    from niicache.augment import resampling

    real = resampling.resample
    monkeypatch.setattr(
        resampling, "resample", lambda *a, **k: (calls.append(k["order"]), real(*a, **k))
    )
    chain = Compose(Affine(rotation=9), Flip(p=1.0), Affine(shift=2), Elastic(p=1.0))
    chain(*sample(SHAPES[1]), np.random.default_rng(0))
    assert sorted(calls) == ["linear", "nearest"]


def test_intensities_follow_in_their_order_and_see_the_final_shape():
    shapes = []
    see = Lambda(image=lambda image: shapes.append(image.shape) or image + 1)
    chain = Compose(see, Rescale(scale=2.0), see, CenterCrop(size=4))
    image, mask = sample(SHAPES[0])
    made, _ = chain(image.copy(), mask, np.random.default_rng(0))
    assert shapes == [(4, 4, 2)] * 2
    np.testing.assert_allclose(made, (image[2:6, 2:6] + 1) * 2 + 1, rtol=1e-6)
    assert chain.out_shape((9, 9, 2)) == (4, 4, 2)


class Still(Transform):
    """Does nothing, and keeps what follows from being part of the resampling."""

    def draw(self, *_):
        return None

    def apply(self, image, label, _):
        return image, label


def facts_of(channels):
    """Return facts of a case whose channels differ."""
    mean, std = np.linspace(40, 60, channels), np.linspace(12.5, 3, channels)
    return Facts(mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def placed_by(chain, source, out, params, *, what="image"):
    """Resample as a reader does, into memory that is there."""
    line = (chain.line(params) or STRAIGHT) if what == "image" else STRAIGHT
    place(source, out, chain.plan(params, source.shape), line, what=what)


scales = st.sampled_from(
    [(), (Rescale(scale=0.25, offset=-3),), (ZScore(),), (ZScore(p=0.5), Rescale(scale=2.0))]
)
moves = st.sampled_from(
    [
        (),
        (Flip(p=0.5),),
        (CenterCrop(size=5), Rotate90()),
        (Affine(rotation=30, shift=4, zoom=(0.8, 1.2), fill=-5, fill_label=9, p=0.7),),
    ]
)


@settings(max_examples=40)
@given(
    scaled=scales,
    moved=moves,
    stored=st.sampled_from(["int16", "uint8", "float32"]),
    seed=st.integers(0, 2**32),
)
@pytest.mark.parametrize("shape", SHAPES)
def test_placing_and_finishing_is_applying_one_by_one(shape, scaled, moved, stored, seed):
    chain = Compose(*moved, *scaled, Brightness(multiply=(0.5, 2)))
    plain = Compose(*moved, Still(), *scaled, Brightness(multiply=(0.5, 2)))
    rng = np.random.default_rng(seed)
    source = rng.integers(0, 99, shape).astype(stored)
    mask = rng.integers(0, 4, (*shape[:-1], 1)).astype("uint8")
    params = chain.draw(np.random.default_rng(seed), shape, facts_of(shape[-1]))
    image = np.full(chain.out_shape(shape), np.nan, "float32")
    label = np.full(chain.out_shape(mask.shape), 77, "uint8")
    placed_by(chain, source, image, params)
    placed_by(chain, mask, label, params, what="mask")
    placed = image.copy()
    made = chain.finish(image, label, params)
    assert made[0] is image
    assert made[1] is label
    whole = chain.apply(source.copy(), mask, params)
    np.testing.assert_array_equal(made[0], whole[0])
    np.testing.assert_array_equal(made[1], whole[1])
    after = len(moved)
    judge = plain.apply(source.copy(), mask, (*params[:after], None, *params[after:]))
    np.testing.assert_allclose(made[0], judge[0], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(made[1], judge[1])
    if not scaled and all(one is None for one in params[:after]):
        np.testing.assert_array_equal(placed, source.astype("float32"))


def test_a_scale_is_part_of_the_resampling_only_where_it_comes_first():
    image, _ = sample(SHAPES[0])
    for chain, factor in (
        (Compose(Flip(p=1.0), Rescale(scale=4.0), Brightness(add=(1, 1))), 4),
        (Compose(Flip(p=1.0), Brightness(add=(1, 1)), Rescale(scale=4.0)), 1),
    ):
        params = chain.draw(np.random.default_rng(0), image.shape)
        out = np.empty_like(image)
        placed_by(chain, image, out, params)
        np.testing.assert_array_equal(out, np.flip(image, (0, 1)) * np.float32(factor))


def test_an_image_may_be_placed_from_any_layout_and_only_where_it_fits():
    image, _ = sample((9, 9, 4))
    chain = Compose(CenterCrop(size=5))
    params = chain.draw(np.random.default_rng(0), (9, 9, 2))
    out = np.empty((5, 5, 2), np.float16)
    placed_by(chain, image[..., ::2], out, params)
    np.testing.assert_array_equal(out, image[2:7, 2:7, ::2].astype(np.float16))
    with pytest.raises(OptionError, match=r"out: got shape \(9, 9, 2\), expected \(5, 5, 2\)"):
        placed_by(chain, image[..., ::2], np.empty((9, 9, 2), np.float32), params)
    still = Compose(Flip(p=0.0))
    with pytest.raises(OptionError, match="out: got dtype int16, expected a float dtype"):
        placed_by(still, image, np.empty((9, 9, 4), np.int16), (None,))


def test_a_compose_in_a_compose_is_taken_apart():
    a, b, c = Flip(), Affine(), Brightness()
    assert Compose(Compose(a, Compose(b)), c) == Compose(a, b, c)
    assert hash(Compose(a, b)) == hash(Compose(Compose(a), b))
    assert Compose(a, b) != Compose(b, a)
    with pytest.raises(AttributeError, match="immutable"):
        Compose(a).transforms = ()


def test_the_plan_can_be_had_without_a_voxel():
    chain = Compose(CenterCrop(size=4), Flip(p=1.0), Affine(fill=2.0))
    params = chain.draw(np.random.default_rng(0), (9, 9, 1))
    plan = chain.plan(params, (9, 9, 1))
    assert plan.matrix.tolist() == [[-1, 0, 5], [0, -1, 5]]
    assert plan.shape == (4, 4)
    assert plan.fill == Fill(value=2.0)
    assert plan.displacement is None


def test_an_image_of_integers_becomes_float32_where_it_is_interpolated():
    image = np.arange(81, dtype="int16").reshape(9, 9, 1)
    made, _ = Affine(shift=(1, 1))(image, np.zeros(1), np.random.default_rng(0))
    assert made.dtype == "float32"
    judge = judged(
        image.astype("f4"), np.array([[1, 0, 1], [0, 1, 1.0]]), (9, 9), "linear", "constant"
    )
    np.testing.assert_array_equal(made, judge)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([lambda *sample: sample], "Compose: got <function.*wrap a function in Lambda"),
        ([MixUp()], "Compose: got MixUp.*give MixUp and CutMix as batch_transform"),
        ([Elastic(), Flip()], "Elastic: got Elastic and Flip, expected one.*after all other"),
        ([Elastic(), Elastic()], "Elastic: got Elastic and Elastic"),
        ([Affine(fill=1), Elastic()], "fill: got Fill.*expected one for all spatial transforms"),
    ],
)
def test_what_cannot_be_composed_is_refused(transforms, message):
    with pytest.raises(OptionError, match=message):
        Compose(*transforms)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4, 4, 1)])
def test_what_is_no_sample_is_refused(shape):
    for one in (Affine(), Flip(), Brightness(), augment.light()):
        with pytest.raises(OptionError, match=r"got an image of shape.*2 or 3"):
            one.draw(np.random.default_rng(0), shape)


@pytest.mark.parametrize("order", ["<", ">"])
def test_masks_of_bool_and_any_byte_order_are_moved_as_others(order):
    image, _ = sample((12, 11, 1))
    mask = np.random.default_rng(0).random((12, 11, 1)) < 0.5
    chain = Compose(Affine(rotation=(20, 20), fill_label=1), Flip(p=1.0))
    given = chain(image, mask.astype("uint8"), np.random.default_rng(0))
    odd = image.astype(np.dtype(image.dtype).newbyteorder(order))
    made = chain(odd, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(made[0], given[0])
    assert made[1].dtype == np.bool_
    np.testing.assert_array_equal(made[1].view("uint8"), given[1])
    moved = chain(odd, mask.astype(f"{order}i2"), np.random.default_rng(0))[1]
    np.testing.assert_array_equal(moved, given[1])


def test_masks_of_bool_are_filled_with_nothing_else():
    mask = np.ones((12, 11, 1), np.bool_)
    with pytest.raises(OptionError, match="fill_label: got 2, expected 0 or 1 for masks of bool"):
        Affine(rotation=(20, 20), fill_label=2)(
            np.zeros((12, 11, 1)), mask, np.random.default_rng(0)
        )
