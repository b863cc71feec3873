"""MixUp and CutMix: numpy is the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from niicache.augment import CutMix, MixUp
from niicache.errors import OptionError

seeds = st.integers(0, 2**32)


def batch(shape=(6, 8, 9, 1), seed=0):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=shape).astype("float32")
    return images, np.eye(len(images), 4, dtype="float32")


@given(seed=seeds)
def test_mixup_blends_images_and_labels_by_the_same_share(seed):
    images, labels = batch()
    kept = images.copy(), labels.copy()
    params = MixUp(alpha=1.0).draw(np.random.default_rng(seed), images.shape)
    mixed, blended = MixUp().apply(images, labels, params)
    for i, (j, share) in enumerate(zip(params.partner, params.share, strict=True)):
        np.testing.assert_allclose(
            mixed[i], share * kept[0][i] + (1 - share) * kept[0][j], atol=1e-5
        )
        np.testing.assert_allclose(
            blended[i], share * kept[1][i] + (1 - share) * kept[1][j], atol=1e-6
        )
    assert mixed.dtype == blended.dtype == "float32"
    np.testing.assert_array_equal(images, kept[0])
    np.testing.assert_array_equal(labels, kept[1])


def test_shares_are_of_a_beta_distribution_and_only_some_are_mixed():
    params = MixUp(alpha=0.4, p=0.5).draw(np.random.default_rng(0), (5000, 2, 2, 1))
    mixed = params.share[params.share < 1]
    assert 2300 < len(mixed) < 2700
    assert kstest(mixed, beta(0.4, 0.4).cdf).pvalue > 1e-3
    assert sorted(params.partner) == list(range(5000))


@given(seed=seeds)
@pytest.mark.parametrize("shape", [(6, 8, 9, 2), (4, 5, 6, 7, 1)])
def test_cutmix_puts_in_one_box_with_its_mask_and_counts_its_voxels(shape, seed):
    images = np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape)
    images = images.astype("float32")
    masks = images[..., :1].astype("uint8")
    labels = np.eye(shape[0])
    params = CutMix(p=0.8).draw(np.random.default_rng(seed), shape)
    mixed, blended = CutMix().apply(images, labels, params)
    cut, made = CutMix().apply(images, masks, params)
    np.testing.assert_array_equal(cut, mixed)
    np.testing.assert_array_equal(made, mixed[..., :1])
    assert made.dtype == "uint8"
    for i, j in enumerate(params.partner):
        foreign = mixed[i, ..., 0] != i
        assert set(np.unique(mixed[i]).tolist()) <= {i, j}
        if i != j:
            assert blended[i, i] == pytest.approx(1 - foreign.mean())
            assert blended[i, j] == pytest.approx(foreign.mean())
            box = tuple(map(slice, params.first[i], params.stop[i]))
            assert foreign[box].all()
            assert foreign.sum() == foreign[box].size
        assert blended[i].sum() == pytest.approx(1)


def test_cutmix_cuts_about_as_much_as_it_draws():
    params = CutMix(alpha=1.0).draw(np.random.default_rng(0), (4000, 32, 32, 1))
    inside = ((params.first > 0) & (params.stop < 32)).all(1)  # the others are cut at the border
    assert 0.4 < params.share.mean() < 0.8
    assert params.share[inside].min() < 0.5
    none = CutMix(p=0.0).draw(np.random.default_rng(0), (9, 8, 8, 1))
    assert (none.share == 1).all()


def test_whole_numbers_of_labels_are_blended_as_floats():
    images, _ = batch()
    for one in (MixUp(alpha=1.0), CutMix()):
        _, blended = one(images, np.eye(6, dtype="int32"), np.random.default_rng(0))
        assert blended.dtype == "float32"
        np.testing.assert_allclose(blended.sum(1), 1, rtol=1e-6)


def test_mixup_refuses_masks_and_whole_numbers_of_voxels():
    images, labels = batch()
    with pytest.raises(OptionError, match=r"MixUp: got labels of shape.*use CutMix for masks"):
        MixUp()(images, images.astype("uint8"), np.random.default_rng(0))
    with pytest.raises(OptionError, match="MixUp: got images of int16, expected floats"):
        MixUp()(images.astype("int16"), labels, np.random.default_rng(0))


def test_none_is_to_do_nothing():
    images, labels = batch()
    for one in (MixUp(), CutMix()):
        made = one.apply(images, labels, None)
        assert made[0] is images
        assert made[1] is labels


def test_what_is_not_blended_keeps_its_bits_whatever_its_partner_holds():
    images = np.ones((6, 3, 3, 1), "float32")
    images[1] = np.nan
    images[2] = np.inf
    labels = np.array([[1.0], [np.nan], [2.0], [3.0], [4.0], [5.0]], "float32")
    for seed in range(9):
        made, marks = MixUp(p=0)(images, labels, np.random.default_rng(seed))
        assert made.tobytes() == images.tobytes()
        assert marks.tobytes() == labels.tobytes()


@pytest.mark.parametrize("shape", [(2,), (2, 8, 8), (2, 4, 4, 1)])
def test_cutmix_averages_no_codes_and_no_masks_of_another_grid(shape):
    images, labels = np.zeros((2, 8, 8, 1), "float32"), np.zeros(shape, "uint8")
    with pytest.raises(OptionError, match=r"CutMix: got labels of shape .*\(batch, k\)"):
        CutMix()(images, labels, np.random.default_rng(3))
