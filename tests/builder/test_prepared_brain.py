"""A real head turned, cropped, resampled to 3 mm, and put on its own grid again."""

from __future__ import annotations

import shutil

import nibabel
import numpy as np
import pytest
from building import build0
from nibabel.affines import apply_affine
from zoo import MNI152

from niicache import open_cache
from niicache_builder import restore


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """Return the T1 volume, a mask of what is bright in it, and a cache of both."""
    root = tmp_path_factory.mktemp("brain")
    image = nibabel.load(MNI152)
    bright = (np.asanyarray(image.dataobj) > 130).astype(np.uint8)
    mask = nibabel.Nifti1Image(bright, image.affine)
    for folder in ("images", "labels"):
        (root / "s" / "head" / folder).mkdir(parents=True)
    shutil.copy(MNI152, root / "s" / "head" / "images" / "t1.nii.gz")
    nibabel.save(mask, root / "s" / "head" / "labels" / "t1.nii")
    build0(root / "s", root / "c", orient="PIR", spacing=(3, 3, 3), crop="foreground")
    return image, mask, open_cache(root / "c")


def centre(voxels, affine):
    """Return the centre of mass in mm."""
    sums = [voxels.sum(axis=tuple({0, 1, 2} - {axis}), dtype=float) for axis in range(3)]
    return apply_affine(affine, [np.average(np.arange(len(one)), weights=one) for one in sums])


def test_it_lies_where_it_lay(head):
    image, mask, cache = head
    view = cache["head"]
    affine = view.affine("t1")
    assert nibabel.aff2axcodes(affine) == tuple("PIR")
    np.testing.assert_allclose(view.column("spacing")[0], 3, rtol=0.01)
    for original, stored, most in zip((image, mask), view["t1"], (0.3, 0.3), strict=True):
        before = centre(np.asanyarray(original.dataobj), original.affine)
        assert np.linalg.norm(centre(stored[..., 0], affine) - before) < most


def test_it_comes_back_to_its_own_grid(head):
    image, mask, cache = head
    back = restore(cache, ("head", "t1"), cache["head"]["t1"].label)
    want, got = (np.asanyarray(one.dataobj).astype(bool) for one in (mask, back))
    np.testing.assert_array_equal(back.affine, image.affine)
    assert (back.shape, back.get_data_dtype()) == (image.shape, np.uint8)
    assert 2 * np.count_nonzero(want & got) / (want.sum() + got.sum()) > 0.85
    for form in ("sform_code", "qform_code"):
        assert int(back.header[form]) == int(image.header[form])
