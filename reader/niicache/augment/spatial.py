"""Transforms that move voxels, and how several of them become one resampling."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.augment import matrices
from niicache.augment.plan import Fill, Plan
from niicache.augment.transform import ByChance, spatial_count
from niicache.augment.warp import warp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTHING = Fill()
"""What fills where nothing outside is seen."""


class Spatial(ByChance):
    """Moves voxels: of an image linearly, of its mask to the nearest, which makes no new label.

    In a Compose all of them are one resampling.
    """

    def apply(
        self, image: np.ndarray, label: np.ndarray, params: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Resample image and mask."""
        return warp(image, label, plan([(self, params)], image.shape, self.outside or NOTHING))

    @abstractmethod
    def matrix(self, params: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return the matrix (d, d + 1) float64 from output voxel to source voxel.

        Args:
            params: Of :meth:`draw`, not None.
            shape: Of the source image, ``(*spatial, channel)``.
        """

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape ``(*spatial, channel)`` that an image of a shape becomes."""
        return shape

    def displacement(self, params: Any) -> np.ndarray | None:
        """Return control points (d, *grid) in voxels of the source, or None."""
        del params
        return None

    @property
    def bends(self) -> bool:
        """Whether there is a displacement."""
        return False

    @property
    def outside(self) -> Fill | None:
        """What fills, for those that look outside the image."""
        return None


def plan(pairs: Iterable[tuple[Spatial, Any]], shape: tuple[int, ...], fill: Fill) -> Plan:
    """Compose spatial transforms into one resampling.

    Args:
        pairs: Transforms and their parameters, in the order in which the image goes through them.
            Those whose parameters are None do nothing.
        shape: Of the image, ``(*spatial, channel)``.
        fill: What lies outside, for all of them.
    """
    count = spatial_count("plan", shape)
    matrix, displacement = None, None
    for transform, params in pairs:
        if params is None:
            continue
        own = transform.matrix(params, shape)
        matrix = own if matrix is None else matrices.after(matrix, own)
        points = transform.displacement(params)
        if points is not None:  # as the last one it lies over the output, and is turned by all
            turned = np.tensordot(matrix[:, :count], points, 1)
            displacement = np.ascontiguousarray(turned, np.float32)
        shape = transform.out_shape(shape)
    if matrix is None:
        matrix = np.eye(count, count + 1)
    return Plan(matrix=matrix, shape=shape[:-1], fill=fill, displacement=displacement)


def plan_problem(transforms: Sequence[Spatial]) -> str | None:
    """Return why transforms cannot be one resampling, or None."""
    fills = {one.outside for one in transforms if one.outside is not None}
    if len(fills) > 1:
        told = " and ".join(sorted(map(repr, fills)))
        return (
            f"fill: got {told}, expected one for all spatial transforms, for they become one "
            "resampling; give each the same fill_mode, fill and fill_label"
        )
    bent = [one for one in transforms if one.bends]
    if len(bent) > 1 or (bent and transforms[-1] is not bent[0]):
        return (
            f"Elastic: got {' and '.join(type(one).__name__ for one in transforms)}, expected one "
            "at most, after all other spatial transforms; move it there"
        )
    return None
