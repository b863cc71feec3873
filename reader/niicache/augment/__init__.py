"""Augmentation: each transform draws its parameters from a generator, then applies them.

    Compose                 several as one; all that move voxels become one resampling
    Flip, Rotate90          mirrors and quarter turns
    Affine, Elastic         rotation, shift, shear, zoom; bending
    RandomCrop, CenterCrop  boxes
    Gamma, Brightness, Contrast, GaussianNoise, RicianNoise, GaussianBlur, LowResolution,
    BiasField, Cutout       intensities
    ZScore, MinMax, Percentile, Window, Rescale, Clip
                            scales of intensity
    Lambda                  the user's own function
    MixUp, CutMix           on whole batches
    image_data_generator    what Keras' ImageDataGenerator does, by its own arguments; made of
    KerasAffine, KerasBrightness, KerasChannelShift, KerasStandardise
    light, medical          presets; medical is what nnU-Net trains with
    check                   what a transform costs, and whether it keeps the rules
    Facts                   what is known of a case: spacing, statistics
    Transform, Spatial, Intensity, BatchTransform
                            bases of the above

Give one to ``BalancedSequence(transform=)``.
"""

from __future__ import annotations

from niicache.augment.affine import Affine
from niicache.augment.batch_transform import BatchTransform
from niicache.augment.bias_field import BiasField
from niicache.augment.brightness import Brightness
from niicache.augment.case_range import Clip, MinMax, Percentile
from niicache.augment.check import CheckReport, check
from niicache.augment.compose import Compose
from niicache.augment.contrast import Contrast
from niicache.augment.crop import CenterCrop, RandomCrop
from niicache.augment.cutmix import CutMix
from niicache.augment.cutout import Cutout
from niicache.augment.elastic import Elastic
from niicache.augment.flip import Flip
from niicache.augment.function import Lambda
from niicache.augment.gamma import Gamma
from niicache.augment.gaussian_blur import GaussianBlur
from niicache.augment.gaussian_noise import GaussianNoise
from niicache.augment.image_data_generator import image_data_generator
from niicache.augment.intensity import Intensity
from niicache.augment.keras_affine import KerasAffine
from niicache.augment.keras_intensity import KerasBrightness, KerasChannelShift, KerasStandardise
from niicache.augment.low_resolution import LowResolution
from niicache.augment.mixup import MixUp
from niicache.augment.normalise import Rescale, Window, ZScore
from niicache.augment.presets import light, medical
from niicache.augment.rician_noise import RicianNoise
from niicache.augment.rotate90 import Rotate90
from niicache.augment.spatial import Spatial
from niicache.augment.transform import Facts, Transform

__all__ = [
    "Affine",
    "BatchTransform",
    "BiasField",
    "Brightness",
    "CenterCrop",
    "CheckReport",
    "Clip",
    "Compose",
    "Contrast",
    "CutMix",
    "Cutout",
    "Elastic",
    "Facts",
    "Flip",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "Intensity",
    "KerasAffine",
    "KerasBrightness",
    "KerasChannelShift",
    "KerasStandardise",
    "Lambda",
    "LowResolution",
    "MinMax",
    "MixUp",
    "Percentile",
    "RandomCrop",
    "Rescale",
    "RicianNoise",
    "Rotate90",
    "Spatial",
    "Transform",
    "Window",
    "ZScore",
    "check",
    "image_data_generator",
    "light",
    "medical",
]
