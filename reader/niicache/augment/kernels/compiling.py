"""How the loops are compiled, and how they reach memory: by pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK: Final = 256
"""Values that are worked on at once. Their scratch stays in the first-level cache."""

RGB: Final = 3
"""A number of channels that is worth loops of its own: LLVM unrolls what is constant."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first use, without the GIL, and keep the result on disk where there is a place."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no writable folder for its cache
        return numba.njit(nogil=True)(function)


def contracted(function: Callable[..., Any]) -> Any:
    """Compile as :func:`compiled` does, and let ``a * b + c`` round once.

    No other freedom of ``fastmath`` is given: NaN, infinities and the order of sums stay.
    """
    try:
        return numba.njit(nogil=True, cache=True, fastmath={"contract"})(function)
    except RuntimeError:
        return numba.njit(nogil=True, fastmath={"contract"})(function)


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def load(_context: Any, address: Any, like: Any) -> Any:
    """Return the number at an address, aligned or not, of the dtype of ``like``."""
    item = like.dtype

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], context.get_value_type(types.CPointer(item)))
        return builder.load(pointer, align=1, typ=context.get_value_type(item))

    return item(address, like), build


@intrinsic  # type: ignore[untyped-decorator]
def pointer(_context: Any, address: Any, like: Any) -> Any:
    """Return an address as a pointer to numbers of the dtype of ``like``, which is indexed.

    Nobody owns what it points to, nobody counts references to it, and -1 does not mean the end.
    """
    to = types.CPointer(like.dtype)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(to))

    return to(address, like), build


@intrinsic  # type: ignore[untyped-decorator]
def size_of(_context: Any, like: Any) -> Any:
    """Return the bytes of a number of a dtype."""

    def build(context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        size = context.get_abi_sizeof(context.get_value_type(like.dtype))
        return context.get_constant(types.intp, size)

    return types.intp(like), build


@compiled
def part(address: Any, which: Any, like: Any) -> Any:
    """Return a pointer to one of the parts of a scratch, each of BLOCK numbers as ``like``."""
    return pointer(address + which * BLOCK * size_of(like), like)


@contracted
def between(near: Any, far: Any, weight: Any) -> Any:
    """Return what lies between two numbers."""
    return near + weight * (far - near)


@compiled
def addresses(source: Any, out: Any) -> Any:
    """Return where the numbers of two arrays lie, several times as fast as numpy says it."""
    return source.ctypes.data, out.ctypes.data
