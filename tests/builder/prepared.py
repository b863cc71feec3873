"""Sources for tests of preparation: images that point every way, with masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
from orientations import WORDS, pointing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SPACING = (1.0, 1.4, 2.2)


def put(
    path: Path, voxels: np.ndarray, affine: np.ndarray, codes: tuple[int, int] = (1, 1)
) -> None:
    """Write a NIfTI file whose affine stands in both forms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, affine, dtype=voxels.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, codes[0], update_affine=False)
    image.set_qform(affine, codes[1], update_affine=False)
    nibabel.save(image, path)


def turned_source(
    root: Path,
    words: Sequence[str] = WORDS,
    *,
    shape: tuple[int, int, int] = (9, 7, 8),
    margin: int = 0,
    spacing: tuple[float, float, float] = SPACING,
) -> Path:
    """Write ``head/images`` and ``head/labels``, a case for each orientation, obliquely.

    Args:
        root: The folder to make.
        words: Orientations, which are the names of the cases.
        shape: Of the volumes, in an order that is drawn.
        margin: Voxels around the image that are 0.
        spacing: Edge lengths of voxels, mm.
    """
    rng = np.random.default_rng(0)
    for word in words:
        size = tuple(rng.permutation(shape).tolist())
        image = rng.integers(1, 999, size, np.int16)
        inside = np.zeros(size, bool)
        inside[tuple(slice(margin, n - margin) for n in size)] = True
        image[~inside] = 0
        mask = (rng.integers(0, 3, size) * inside).astype(np.uint8)
        affine = pointing(word, spacing, (7, -5, 4), (-30, 20, 9))
        put(root / "head" / "images" / f"{word}.nii.gz", image, affine)
        put(root / "head" / "labels" / f"{word}.nii.gz", mask, affine)
    return root


def source_image(root: Path, name: str, kind: str = "images") -> nibabel.Nifti1Image:
    """Return nibabel's reading of an image or a mask of :func:`turned_source`."""
    return nibabel.load(root / "head" / kind / f"{name}.nii.gz")


def voxels_of(image: nibabel.Nifti1Image) -> np.ndarray:
    """Return the voxels as they are stored."""
    return np.asanyarray(image.dataobj)
