"""Arrays as NIfTI files. With ``nifti_record`` the only place for nibabel."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

import numpy as np
from nibabel.nifti1 import Nifti1Image

from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS: Final = "biuf"
NARROW: Final = {"bool": "uint8", "float16": "float32"}
"""What NIfTI has no type for, and what holds it."""

SUFFIXES: Final = (".nii.gz", ".nii")
GZIP_LEVEL: Final = 1
"""nibabel's own: masks shrink as well, and anything higher takes several times as long."""


def make_image(voxels: np.ndarray, affine: Sequence[Sequence[float]]) -> Nifti1Image:
    """Return an image in mm.

    Args:
        voxels: Of a real dtype; what NIfTI has no type for becomes the next wider one.
        affine: 4x4, voxel to world, mm.

    Raises:
        OptionError: The dtype is not real.
    """
    if voxels.dtype.kind not in KINDS or voxels.dtype.itemsize > 8:  # noqa: PLR2004 - bytes
        raise OptionError(
            f"array: got {voxels.dtype}, expected whole numbers or floats of at most 8 bytes"
        )
    data = voxels.astype(NARROW.get(voxels.dtype.name, voxels.dtype.name), copy=False)
    image = Nifti1Image(data, np.array(affine, np.float64), dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    return image


def image_bytes(image: Nifti1Image, *, compressed: bool) -> bytes:
    """Return the file of an image, the same for the same image."""
    data: bytes = image.to_bytes()
    return gzip.compress(data, GZIP_LEVEL, mtime=0) if compressed else data
