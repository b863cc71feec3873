"""One resampling, decided: all spatial transforms of a sample composed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from niicache.augment.checks import FILL_MODES, number
from niicache.errors import OptionError
from niicache.options import check_count, check_one_of

_IDENTITIES = {count: np.eye(count, count + 1).tolist() for count in (2, 3)}
FillMode: TypeAlias = Literal["constant", "nearest", "reflect", "wrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What lies outside the image.

    Attributes:
        mode: "constant", or the image goes on: its "nearest" voxel, mirrored ("reflect"), or from
            the other side ("wrap"); the modes of that name of scipy.ndimage.
        value: Of image voxels, for "constant".
        label: Of mask voxels, for "constant".
        scaled: The value is in the units after a scale that is part of the resampling.
    """

    mode: FillMode = "constant"
    value: float = 0.0
    label: int = 0
    scaled: bool = False

    def checked(self, name: str) -> Fill:
        """Return the same, once it was looked at.

        Raises:
            OptionError: A field is outside what is allowed.
        """
        check_one_of(f"{name}.fill_mode", self.mode, FILL_MODES)
        check_count(f"{name}.fill_label", self.label, -(2**63))
        if self.label >= 2**64:
            raise OptionError(f"{name}.fill_label: got {self.label}, expected less than 2**64")
        return Fill(mode=self.mode, value=number(f"{name}.fill", self.value), label=int(self.label))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """One resampling.

    Attributes:
        matrix: (d, d + 1) float64: source voxel = matrix[:, :d] @ output voxel + matrix[:, d].
        shape: Spatial shape of the output.
        fill: What lies outside the source.
        displacement: (d, *grid) float32 or None: control points of a cubic B-spline over the
            output's extent, in source voxels, added to the source voxel.
    """

    matrix: np.ndarray
    shape: tuple[int, ...]
    fill: Fill
    displacement: np.ndarray | None = None

    def is_identity(self, shape: tuple[int, ...]) -> bool:
        """Say whether an image of this spatial shape would come out as it is."""
        if self.displacement is not None or shape != self.shape:
            return False
        return bool(self.matrix.tolist() == _IDENTITIES[len(shape)])  # quicker than by numpy
