"""From a real head to a segmentation on its own grid: cache, patches, training, blending, NIfTI."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import nibabel
import numpy as np
import pytest

from niicache import BalancedSequence, augment, open_cache, sliding_window
from niicache_builder import BuildOptions, build, restore

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))

from mni_slices import load_head

PATCH = (16, 16, 16)


@pytest.fixture(scope="module")
def head():
    """Return the MNI152 head: image, grey and white matter, affine."""
    return load_head()


@pytest.fixture(scope="module")
def source(head, tmp_path_factory):
    """Return a folder of the left half for training, and of the right half to be predicted."""
    root = tmp_path_factory.mktemp("heads")
    middle = head.image.shape[0] // 2
    for name, half in (("train", slice(0, middle)), ("test", slice(middle, None))):
        affine = head.affine.copy()
        affine[:3, 3] += affine[:3, 0] * half.start
        for kind, voxels in (("images", head.image), ("labels", head.mask)):
            file = root / name / "brain" / kind / "half.nii.gz"
            file.parent.mkdir(parents=True)
            nibabel.save(nibabel.Nifti1Image(voxels[half], affine), file)
    return root


def convolved(voxels, filters):
    """Return a convolution whose scale does not depend on how it began."""
    made = keras.layers.Conv3D(filters, 3, padding="same", use_bias=False)(voxels)
    return keras.layers.Activation("relu")(keras.layers.GroupNormalization(2)(made))


def unet():
    """Return a U-Net of two levels for three labels."""
    image = keras.Input((None, None, None, 1))
    high = convolved(image, 8)
    low = convolved(keras.layers.MaxPooling3D()(high), 16)
    both = keras.layers.Concatenate()([high, keras.layers.UpSampling3D()(low)])
    return keras.Model(image, keras.layers.Conv3D(3, 1, activation="softmax")(convolved(both, 8)))


def dice(found, truth, value):
    """Return twice the overlap by the sum of both."""
    a, b = found == value, truth == value
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_two_epochs_segment_the_other_half_better_than_any_constant(source, tmp_path):
    for part in ("train", "test"):
        build(source / part, tmp_path / part, BuildOptions(workers=0, patch=PATCH))
    sequence = BalancedSequence(
        tmp_path / "train",
        8,
        patch=PATCH,
        foreground=0.5,
        steps=40,
        transform=augment.Compose(augment.ZScore(), augment.Flip()),
    )
    keras.utils.set_random_seed(1)
    model = unet()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(sequence, epochs=2, verbose=0, shuffle=False)

    cache = open_cache(tmp_path / "test")
    case = ("brain", "half")
    scores = sliding_window(
        cache,
        case,
        model.predict_on_batch,
        patch=PATCH,
        overlap=0.1,
        batch_size=16,
        transform=augment.ZScore(),
    )
    found = restore(cache, case, scores.argmax(axis=-1).astype(np.uint8))

    truth = nibabel.load(source / "test" / "brain" / "labels" / "half.nii.gz")
    assert found.shape == truth.shape
    np.testing.assert_allclose(found.affine, truth.affine)
    voxels, wanted = (np.asanyarray(one.dataobj) for one in (found, truth))
    for value in (1, 2):
        constant = dice(np.full_like(wanted, value), wanted, value)
        assert dice(voxels, wanted, value) > 0.6 > constant + 0.15
