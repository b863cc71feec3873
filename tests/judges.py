"""What scipy makes of a resampling."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline


def places(matrix, shape, displacement=None):
    """Return (d, *shape), the source voxel of each output voxel."""
    count = len(shape)
    grid = np.indices(shape).reshape(count, -1)
    found = (matrix[:, :count] @ grid + matrix[:, count:]).reshape(count, *shape)
    return found if displacement is None else found + spline(displacement, shape)


def spline(points, shape):
    """Return the cubic B-spline of control points (d, *grid) at each voxel of a shape."""
    bump = BSpline.basis_element(np.arange(-2, 3), extrapolate=False)
    field = points.astype(float)
    for axis, n in enumerate(shape):
        count = points.shape[axis + 1]
        at = np.linspace(0, count - 1, n)
        weights = np.zeros((n, count))
        for k in range(-2, count + 2):  # beyond the border the outermost point goes on
            weights[:, np.clip(k, 0, count - 1)] += np.nan_to_num(bump(at - k))
        field = np.moveaxis(np.tensordot(weights, field, (1, axis + 1)), 0, axis + 1)
    return field


def judged(source, matrix, shape, order, mode, fill=0.0, displacement=None):
    """Return scipy's resampling of ``(*spatial, channel)`` to a spatial shape."""
    source = source.astype(np.float32) if source.dtype == np.float16 else source
    at = places(np.asarray(matrix, float), shape, displacement)
    whole = displacement is None and not np.any(np.asarray(matrix) % 1)
    made = [
        ndimage.map_coordinates(
            source[..., channel],
            at,
            order=0 if order == "nearest" or whole else 1,
            mode=mode,
            cval=fill,
        )
        for channel in range(source.shape[-1])
    ]
    return np.stack(made, -1)
