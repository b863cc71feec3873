"""Compiled loops over the voxels of one channel, without the GIL and in place.

numba turns int32 sums into int64 and float constants into float64, which halves what a vector
register holds, so constants are float32 and the bit tricks of :func:`power` are LLVM's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from niicache.augment.kernels.compiling import loose, loose_piece

PIECES = "f86db4290525b894"  # see compiling

_SQRT_HALF_BITS = 0x3F3504F3


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def _split(_context: Any, _value: Any) -> Any:
    """Return n and m of a positive float32 = m * 2**n, m from sqrt(1/2) to sqrt(2)."""
    pair = types.UniTuple(types.float32, 2)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole = context.get_value_type(types.int32)
        real = context.get_value_type(types.float32)
        bits = builder.bitcast(arguments[0], whole)
        power = builder.ashr(builder.sub(bits, whole(_SQRT_HALF_BITS)), whole(23))
        rest = builder.sub(bits, builder.shl(power, whole(23)))
        parts = builder.sitofp(power, real), builder.bitcast(rest, real)
        return context.make_tuple(builder, pair, parts)

    return pair(types.float32), build


@intrinsic  # type: ignore[untyped-decorator]
def _two_to(_context: Any, _value: Any) -> Any:
    """Return 2**n of a float32 that is a whole number from -127 (taken as 0.0) to 127."""

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole = context.get_value_type(types.int32)
        power = builder.add(builder.fptosi(arguments[0], whole), whole(127))
        bits = builder.shl(power, whole(23))
        return builder.bitcast(bits, context.get_value_type(types.float32))

    return types.float32(types.float32), build


@loose_piece
def _log2(x: Any) -> Any:
    """Return the logarithm of a positive, normal float32; Cephes' logf in base 2."""
    power, rest = _split(x)
    f = rest - np.float32(1)
    z = f * f
    y = np.float32(7.0376836292e-2)
    y = y * f - np.float32(1.1514610310e-1)
    y = y * f + np.float32(1.1676998740e-1)
    y = y * f - np.float32(1.2420140846e-1)
    y = y * f + np.float32(1.4249322787e-1)
    y = y * f - np.float32(1.6668057665e-1)
    y = y * f + np.float32(2.0000714765e-1)
    y = y * f - np.float32(2.4999993993e-1)
    y = y * f + np.float32(3.3333331174e-1)
    y = y * f * z - np.float32(0.5) * z
    return (y + f) * np.float32(1.4426950408889634) + power


@loose_piece
def _exp2(x: Any) -> Any:
    """Return 2**x of a float32, 0.0 below -126; Cephes' exp2f."""
    x = max(x, np.float32(-127))
    n = np.float32(np.floor(x + np.float32(0.5)))
    f = x - n
    y = np.float32(1.535336188319500e-4)
    y = y * f + np.float32(1.339887440266574e-3)
    y = y * f + np.float32(9.618437357674640e-3)
    y = y * f + np.float32(5.550332471162809e-2)
    y = y * f + np.float32(2.402264791363012e-1)
    y = y * f + np.float32(6.931472028550421e-1)
    return (y * f + np.float32(1)) * _two_to(n)


@loose
def stats(x: Any) -> Any:
    """Return minimum, maximum, mean and standard deviation of a vector, as four float64.

    NaN has no say in the minimum and the maximum, and makes the others NaN.
    """
    low, high = x.dtype.type(np.inf), x.dtype.type(-np.inf)
    total, squares = 0.0, 0.0
    first = np.float64(x[0])
    for i in range(x.size):
        low = min(low, x[i])
        high = max(high, x[i])
        # from the first voxel, so that a mean far from 0 does not eat up the digits
        part = np.float64(x[i]) - first
        total += part
        squares += part * part
    mean = total / x.size
    spread = max(squares / x.size - mean * mean, 0.0)
    return np.float64(low), np.float64(high), mean + first, np.sqrt(spread)


@loose
def linear(x: Any, scale: Any, offset: Any, low: Any, high: Any) -> None:
    """Do x * scale + offset, cut to low and high. All in the dtype of x."""
    for i in range(x.size):
        x[i] = min(max(x[i] * scale + offset, low), high)


@loose
def power(x: Any, low: Any, scale: Any, gamma: Any, span: Any, offset: Any) -> Any:
    """Do ((x - low) * scale) ** gamma * span + offset of a float32 vector; return mean and std.

    ``scale`` may be below 0, and brings x to 0 to 1.
    """
    total, squares = 0.0, 0.0
    tiny = np.float32(1e-30)
    for i in range(x.size):
        t = (x[i] - low) * scale
        y = _exp2(gamma * _log2(max(t, tiny)))
        y = y if t > tiny else np.float32(0)
        total += np.float64(y)
        squares += np.float64(y) * np.float64(y)
        x[i] = y * span + offset
    mean = total / x.size
    std = np.sqrt(max(squares / x.size - mean * mean, 0.0))
    return mean * span + offset, std * abs(span)


@loose
def rician(x: Any, real: Any, imaginary: Any, low: Any) -> None:
    """Do sqrt((x - low + real)**2 + imaginary**2) + low."""
    for i in range(x.size):
        a = x[i] - low + real[i]
        x[i] = np.sqrt(a * a + imaginary[i] * imaginary[i]) + low
