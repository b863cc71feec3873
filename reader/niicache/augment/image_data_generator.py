"""Keras' ImageDataGenerator by its own arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.augment import checks
from niicache.augment.compose import Compose
from niicache.augment.flip import Flip
from niicache.augment.function import Lambda
from niicache.augment.keras_affine import KerasAffine
from niicache.augment.keras_intensity import KerasBrightness, KerasChannelShift, KerasStandardise
from niicache.augment.normalise import Rescale
from niicache.errors import OptionError
from niicache.options import check_callable, check_flag, check_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from niicache.augment.plan import FillMode
    from niicache.augment.transform import Transform


def image_data_generator(
    *,
    featurewise_center: bool = False,
    samplewise_center: bool = False,
    featurewise_std_normalization: bool = False,
    samplewise_std_normalization: bool = False,
    zca_whitening: bool = False,
    zca_epsilon: float = 1e-6,
    rotation_range: float = 0,
    width_shift_range: float | Sequence[float] = 0.0,
    height_shift_range: float | Sequence[float] = 0.0,
    brightness_range: tuple[float, float] | None = None,
    shear_range: float = 0.0,
    zoom_range: float | tuple[float, float] = 0.0,
    channel_shift_range: float = 0.0,
    fill_mode: FillMode = "nearest",
    cval: float = 0.0,
    horizontal_flip: bool = False,
    vertical_flip: bool = False,
    rescale: float | None = None,
    preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
    data_format: str | None = None,
    validation_split: float = 0.0,
    interpolation_order: int = 1,
    dtype: str | None = None,
    fill_label: int = 0,
) -> Compose:
    """Return the transform of ``keras.src.legacy.preprocessing.image.ImageDataGenerator``.

    For images (rows, columns, channel) of floats. The arguments have their names there and mean
    the same, oddities included (see :class:`KerasAffine`); masks, which Keras does not know, move
    with their images. The same order: affine, channel shift, brightness, preprocessing_function,
    rescale, centre, deviation. Flips are exact.

    Args:
        featurewise_center: Refused: it is a property of a data set, not of a sample.
        samplewise_center: Subtract the mean of all voxels of the image.
        featurewise_std_normalization: Refused as above.
        samplewise_std_normalization: Divide by their standard deviation too.
        zca_whitening: Refused as above.
        zca_epsilon: Part of that.
        rotation_range: Degrees, from minus to plus.
        width_shift_range: Pixels or a fraction; see :class:`KerasAffine`.
        height_shift_range: The same for the height.
        brightness_range: Factors (lowest, highest); see :class:`KerasBrightness`.
        shear_range: Degrees, from minus to plus.
        zoom_range: (lowest, highest), or z for 1 - z to 1 + z; each axis by itself.
        channel_shift_range: One number for all channels, from minus to plus.
        fill_mode: "constant", "nearest", "reflect" or "wrap".
        cval: Fills where that is "constant".
        horizontal_flip: Mirror the columns of half of the images.
        vertical_flip: Mirror the rows of half of the images.
        rescale: Factor; nothing if None or 0.
        preprocessing_function: ``image -> image``, after all that moves and brightens.
        data_format: "channels_last" or None; niicache has no other.
        validation_split: 0; give validation a cache and a Sequence of its own.
        interpolation_order: 1.
        dtype: None or "float32"; the Sequence says what images are.
        fill_label: Fills masks where ``fill_mode`` is "constant".

    Raises:
        OptionError: An argument is outside what is allowed, or makes no sense for one sample.
    """
    flags = {
        "samplewise_center": samplewise_center,
        "samplewise_std_normalization": samplewise_std_normalization,
        "horizontal_flip": horizontal_flip,
        "vertical_flip": vertical_flip,
    }
    for name, flag in flags.items():
        check_flag(name, flag)
    _refuse(
        {
            "featurewise_center": (featurewise_center, (False,)),
            "featurewise_std_normalization": (featurewise_std_normalization, (False,)),
            "zca_whitening": (zca_whitening, (False,)),
            "data_format": (data_format, (None, "channels_last")),
            "validation_split": (validation_split, (0,)),
            "zca_epsilon": (zca_epsilon, (1e-6,)),
            "interpolation_order": (interpolation_order, (1,)),
            "dtype": (dtype, (None, "float32")),
        }
    )
    check_one_of("fill_mode", fill_mode, checks.FILL_MODES)
    checks.number("cval", cval)
    check_callable("preprocessing_function", preprocessing_function, "image")
    if rescale is not None:
        checks.number("rescale", rescale)
    affine = KerasAffine(
        rotation_range=rotation_range,
        width_shift_range=width_shift_range,  # type: ignore[arg-type]  # a list becomes a tuple
        height_shift_range=height_shift_range,  # type: ignore[arg-type]
        shear_range=shear_range,
        zoom_range=zoom_range,
        fill_mode=fill_mode,
        cval=cval,
        fill_label=fill_label,
    )
    made: list[Transform] = [affine]
    mirrored = (1,) * bool(horizontal_flip) + (0,) * bool(vertical_flip)
    made += [Flip(axes=mirrored, p=0.5)] if mirrored else []
    made += [KerasChannelShift(intensity=channel_shift_range)] if channel_shift_range else []
    made += [KerasBrightness(brightness=brightness_range)] if brightness_range is not None else []
    made += [Lambda(image=preprocessing_function)] if preprocessing_function is not None else []
    made += [Rescale(scale=rescale)] if rescale else []
    if samplewise_center or samplewise_std_normalization:
        made += [KerasStandardise(std=samplewise_std_normalization)]
    return Compose(*made)


_INSTEAD = {
    "featurewise_center": "normalise by a case's own facts: ZScore()",
    "featurewise_std_normalization": "normalise by a case's own facts: ZScore()",
    "zca_whitening": "whiten in a layer of the model that is adapted to the training data",
    "data_format": 'leave it out: images are "channels_last"',
    "validation_split": "build a cache of the validation cases and give it a Sequence",
    "zca_epsilon": "leave it out with zca_whitening",
    "dtype": "give dtype to the Sequence",
    "interpolation_order": "leave it out: images are interpolated linearly, order 1",
}


def _refuse(given: dict[str, tuple[object, tuple[object, ...]]]) -> None:
    problems = [
        f"{name}: got {value!r}, expected {' or '.join(map(repr, allowed))}; {_INSTEAD[name]}"
        for name, (value, allowed) in given.items()
        if value not in allowed
    ]
    if problems:
        raise OptionError("\n".join(problems))
