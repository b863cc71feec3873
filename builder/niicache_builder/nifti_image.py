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


def make_image(
    voxels: np.ndarray,
    affine: Sequence[Sequence[float]],
    codes: tuple[int, int] | None = None,
) -> Nifti1Image:
    """Return an image in mm.

    Args:
        voxels: Of a real dtype; what NIfTI has no type for becomes the next wider one.
        affine: 4x4, voxel to world, mm.
        codes: sform_code and qform_code, which say what the affine means; both forms are that
            affine. nibabel's choice if None: an sform that is "aligned", and no qform.

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
    if codes is not None:
        _set_forms(image, codes)
    return image


def _set_forms(image: Nifti1Image, codes: tuple[int, int]) -> None:
    """Give an image the codes of its source, unless no reader would find its affine then."""
    affine = image.affine.copy()
    header = image.header.copy()
    header.set_sform(affine, code=2)
    header.set_qform(affine, code=2)
    # Straight into the record: nibabel refuses codes that came after it.
    header["sform_code"], header["qform_code"] = codes
    # Without any code voxels lie where their distances alone put them, which says little.
    if any(codes) or np.allclose(header.get_base_affine(), affine):
        image.set_sform(affine, update_affine=False)
        image.set_qform(affine, update_affine=False)
        image.header["sform_code"], image.header["qform_code"] = codes


def image_bytes(image: Nifti1Image, *, compressed: bool) -> bytes:
    """Return the file of an image, the same for the same image."""
    data: bytes = image.to_bytes()
    return gzip.compress(data, GZIP_LEVEL, mtime=0) if compressed else data
