"""Volumes of a real brain, each from another place and with noise of its own, seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
from mni_slices import load_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Array

CONTRAST = 6  # the template ends at 255, scanners go on to some 1,500
NOISE = 15.0  # standard deviation in the brain; around it is 0, as after brain extraction


def crops(count: int, shape: tuple[int, ...], *, seed: int = 0) -> Iterator[Array]:
    """Yield int16 boxes of the MNI152 head, at places of their own.

    Args:
        count: How many.
        shape: Of each, in voxels; where the head is smaller it lies in zeros.
        seed: The same seed gives the same voxels.
    """
    head = load_head().image.astype(np.float32) * CONTRAST
    rng = np.random.default_rng(seed)
    widths = [(max(0, want - have),) * 2 for want, have in zip(shape, head.shape, strict=True)]
    padded = np.pad(head, [(total // 2, total - total // 2) for total, _ in widths])
    spare = np.array(padded.shape) - shape
    for _ in range(count):
        start = rng.integers(0, spare, endpoint=True)
        box = padded[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]
        noise = rng.normal(0, NOISE, shape).astype(np.float32)
        yield np.where(box > 0, np.maximum(box + noise, 1), 0).astype(np.int16)


def write_volumes(
    source: Path, classes: tuple[str, ...], per_class: int, shape: tuple[int, ...], *, seed: int = 0
) -> None:
    """Write ``<class>/volume_<n>.nii.gz``, gzip level 1 as nibabel has it, 1 mm voxels."""
    volumes = crops(per_class * len(classes), shape, seed=seed)
    for name in classes:
        (source / name).mkdir(parents=True)
        for number in range(per_class):
            image = nibabel.Nifti1Image(next(volumes), np.eye(4))
            image.header.set_xyzt_units("mm")
            nibabel.save(image, source / name / f"volume_{number:03}.nii.gz")
