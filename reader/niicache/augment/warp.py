"""Applies a plan to a sample: the image linear, its mask nearest, both by the same matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from niicache.augment.plan import Plan


def is_mask(image: np.ndarray, label: np.ndarray) -> bool:
    """Say whether a label is a mask on the grid of the image."""
    return label.ndim == image.ndim and label.shape[:-1] == image.shape[:-1]


def warp(image: np.ndarray, label: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Resample a sample once.

    Args:
        image: ``(*spatial, channel)`` of any dtype; the result is float32 where it is no float.
        label: A mask on the same grid, or a vector, which is returned as it is.
        plan: What to do.

    Returns:
        New arrays; those that were given where there is nothing to do.
    """
    if plan.is_identity(image.shape[:-1]):
        return image, label
    masked = is_mask(image, label)
    dtype = image.dtype if image.dtype.kind == "f" else np.dtype(np.float32)
    warped = _resampled(image, plan, dtype, linear=True)
    return warped, _resampled(label, plan, label.dtype, linear=False) if masked else label


def _resampled(source: np.ndarray, plan: Plan, dtype: np.dtype, *, linear: bool) -> np.ndarray:
    from niicache.augment.resampling import resample

    out = np.empty((*plan.shape, source.shape[-1]), dtype)
    resample(
        np.ascontiguousarray(source),
        out,
        plan.matrix,
        order="linear" if linear else "nearest",
        mode=plan.fill.mode,
        fill=plan.fill.value if linear else float(plan.fill.label),
        displacement=plan.displacement,
    )
    return out
