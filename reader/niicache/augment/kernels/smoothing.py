"""Compiled loops that smooth one channel, without the GIL."""

from __future__ import annotations

from typing import Any

import numpy as np

from niicache.augment.kernels.compiling import loose, loose_piece

PIECES = "f86db4290525b894"  # see compiling

_TILE = 4 * 1024
"""float32 of a tile of :func:`blur_inner`: they stay in a core's first cache."""


@loose_piece
def _mirrored(i: Any, n: Any) -> Any:
    """Return the index that an index outside stands for, the border voxel counted once."""
    if n == 1:
        return 0
    i = abs(i) % (2 * n - 2)
    return min(i, 2 * n - 2 - i)


@loose
def blur_rows(x: Any, weights: Any) -> None:
    """Convolve each row of (rows, n) in place.

    Args:
        x: float32 or float64.
        weights: (radius + 1,) of the same dtype, the middle one first; radius a multiple of 3, so
            that one loop takes three pairs of neighbours.
    """
    radius, n = weights.size - 1, x.shape[1]
    wide = np.empty(n + 2 * radius, x.dtype)
    for row in x:
        for i in range(n):
            wide[radius + i] = row[i]
        for i in range(radius):
            wide[i] = row[_mirrored(i - radius, n)]
            wide[radius + n + i] = row[_mirrored(n + i, n)]
        for k in range(1, radius + 1, 3):
            first = weights[0]
            a, b, c = weights[k], weights[k + 1], weights[k + 2]
            left, right = wide[radius - k - 2 :], wide[radius + k :]
            if k == 1:
                for i in range(n):
                    row[i] = (
                        wide[radius + i] * first
                        + (left[i + 2] + right[i]) * a
                        + (left[i + 1] + right[i + 1]) * b
                        + (left[i] + right[i + 2]) * c
                    )
            else:
                for i in range(n):
                    row[i] += (
                        (left[i + 2] + right[i]) * a
                        + (left[i + 1] + right[i + 1]) * b
                        + (left[i] + right[i + 2]) * c
                    )


@loose
def blur_inner(x: Any, weights: Any) -> None:
    """Convolve (outer, n, inner) along its middle axis in place, some of ``inner`` at a time.

    Args:
        x: float32 or float64.
        weights: As those of :func:`blur_rows`.
    """
    radius, n = weights.size - 1, x.shape[1]
    width = min(x.shape[2], max(64, _TILE // (n + 2 * radius)))
    wide = np.empty((n + 2 * radius, width), x.dtype)
    for block in x:
        for begin in range(0, x.shape[2], width):
            count = min(width, x.shape[2] - begin)
            for j in range(n + 2 * radius):
                source, target = block[_mirrored(j - radius, n), begin:], wide[j]
                for i in range(count):
                    target[i] = source[i]
            for j in range(n):
                _convolve(block[j, begin : begin + count], wide, j + radius, weights)


@loose_piece
def _convolve(out: Any, wide: Any, at: Any, weights: Any) -> None:
    """Add up rows of ``wide`` around row ``at``."""
    for k in range(1, weights.size, 3):
        middle, first = wide[at], weights[0]
        a, b, c = weights[k], weights[k + 1], weights[k + 2]
        a0, a1 = wide[at - k], wide[at + k]
        b0, b1 = wide[at - k - 1], wide[at + k + 1]
        c0, c1 = wide[at - k - 2], wide[at + k + 2]
        if k == 1:
            for i in range(out.size):
                pairs = (a0[i] + a1[i]) * a + (b0[i] + b1[i]) * b + (c0[i] + c1[i]) * c
                out[i] = middle[i] * first + pairs
        else:
            for i in range(out.size):
                out[i] += (a0[i] + a1[i]) * a + (b0[i] + b1[i]) * b + (c0[i] + c1[i]) * c


@loose
def pick(x: Any, few: Any, at: Any) -> None:
    """Fill a volume (a, b, c) with voxels of another.

    Args:
        x: The other.
        few: Written, of the same dtype.
        at: (a + b + c,) intp, the voxel for each output voxel of each axis.
    """
    na, nb, nc = few.shape
    last = at[na + nb :]
    for a in range(na):
        for b in range(nb):
            source, target = x[at[a], at[na + b]], few[a, b]
            for c in range(nc):
                target[c] = source[last[c]]


@loose
def enlarge(few: Any, out: Any, low: Any, high: Any, part: Any) -> None:
    """Interpolate a volume (a, b, c) to (x, y, z) linearly, axis by axis.

    Args:
        few: The small one.
        out: The large one, of the same dtype.
        low: (x + y + z,) intp, the lower of two voxels for each output voxel of each axis.
        high: The same of the upper.
        part: The same, in the dtype, how far from the lower to the upper.
    """
    nx, ny, nz = out.shape
    plane = np.empty(few.shape[1:], out.dtype)
    row = np.empty(few.shape[2], out.dtype)
    for x in range(nx):
        a, b, t = few[low[x]], few[high[x]], part[x]
        for j in range(plane.shape[0]):
            for k in range(plane.shape[1]):
                plane[j, k] = a[j, k] + (b[j, k] - a[j, k]) * t
        for y in range(ny):
            c, d, s = plane[low[nx + y]], plane[high[nx + y]], part[nx + y]
            for k in range(row.size):
                row[k] = c[k] + (d[k] - c[k]) * s
            target = out[x, y]
            lows, highs, parts = low[nx + ny :], high[nx + ny :], part[nx + ny :]
            for z in range(nz):
                e = row[lows[z]]
                target[z] = e + (row[highs[z]] - e) * parts[z]
