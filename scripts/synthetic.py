"""Make-believe cases that look like images: smooth blobs with noise, vector labels, seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SIZE = 45  # voxels along x and y
CHANNELS = 3
BLOBS = 6

Array = np.ndarray[Any, Any]


def draw_image(rng: np.random.Generator) -> Array:
    """Return one int16 image ``(45, 45, 3)``: Gaussian blobs, one brightness a channel, and noise.

    The noise keeps compression honest: blobs alone would shrink to nothing and decode for free.
    """
    centre = rng.uniform(8, SIZE - 8, (BLOBS, 2))
    width = rng.uniform(3, 10, BLOBS)
    height = rng.uniform(200, 900, BLOBS)
    axis = np.arange(SIZE)
    along_x, along_y = (
        np.exp(-((axis - centre[:, [place]]) ** 2) / (2 * width[:, None] ** 2)) for place in (0, 1)
    )
    smooth = np.einsum("b,bx,by->xy", height, along_x, along_y)
    channels = smooth[..., None] * rng.uniform(0.6, 1.4, CHANNELS)
    noisy: Array = channels + rng.normal(0, 15, channels.shape)
    return noisy.astype(np.int16)


def write_cases(source: Path, counts: Mapping[str, int], *, seed: int = 0) -> None:
    """Write ``<class>/images`` and ``<class>/labels`` of .nii.gz files.

    Args:
        source: The folder to fill; made if it is not there.
        counts: Cases of each class, by name of class.
        seed: The same seed gives the same voxels.
    """
    affine = np.diag([1.5, 1.5, 1.0, 1.0])  # 1.5 mm voxels
    for index, (name, count) in enumerate(counts.items()):
        rng = np.random.default_rng((seed, index))
        for kind in ("images", "labels"):
            (source / name / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            file_name = f"case_{number:04}.nii.gz"
            image = nibabel.Nifti1Image(draw_image(rng), affine)
            image.header.set_xyzt_units("mm")
            nibabel.save(image, source / name / "images" / file_name)
            vector = nibabel.Nifti1Image(rng.random(4, dtype=np.float32), np.eye(4))
            nibabel.save(vector, source / name / "labels" / file_name)
