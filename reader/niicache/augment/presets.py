"""Transforms that belong together, by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.augment.affine import Affine
from niicache.augment.brightness import Brightness
from niicache.augment.compose import Compose
from niicache.augment.contrast import Contrast
from niicache.augment.flip import Flip
from niicache.augment.gamma import Gamma
from niicache.augment.gaussian_blur import GaussianBlur
from niicache.augment.gaussian_noise import GaussianNoise
from niicache.augment.low_resolution import LowResolution

if TYPE_CHECKING:
    from niicache.augment.plan import FillMode


def light(
    *,
    mirror: tuple[int, ...] | None = None,
    fill_mode: FillMode = "constant",
    fill: float = 0.0,
    fill_label: int = 0,
) -> Compose:
    """Return what hardly any image suffers from: mirrors, a little rotation and zoom, brightness.

    One affine of at most 10 degrees and 10 percent for half of the samples, and a brightness of
    0.9 to 1.1 for half.

    Args:
        mirror: Spatial axes to mirror, each for half of the samples; all if None, none if ().
        fill_mode: What lies outside: "constant", "nearest", "reflect" or "wrap".
        fill: Of image voxels, for "constant".
        fill_label: Of mask voxels, for "constant".
    """
    affine = Affine(
        rotation=10,
        zoom=(0.9, 1.1),
        isotropic=True,
        fill_mode=fill_mode,
        fill=fill,
        fill_label=fill_label,
        p=0.5,
    )
    return Compose(affine, *_mirrors(mirror), Brightness(multiply=(0.9, 1.1), p=0.5))


def medical(
    *,
    mirror: tuple[int, ...] | None = None,
    rotation: float = 30.0,
    physical: bool = False,
    fill_mode: FillMode = "constant",
    fill: float = 0.0,
    fill_label: int = 0,
) -> Compose:
    """Return the augmentation that nnU-Net trains with, by its ranges and probabilities.

    For images that are normalised to mean 0 and deviation 1, with the meanings of
    batchgeneratorsv2: rotation p 0.2 and one zoom for all axes from 0.7 to 1.4, p 0.2; noise of
    deviation 0 to 0.1, p 0.1; blur 0.5 to 1 voxel, p 0.2; brightness 0.75 to 1.25, p 0.15;
    contrast 0.75 to 1.25, p 0.15; low resolution 0.5 to 1, p 0.25; gamma 0.7 to 1.5, inverted p
    0.1, then as it is p 0.3; mirrors p 0.5 an axis.

    Two things are not as in ``nnUNetTrainer.get_training_transforms`` of nnunetv2 2.8. Blur and
    low resolution act on every channel at these rates, where it leaves out each channel by half.
    Mirrors are part of the resampling, so voxels are mirrored before noise instead of after.

    Args:
        mirror: Spatial axes to mirror; all if None, none if ().
        rotation: Degrees about each axis, from minus to plus; nnU-Net has 30 for volumes, 180 for
            square images, 15 for others.
        physical: Rotate in mm, by the spacing in the case's facts.
        fill_mode: What lies outside: "constant", "nearest", "reflect" or "wrap".
        fill: Of image voxels, for "constant".
        fill_label: Of mask voxels, for "constant".
    """
    rotate = Affine(
        rotation=rotation,
        physical=physical,
        fill_mode=fill_mode,
        fill=fill,
        fill_label=fill_label,
        p=0.2,
    )
    zoom = replace(rotate, rotation=0.0, physical=False, zoom=(0.7, 1.4), isotropic=True)
    return Compose(
        rotate,
        zoom,
        *_mirrors(mirror),
        GaussianNoise(sigma=(0.0, 0.1), p=0.1),
        GaussianBlur(sigma=(0.5, 1.0), per_axis=True, per_channel=True, p=0.2),
        Brightness(multiply=(0.75, 1.25), per_channel=True, p=0.15),
        Contrast(factor=(0.75, 1.25), per_channel=True, p=0.15),
        LowResolution(scale=(0.5, 1.0), per_channel=True, p=0.25),
        Gamma(gamma=(0.7, 1.5), inverted=True, per_channel=True, p=0.1),
        Gamma(gamma=(0.7, 1.5), per_channel=True, p=0.3),
    )


def _mirrors(axes: tuple[int, ...] | None) -> list[Flip]:
    return [] if axes == () else [Flip(axes=axes, p=0.5)]
