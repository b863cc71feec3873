"""Half precision in compiled loops: numba has none on the CPU, so loops see its bits, as int16.

Bits become numbers and back by arithmetic, because not every processor has an instruction for it:
to the nearest, ties to even, infinite beyond 65,504, as IEEE 754 and numpy have it. The bits of a
NaN may be others than numpy's. Nothing relies on subnormal float32, which threads of TensorFlow
take for 0.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

HALF: Final = np.dtype(np.float16)
BITS: Final = np.dtype(np.int16)

AS_IT_IS: Final[tuple[int, ...]] = ()
WIDEN: Final = (0,)
NARROW: Final = (0, 0)
"""What a loop does with a number. Their types differ, so each gets a loop of its own."""

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_F32, _F64 = ir.FloatType(), ir.DoubleType()


def as_bits(dtype: np.dtype[Any], out: np.ndarray) -> tuple[np.dtype[Any], np.ndarray, Any]:
    """Return how a loop may see what it reads and writes, and what :func:`told` has to do.

    Args:
        dtype: Of what is read.
        out: What is written, any dtype.
    """
    if dtype == out.dtype:
        kept = (BITS, out.view(BITS)) if dtype == HALF else (dtype, out)
        return *kept, AS_IT_IS
    if dtype == HALF:
        return BITS, out, WIDEN
    return (dtype, out.view(BITS), NARROW) if out.dtype == HALF else (dtype, out, AS_IT_IS)


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def told(_context: Any, number: Any, kind: Any) -> Any:
    """Return a number as it is, a half by its bits, or the bits of a half, as the kind says."""
    result = {0: number, 1: types.float32, 2: types.int16}[kind.count]

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if kind.count == len(AS_IT_IS):
            return arguments[0]
        if kind.count == len(WIDEN):
            return _widened(builder, arguments[0])
        if number == types.float64:
            single = _to_odd(builder, arguments[0])
        else:
            single = context.cast(builder, arguments[0], signature.args[0], types.float32)
        return _halved(builder, single)

    return result(number, kind), build


def _widened(b: Any, bits: Any) -> Any:
    """Return the float32 that equals a half, of the int16 of its bits."""
    half = b.zext(bits, _I32)
    sign = b.shl(b.and_(half, _I32(0x8000)), _I32(16))
    exponent = b.and_(half, _I32(0x7C00))
    rest = b.shl(b.and_(half, _I32(0x7FFF)), _I32(13))
    normal = b.add(rest, _I32((127 - 15) << 23))
    small = b.fmul(b.uitofp(b.and_(half, _I32(0x3FF)), _F32), _F32(2.0**-24))
    magnitude = b.select(
        b.icmp_unsigned("==", exponent, _I32(0)),
        b.bitcast(small, _I32),
        b.select(
            b.icmp_unsigned("==", exponent, _I32(0x7C00)), b.or_(rest, _I32(0x7F800000)), normal
        ),
    )
    return b.bitcast(b.or_(magnitude, sign), _F32)


def _halved(b: Any, single: Any) -> Any:
    """Return the bits of the half that is nearest to a float32."""
    bits = b.bitcast(single, _I32)
    sign = b.lshr(b.and_(bits, _I32(0x80000000)), _I32(16))
    rest = b.and_(bits, _I32(0x7FFFFFFF))
    odd = b.and_(b.lshr(rest, _I32(13)), _I32(1))
    moved = b.add(rest, _I32((15 - 127) * 2**23 + 0xFFF))
    normal = b.lshr(b.add(moved, odd), _I32(13))
    # The last bit of 1/2 is that of the smallest half, so that this sum rounds where a half does.
    small = b.bitcast(b.fadd(b.bitcast(rest, _F32), _F32(0.5)), _I32)
    small = b.sub(small, _I32(0x3F000000))
    beyond = b.select(b.icmp_unsigned(">", rest, _I32(0x7F800000)), _I32(0x7E00), _I32(0x7C00))
    magnitude = b.select(
        b.icmp_unsigned("<", rest, _I32((127 - 14) << 23)),
        small,
        b.select(b.icmp_unsigned(">=", rest, _I32((127 + 16) << 23)), beyond, normal),
    )
    return b.trunc(b.or_(magnitude, sign), _I16)


def _to_odd(b: Any, double: Any) -> Any:
    """Return a float32 for a float64 from which rounding to a half goes the same way.

    Rounded twice to the nearest it would not: what lies beside the middle of two halves may become
    the middle. So what is not exact is cut off and made odd (Boldo and Melquiond, "Emulation of a
    FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
    """
    single = b.fptrunc(double, _F32)
    bits, back = b.bitcast(single, _I32), b.fpext(single, _F64)
    size = [b.and_(b.bitcast(one, _I64), _I64(2**63 - 1)) for one in (back, double)]
    cut = b.sub(bits, b.zext(b.icmp_unsigned(">", *size), _I32))
    finite = b.icmp_unsigned("<", b.and_(bits, _I32(0x7FFFFFFF)), _I32(0x7F800000))
    inexact = b.and_(finite, b.fcmp_ordered("!=", back, double))
    return b.bitcast(b.select(inexact, b.or_(cut, _I32(1)), bits), _F32)
