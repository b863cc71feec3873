"""Transforms in a BalancedSequence."""

from __future__ import annotations

import numpy as np
import pytest

from niicache import BalancedSequence, augment
from niicache.errors import OptionError


@pytest.mark.parametrize("cache", ["mask_cache", "vector_cache", "volume_cache"])
def test_a_batch_is_augmented_the_same_by_any_number_of_workers(cache, request):
    path = request.getfixturevalue(cache)
    options = {"seed": 3, "transform": augment.medical()}
    one = BalancedSequence(path, 6, workers=1, **options)
    two = BalancedSequence(path, 6, workers=3, **options)
    plain = BalancedSequence(path, 6, seed=3)
    for epoch in range(2):
        batches = (sequence.batch(epoch, 0) for sequence in (one, two, plain))
        for a, b, c in zip(*batches, strict=True):
            np.testing.assert_array_equal(a, b)
            assert (a.shape, a.dtype) == (c.shape, c.dtype)
    assert (one[0][0] != plain[0][0]).any()


def test_a_crop_in_a_sequence_is_refused_with_what_to_do(mask_cache):
    cropped = BalancedSequence(mask_cache, 4, transform=augment.CenterCrop(size=4))
    with pytest.raises(OptionError, match="keep the shape"):
        cropped[0]
