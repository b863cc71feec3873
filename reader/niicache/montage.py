"""A batch as one picture. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 2
"""Pixels between tiles."""

LEAST = 96
"""Pixels that the longer side of a tile has at least; small images are drawn larger."""

RGB = 3

COLOURS = np.array(
    [
        (230, 60, 60),
        (60, 200, 80),
        (70, 130, 255),
        (255, 200, 50),
        (220, 90, 220),
        (60, 210, 220),
    ],
    np.uint8,
)
"""Of the outlines of mask values 1, 2, ...; then they come again."""

SHOWN = (0.5, 99.5)
"""Percentiles of the batch that become black and white."""


def montage(images: np.ndarray, labels: np.ndarray, *, columns: int | None = None) -> np.ndarray:
    """Draw a batch, a tile a sample, on one scale of grey.

    Axis 0 of an image runs to the right and axis 1 up, as a brain in RAS is usually seen. Of a
    volume one plane along the last axis is drawn, the one that has most of the mask, or the middle
    one. Three channels of a plane are red, green and blue; of others the first is drawn.

    Args:
        images: ``(batch, *spatial, channel)`` with 2 or 3 spatial axes.
        labels: Masks ``(batch, *spatial, channel)``, of which the outline of each value but 0 is
            drawn, or anything else, which is not.
        columns: Tiles side by side; as many as make the picture about square if None.

    Returns:
        (height, width, 3) uint8, red, green and blue.
    """
    masked = labels.ndim == images.ndim and labels.shape[:-1] == images.shape[:-1]
    masks: Sequence[np.ndarray | None] = list(labels) if masked else [None] * len(images)
    planes = [plane(image, mask) for image, mask in zip(images, masks, strict=True)]
    low, high = _limits([grey for grey, _ in planes])
    return arrange([draw(grey, mask, low, high) for grey, mask in planes], columns=columns)


def plane(image: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what is drawn of one sample.

    Args:
        image: ``(*spatial, channel)``.
        mask: ``(*spatial, channel)`` or None.

    Returns:
        ``(x, y, 1 or 3)``, and the mask's first channel ``(x, y)`` or None.
    """
    mark = None if mask is None else mask[..., 0]
    if image.ndim == len(("x", "y", "z", "channel")):
        depth = image.shape[2] // 2
        if mark is not None and (mark != 0).any():
            depth = int(np.argmax((mark != 0).sum((0, 1))))
        return image[:, :, depth, :1], None if mark is None else mark[:, :, depth]
    return image if image.shape[-1] == RGB else image[..., :1], mark


def draw(grey: np.ndarray, mask: np.ndarray | None, low: float, high: float) -> np.ndarray:
    """Return a tile, (height, width, 3) uint8.

    Args:
        grey: ``(x, y, 1 or 3)``.
        mask: ``(x, y)`` or None.
        low: What becomes black.
        high: What becomes white.
    """
    known = np.clip(np.nan_to_num(grey.astype(np.float64), nan=low), low, high)
    level = np.rint((known - low) / max(high - low, 1e-12) * 255)
    tile = np.repeat(level.astype(np.uint8), RGB // grey.shape[-1], 2)
    times = max(1, math.ceil(LEAST / max(tile.shape[:2])))
    tile = tile.repeat(times, 0).repeat(times, 1)
    if mask is not None:
        large = mask.repeat(times, 0).repeat(times, 1)
        edge = outline(large)
        tile[edge] = COLOURS[(large[edge].astype(np.int64) - 1) % len(COLOURS)]
    return np.ascontiguousarray(tile.transpose(1, 0, 2)[::-1])


def outline(mask: np.ndarray) -> np.ndarray:
    """Return where a value other than 0 touches another value or the border, (x, y) bool."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    sides = (padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, 2:], padded[1:-1, :-2])
    edge: np.ndarray = np.logical_or.reduce([side != inner for side in sides]) & (inner != 0)
    return edge


def arrange(tiles: Sequence[np.ndarray], *, columns: int | None = None) -> np.ndarray:
    """Put tiles of one shape into rows.

    Args:
        tiles: (height, width, 3) uint8 each.
        columns: Tiles side by side; as many as make the picture about square if None.
    """
    height, width, _ = tiles[0].shape
    columns = columns or math.ceil(math.sqrt(len(tiles) * height / width))
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    whole = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, RGB), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        y, x = row * (height + GAP), column * (width + GAP)
        whole[y : y + height, x : x + width] = tile
    return whole


def _limits(planes: Sequence[np.ndarray]) -> tuple[float, float]:
    voxels = np.concatenate([one.reshape(-1) for one in planes]).astype(np.float64)
    voxels = voxels[np.isfinite(voxels)]
    if not voxels.size:
        return 0.0, 1.0
    low, high = np.percentile(voxels, SHOWN)
    return (float(low), float(high)) if low < high else (float(voxels.min()), float(voxels.max()))
