"""``padding``: what images hold where no real voxel lies, whatever was done to the others."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import real_voxels

from niicache import BalancedSequence, OrderedSequence, augment, open_cache, sliding_window
from niicache.errors import OptionError

CACHES = ["mask_cache", "vector_cache", "volume_cache", "patch_cache"]
TURN = augment.Affine(rotation=40, p=1.0)


@pytest.fixture(params=CACHES)
def cache(request):
    return open_cache(request.getfixturevalue(request.param))


@pytest.mark.parametrize("options", [{}, {"normalize": "zscore"}, {"dtype": "float16"}], ids=str)
def test_it_stands_around_whole_cases_and_nowhere_else(cache, options):
    for kind in (OrderedSequence, BalancedSequence):
        told = kind(cache, 4, padding=-7, **options)
        plain = kind(cache, 4, **options)
        names = told.cases(0) if kind is OrderedSequence else told.cases(0, 0)
        some = False
        for image, other, name in zip(told[0][0], plain[0][0], names, strict=True):
            inside = real_voxels(cache, *name)
            np.testing.assert_array_equal(image[inside], other[inside])
            assert (image[~inside] == -7).all()
            some |= not inside.all()
        assert some


@pytest.mark.parametrize("noise", [False, True])
def test_it_stands_where_weights_are_nothing(cache, noise):
    """The same voxels are real to both, moved and cut."""
    if cache.manifest.recipe.label_kind != "mask":
        pytest.skip("weights are of masks")
    transform = augment.Compose(TURN, *[augment.GaussianNoise(p=1.0)] * noise)
    options = {"normalize": "zscore", "transform": transform, "seed": 5}
    images, _, weights = BalancedSequence(
        cache, 6, **options, padding=3.5, sample_weight="valid"
    ).batch(1, 0)
    others, _ = BalancedSequence(cache, 6, **options).batch(1, 0)
    outside = weights == 0
    assert outside.any()
    assert (images[outside] == 3.5).all()
    np.testing.assert_array_equal(images[~outside], others[~outside])


@pytest.mark.parametrize("transform", [None, TURN])
def test_patches_have_it_too(patch_cache, transform):
    sequence = BalancedSequence(
        patch_cache,
        6,
        patch=(12, 10, 24),  # longer than the images along the last axis
        padding=9,
        normalize="minmax",
        transform=transform,
        sample_weight="valid",
        foreground=0.5,
        steps=2,
    )
    for step in range(2):
        images, _, weights = sequence.batch(0, step)
        assert (weights == 0).any()
        assert (images[weights == 0] == 9).all()
        assert (images[weights == 1] <= 1).all()


def test_a_sliding_window_sees_what_training_saw(patch_cache):
    cache = open_cache(patch_cache)
    seen = []

    def predict(patches):
        seen.append(patches.copy())
        return patches

    for padding in (None, 5.0):
        sliding_window(
            cache, ("ill", "c0"), predict, patch=(30, 28, 24), normalize="zscore", padding=padding
        )
    (plain,), (told,) = seen
    inside = np.zeros(plain.shape[:-1], bool)
    inside[told[..., 0] != 5] = True
    assert 0 < inside.mean() < 1
    np.testing.assert_array_equal(plain[inside], told[inside])


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: augment.Lambda(sample=f)])
def test_it_is_the_last_thing_that_is_done(mask_cache, wrap):
    def brighter(image, label, rng):
        del rng
        return image + 1, label

    sequence = BalancedSequence(
        mask_cache, 4, padding=-5, transform=wrap(brighter), sample_weight="valid"
    )
    images, _, weights = sequence[0]
    assert (weights == 0).any()
    assert (images[weights == 0] == -5).all()


def test_a_function_that_moves_masks_is_refused_beside_it(mask_cache):
    def flipped(image, label, rng):
        del rng
        return image[::-1], label[::-1]

    with pytest.raises(OptionError, match="sample_weight and padding cannot follow"):
        BalancedSequence(mask_cache, 4, padding=0, transform=flipped)[0]


def test_a_resumed_run_compares_it(patch_cache):
    one, other, none = (
        BalancedSequence(patch_cache, 4, padding=padding)._stream() for padding in (1, 2, None)
    )
    assert one != other
    assert "padding" not in none


@pytest.mark.parametrize(
    ("padding", "dtype"),
    [("0", "float32"), (np.nan, "float32"), (1e39, "float32"), (1e5, "float16"), (True, "float32")],
)
def test_what_images_cannot_hold_is_refused(mask_cache, padding, dtype):
    with pytest.raises(OptionError, match=r"padding: got .*, expected a number that images of"):
        BalancedSequence(mask_cache, 4, padding=padding, dtype=dtype)


@pytest.mark.parametrize(("padding", "right"), [(7, True), (-40000, False), (0.5, False)])
def test_whole_numbers_hold_whole_numbers(vector_cache, padding, right):
    stored = open_cache(vector_cache).manifest.recipe.image.dtype
    assert stored == "int16"
    if right:
        images, _ = BalancedSequence(vector_cache, 4, padding=padding, dtype=stored)[0]
        assert (images == padding).any()
    else:
        with pytest.raises(OptionError, match="images of int16 hold"):
            BalancedSequence(vector_cache, 4, padding=padding, dtype=stored)
