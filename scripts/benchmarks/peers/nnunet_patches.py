"""nnU-Net v2's patches: blosc2 files, a window of each, and the transforms that it trains with.

Ranges and probabilities are those of ``nnUNetTrainer.get_training_transforms`` of nnunetv2 2.8, the
layout of the files that of its ``nnUNetDatasetBlosc2``.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.cases import Array

BLOCK = 64  # voxels an axis; what comp_blosc2_params gives for patches of 128 is near


def nnunet_patches(
    cases: list[tuple[Array, Array]], folder: Path, patch: int
) -> dict[str, Callable[[], object]]:
    """Write the files, and return what reads a patch, and what augments it too.

    Args:
        cases: Image int16 and mask uint8, cubes.
        folder: Where the files go.
        patch: Voxels an axis.
    """
    import blosc2
    import torch

    torch.set_num_threads(1)
    blosc2.set_nthreads(1)
    folder.mkdir()
    paths = [write_case(folder / f"c{n}", *case) for n, case in enumerate(cases)]
    transforms = training_transforms((patch,) * 3)
    numbers = count()

    def read() -> tuple[Array, Array]:
        image, mask = paths[next(numbers) % len(paths)]
        # The window that rotation and scaling may need is larger than these cases: all is read.
        return tuple(
            blosc2.open(urlpath=one, mode="r", dparams={"nthreads": 1}, mmap_mode="r")[...]
            for one in (image, mask)
        )

    def augmented() -> object:
        image, mask = read()
        return transforms(
            image=torch.from_numpy(image), segmentation=torch.from_numpy(mask.astype(np.int16))
        )

    return {"nnU-Net, read alone": read, "nnU-Net, read and augmented": augmented}


def write_case(base: Path, image: Array, mask: Array) -> tuple[str, str]:
    """Write ``(channel, *spatial)`` arrays, z-scored, and return their paths."""
    import blosc2

    scored = ((image - image.mean()) / image.std()).astype(np.float32)[None]
    paths = []
    for name, voxels in (("image", scored), ("seg", mask.astype(np.int8)[None])):
        paths.append(f"{base}_{name}.b2nd")
        blosc2.asarray(
            np.ascontiguousarray(voxels),
            urlpath=paths[-1],
            chunks=voxels.shape,
            blocks=(1, *[min(BLOCK, n) for n in voxels.shape[1:]]),
            cparams={"codec": blosc2.Codec.ZSTD, "clevel": 8},
            mmap_mode="w+",
        )
    return paths[0], paths[1]


def training_transforms(patch: tuple[int, ...]) -> Any:
    """Return nnU-Net's default augmentation, deep supervision and cascades left out."""
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    angle = math.radians(30)
    spatial = SpatialTransform(
        patch,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=0.2,
        rotation=(-angle, angle),
        p_scaling=0.2,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
    )
    randomly = [RandomTransform(one, apply_probability=p) for one, p in _intensities()]
    return ComposeTransforms([spatial, *randomly, MirrorTransform(allowed_axes=(0, 1, 2))])


def _intensities() -> list[tuple[Any, float]]:
    """Return what changes intensities, and how likely each is."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform

    each = {"synchronize_channels": False, "p_per_channel": 1}
    gamma = {"gamma": BGContrast((0.7, 1.5)), "p_retain_stats": 1, **each}
    coarse = SimulateLowResolutionTransform(
        (0.5, 1),
        synchronize_channels=False,
        synchronize_axes=True,
        ignore_axes=None,
        p_per_channel=0.5,
    )
    return [
        (GaussianNoiseTransform((0, 0.1), 1, synchronize_channels=True), 0.1),
        (GaussianBlurTransform((0.5, 1.0), p_per_channel=0.5, benchmark=True), 0.2),
        (MultiplicativeBrightnessTransform(BGContrast((0.75, 1.25)), **each), 0.15),
        (ContrastTransform(BGContrast((0.75, 1.25)), preserve_range=True, **each), 0.15),
        (coarse, 0.25),
        (GammaTransform(p_invert_image=1, **gamma), 0.1),
        (GammaTransform(p_invert_image=0, **gamma), 0.3),
    ]
