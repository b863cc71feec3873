"""One affine of a volume by libraries that stand on PyTorch's grid_sample, on one thread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.cases import Array


def monai_affine(
    image: Array, shape: tuple[int, ...], degrees: tuple[float, ...], zoom: float
) -> Callable[[], Array]:
    """Return a call of RandAffined that rotates and zooms always by the same."""
    import torch
    from monai.transforms import RandAffined

    torch.set_num_threads(1)
    turn = [(angle, angle) for angle in map(math.radians, degrees)]
    transform = RandAffined(
        keys=("image",),
        spatial_size=shape,
        prob=1.0,
        rotate_range=turn,
        scale_range=[(zoom - 1, zoom - 1)] * 3,
        padding_mode="zeros",
    )
    tensor = torch.from_numpy(image.astype(np.float32))[None]

    def call() -> Array:
        made: Array = transform({"image": tensor})["image"].numpy()[0]
        return made

    return call


def batchgenerators_affine(
    image: Array, shape: tuple[int, ...], degrees: tuple[float, ...], zoom: float
) -> Callable[[], Array]:
    """Return a call of nnU-Net's SpatialTransform that rotates and zooms always by the same."""
    import torch
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    torch.set_num_threads(1)
    angle = math.radians(degrees[0])
    transform = SpatialTransform(
        shape,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=1,
        rotation=(angle, angle),
        p_scaling=1,
        scaling=(zoom, zoom),
        p_synchronize_scaling_across_axes=1,
    )
    tensor = torch.from_numpy(image.astype(np.float32))[None]

    def call() -> Array:
        made: Array = transform(image=tensor)["image"].numpy()[0]
        return made

    return call
