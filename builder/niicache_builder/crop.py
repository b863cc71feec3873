"""The box of the foreground of an image. Pure."""

from __future__ import annotations

import numpy as np

from niicache.format.geometry import Box


def foreground_box(image: np.ndarray) -> Box:
    """Return the smallest box that holds every voxel that is not zero in some channel.

    As nnU-Net crops; holes in it do not matter. NaN is not zero.

    Args:
        image: ``(*spatial, channel)``.

    Returns:
        The box in the spatial axes; all of the image where every voxel is zero.
    """
    held = (image != 0).any(axis=-1)
    starts, stops = [], []
    for axis in range(held.ndim):
        others = tuple(other for other in range(held.ndim) if other != axis)
        (found,) = np.nonzero(held.any(axis=others))
        if not found.size:
            return Box((0,) * held.ndim, held.shape)
        starts.append(int(found[0]))
        stops.append(int(found[-1]) + 1)
    return Box(tuple(starts), tuple(stops))
