"""Rotation, shift, shear and zoom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache.augment import checks, matrices
from niicache.augment.plan import Fill, FillMode
from niicache.augment.spatial import Spatial
from niicache.errors import OptionError
from niicache.options import check_one_of

if TYPE_CHECKING:
    from niicache.augment.checks import AxisRanges
    from niicache.augment.transform import Facts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffineParams:
    """What an Affine drew.

    Attributes:
        rotation: (1,) or (3,) degrees.
        shift: (d,) in voxels, or in mm where there is a spacing.
        shear: (d,) degrees.
        zoom: (d,) factors.
        spacing: (d,) in mm, or None to reckon in voxels.
    """

    rotation: np.ndarray
    shift: np.ndarray
    shear: np.ndarray
    zoom: np.ndarray
    spacing: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Affine(Spatial):
    """Rotates, shifts, shears and zooms about the centre of the image.

    The source of an output voxel is rotation @ (shear @ zoom @ voxel + shift), from the centre,
    the order of Keras' apply_affine_transform and, with no shear, of nnU-Net's SpatialTransform.
    All values of a range are equally likely.

    Attributes:
        rotation: Degrees that the source turns, so what is seen turns back. In 2D one range, from
            axis 0 towards axis 1; in 3D one about each axis, or one that all three are drawn from.
        shift: How far the source lies away: the content moves the other way.
        shift_unit: Of ``shift``: "voxels", a "fraction" of the length of each axis, or "mm".
        shear: Degrees by which each axis leans along the next, the last along the first.
        zoom: Factors, as a pair or one pair an axis: source voxels for an output voxel. Above 1
            objects become smaller, as for Keras and nnU-Net.
        isotropic: Draw one zoom for all axes.
        physical: Rotate and shear in mm, by the spacing in the case's facts.
        fill_mode: What lies outside: "constant", "nearest", "reflect" or "wrap".
        fill: Of image voxels, for "constant".
        fill_label: Of mask voxels, for "constant".
        p: Probability to do anything.
    """

    rotation: AxisRanges = 0.0
    shift: AxisRanges = 0.0
    shift_unit: Literal["voxels", "fraction", "mm"] = "voxels"
    shear: AxisRanges = 0.0
    zoom: tuple[float, float] | tuple[tuple[float, float], ...] = (1.0, 1.0)
    isotropic: bool = False
    physical: bool = False
    fill_mode: FillMode = "constant"
    fill: float = 0.0
    fill_label: int = 0
    p: float = 1.0

    def __post_init__(self) -> None:
        for name in ("rotation", "shift", "shear"):
            self._set(name, checks.axis_spans(f"Affine.{name}", getattr(self, name)))
        self._set("zoom", checks.axis_pairs("Affine.zoom", self.zoom, low=1e-3))
        check_one_of("Affine.shift_unit", self.shift_unit, ("voxels", "fraction", "mm"))
        self._set_flags("isotropic", "physical")
        if self.isotropic and not checks.is_number(self.zoom[0]):
            raise OptionError(
                f"Affine.zoom: got {self.zoom} with isotropic=True, expected one pair; "
                "leave out isotropic, or give one pair for all axes"
            )
        fill = Fill(mode=self.fill_mode, value=self.fill, label=self.fill_label).checked("Affine")
        self._set("fill", fill.value)
        self._set("fill_label", fill.label)
        self._set("p", checks.probability("Affine.p", self.p))

    @property
    def outside(self) -> Fill:
        """What fills."""
        return Fill(mode=self.fill_mode, value=self.fill, label=self.fill_label)

    @property
    def asks(self) -> frozenset[str]:
        """The spacing, to reckon in mm."""
        return frozenset({"spacing"} if self.physical or self.shift_unit == "mm" else ())

    def matrix(self, params: AffineParams, shape: tuple[int, ...]) -> np.ndarray:
        """Return the matrix from output voxel to source voxel, (d, d + 1) float64."""
        turn = matrices.rotation(params.rotation.tolist())
        linear = turn @ matrices.shear(params.shear.tolist()) @ np.diag(params.zoom)
        shift = turn @ params.shift
        if params.spacing is not None:
            linear = linear * params.spacing / params.spacing[:, None]
            shift = shift / params.spacing
        return matrices.about_centres(linear, shift, shape[:-1], shape[:-1])

    def _drawn(
        self, rng: np.random.Generator, shape: tuple[int, ...], facts: Facts | None
    ) -> AffineParams:
        count = len(shape) - 1
        spacing = self._spacing(facts, count)
        rotation = self._draw("rotation", rng, 1 if count == checks.PAIR else count)
        shift = self._draw("shift", rng, count)
        if self.shift_unit == "fraction":
            shift = shift * shape[:-1]
        if spacing is not None:
            if self.physical and self.shift_unit != "mm":
                shift = shift * spacing
            elif not self.physical:
                shift, spacing = shift / spacing, None
        shear = self._draw("shear", rng, count)
        zoom = self._draw("zoom", rng, 1 if self.isotropic else count)
        return AffineParams(
            rotation=rotation,
            shift=shift,
            shear=shear,
            zoom=np.broadcast_to(zoom, count),
            spacing=spacing,
        )

    def _draw(self, name: str, rng: np.random.Generator, count: int) -> np.ndarray:
        ranges = checks.ranges_of(f"Affine.{name}", getattr(self, name), count)
        return np.array([low + (high - low) * rng.random() for low, high in ranges])

    def _spacing(self, facts: Facts | None, count: int) -> np.ndarray | None:
        if not self.physical and self.shift_unit != "mm":
            return None
        if facts is None or facts.spacing is None or len(facts.spacing) != count:
            asked = "physical=True" if self.physical else "shift_unit='mm'"
            raise OptionError(
                f"Affine: got {asked} and facts {facts}, expected the spacing of {count} axes; "
                "call the transform with facts=Facts(spacing=...), or reckon in voxels"
            )
        return np.array(facts.spacing, float)
