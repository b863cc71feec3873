"""Weights beside a function of the user: they are right, or the function is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from niicache import BalancedSequence, OrderedSequence, augment
from niicache.augment import Transform
from niicache.errors import OptionError
from niicache.unmoved import left_in_place


def flipped(image, label, rng):
    del rng
    return image[::-1], label[::-1]


def flipped_in_place(image, label, rng):
    del rng
    image[...], label[...] = image[::-1].copy(), label[::-1].copy()
    return image, label


@dataclass(frozen=True)
class Mirror(Transform):
    """A transform that somebody wrote, which the resampling knows nothing of."""

    def draw(self, rng, shape, facts=None):
        del rng, shape, facts
        return 1

    def apply(self, image, label, params):
        del params
        return image[::-1], label[::-1]


@pytest.mark.parametrize(
    "transform",
    [
        flipped,
        flipped_in_place,
        Mirror(),
        augment.Lambda(sample=flipped),
        augment.Compose(augment.Flip(), augment.Lambda(sample=flipped)),
    ],
)
@pytest.mark.parametrize("sample_weight", ["balanced", "valid"])
def test_a_function_that_moves_masks_is_refused(mask_cache, transform, sample_weight):
    options = {"transform": transform, "sample_weight": sample_weight}
    message = r"moved or redrew the mask of sample \d+, .* move voxels by transforms of"
    for sequence in (
        BalancedSequence(mask_cache, 4, **options),
        OrderedSequence(mask_cache, 4, **options),
    ):
        with pytest.raises(OptionError, match=message):
            sequence[0]


def test_a_patch_too(patch_cache):
    sequence = BalancedSequence(
        patch_cache, 4, patch=12, foreground=1.0, transform=flipped, sample_weight="valid"
    )
    with pytest.raises(OptionError, match="moved or redrew the mask"):
        sequence[0]


def test_functions_of_images_alone_and_without_weights_may_do_anything(mask_cache):
    image_only = augment.Lambda(image=lambda image: image[::-1])
    BalancedSequence(mask_cache, 4, transform=image_only, sample_weight="valid")[0]
    BalancedSequence(mask_cache, 4, transform=flipped)[0]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_other_names_of_labels_are_no_move(dtype):
    masks = np.random.default_rng(0).integers(0, 4, (2, 5, 6, 1)).astype(dtype)
    if dtype == "float32":
        masks[masks == 3] = np.nan
    with left_in_place(masks):
        masks[masks == 1] = 7
        masks[masks == 2] = 7
    with pytest.raises(OptionError, match="sample 1"), left_in_place(masks):
        masks[1, 0, 0] = 9
