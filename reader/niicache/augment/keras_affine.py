"""The affine transform of Keras' ImageDataGenerator, as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from niicache.augment import checks
from niicache.augment.plan import Fill, FillMode
from niicache.augment.spatial import Spatial
from niicache.errors import OptionError

if TYPE_CHECKING:
    from niicache.augment.transform import Facts

Shift: TypeAlias = float | tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasAffineParams:
    """What ``ImageDataGenerator.get_random_transform`` calls by the same names.

    Attributes:
        theta: Degrees.
        tx: Pixels, drawn from the height's range.
        ty: Pixels, drawn from the width's range.
        shear: Degrees.
        zx: Zoom of what Keras takes for x.
        zy: Zoom of what it takes for y.
    """

    theta: float
    tx: float
    ty: float
    shear: float
    zx: float
    zy: float


@dataclass(frozen=True, kw_only=True)
class KerasAffine(Spatial):
    """Draws as ``get_random_transform`` and moves pixels as ``apply_affine_transform`` of Keras.

    For images of two spatial axes, rows and columns. It keeps what may surprise in Keras 3: the
    range of the height moves along the columns and that of the width along the rows, and images
    that are no squares turn about a point beside their centre. :class:`Affine` has neither.

    Attributes:
        rotation_range: Degrees, from minus to plus.
        width_shift_range: A whole number n is n - 1 pixels at most, whole ones; any other number
            from 1 on is pixels, below 1 a fraction of the width; a tuple is all there is to
            choose from, with either sign.
        height_shift_range: The same for the height.
        shear_range: Degrees, from minus to plus.
        zoom_range: A pair (lowest, highest), or z for 1 - z to 1 + z. Each axis has its own zoom;
            above 1 things become smaller.
        fill_mode: "constant", "nearest", "reflect" or "wrap".
        cval: Fills where that is "constant".
        fill_label: The same for masks.
        p: Probability to do anything.
    """

    rotation_range: float = 0.0
    width_shift_range: Shift = 0.0
    height_shift_range: Shift = 0.0
    shear_range: float = 0.0
    zoom_range: float | tuple[float, float] = 0.0
    fill_mode: FillMode = "nearest"
    cval: float = 0.0
    fill_label: int = 0
    p: float = 1.0

    def __post_init__(self) -> None:
        for name in ("rotation_range", "shear_range"):
            self._set(name, abs(checks.number(name, getattr(self, name))))
        for name in ("width_shift_range", "height_shift_range"):
            self._set(name, _shift(name, getattr(self, name)))
        zoom = self.zoom_range
        if checks.is_number(zoom):
            reach = abs(checks.number("zoom_range", zoom, low=-1, high=1))
            zoom = (1 - reach, 1 + reach)
        self._set("zoom_range", checks.pair("zoom_range", zoom, low=0))
        fill = Fill(mode=self.fill_mode, value=self.cval, label=self.fill_label).checked("Affine")
        self._set("cval", fill.value)
        self._set("fill_label", fill.label)
        self._set("p", checks.probability("p", self.p))

    @property
    def outside(self) -> Fill:
        """What fills."""
        return Fill(mode=self.fill_mode, value=self.cval, label=self.fill_label)

    def matrix(self, params: KerasAffineParams, shape: tuple[int, ...]) -> np.ndarray:
        """Return the matrix from output pixel to source pixel, (2, 3) float64."""
        theta, shear = math.radians(params.theta), math.radians(params.shear)
        cos, sin = math.cos(theta), math.sin(theta)
        lean, rest = -math.sin(shear), math.cos(shear)
        # rotation @ shear @ zoom, in numbers: for small images numpy's calls cost more than pixels
        xx, xy = cos * params.zx, (cos * lean - sin * rest) * params.zy
        yx, yy = sin * params.zx, (sin * lean + cos * rest) * params.zy
        # Keras takes the middle of the rows for that of x, and then takes x for the columns.
        x, y = (shape[0] - 1) / 2, (shape[1] - 1) / 2
        to_x = x - xx * x - xy * y + cos * params.tx - sin * params.ty
        to_y = y - yx * x - yy * y + sin * params.tx + cos * params.ty
        return np.array([[yy, yx, to_y], [xy, xx, to_x]])

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> KerasAffineParams:
        del facts
        if len(shape) != len(("rows", "columns", "channels")):
            raise OptionError(
                f"image_data_generator: got an image of shape {shape}, expected (rows, columns, "
                "channel), for Keras knows no other; use Affine and Flip, or augment.medical()"
            )
        low, high = self.zoom_range  # type: ignore[misc]
        # as many numbers whatever is asked for, at once: each call takes as long as 60 pixels
        theta, tx, sign_x, ty, sign_y, shear, zx, zy = rng.random(8).tolist()
        return KerasAffineParams(
            theta=self.rotation_range * (2 * theta - 1),
            tx=_pixels(self.height_shift_range, shape[0], tx, sign_x),
            ty=_pixels(self.width_shift_range, shape[1], ty, sign_y),
            shear=self.shear_range * (2 * shear - 1),
            zx=low + (high - low) * zx,
            zy=low + (high - low) * zy,
        )


def _shift(name: str, value: object) -> Shift:
    if checks.is_number(value) and value >= 0:  # type: ignore[operator]
        return int(value) if isinstance(value, int | np.integer) else float(value)  # type: ignore[arg-type]
    if (
        isinstance(value, Sequence | np.ndarray)
        and len(value)
        and all(map(checks.is_number, value))
    ):
        return tuple(float(one) for one in value)
    raise OptionError(
        f"{name}: got {value!r}, expected a number of at least 0, or numbers to choose from"
    )


def _pixels(wanted: Shift, length: int, part: float, sign: float) -> float:
    """Return a shift in pixels from two numbers from 0 to below 1."""
    if isinstance(wanted, tuple):
        chosen = wanted[int(part * len(wanted))] * (length if max(wanted) < 1 else 1)
    elif isinstance(wanted, int):
        chosen = float(int(part * wanted))
    else:
        return wanted * (2 * part - 1) * (length if wanted < 1 else 1)
    return chosen if sign < 0.5 else -chosen  # noqa: PLR2004  # either sign
