"""How the loops are compiled, and how they reach memory: by pointers.

numba throws a stored loop away when the loop's own file changes, not when a piece from another file
does; an installer leaves stored loops where they are. So each file with loops holds ``PIECES``, a
digest of the files without, and changes with them; a test says the digest when it is another.
"""

from __future__ import annotations

import logging
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import numba
from numba import types
from numba.core import event
from numba.extending import intrinsic

from niicache.compiling import kept

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK: Final = 256
"""Values that are worked on at once. Their scratch stays in the first-level cache."""

RGB: Final = 3
"""A number of channels that is worth loops of its own: LLVM unrolls what is constant."""

EXACT: Final = frozenset[str]()
"""No freedom: what the loop says is what is computed."""

ONCE: Final = frozenset({"contract"})
"""``a * b + c`` may round once. NaN, infinities and the order of sums stay."""

LOOSE: Final = frozenset({"contract", "reassoc", "nsz", "arcp"})
"""Sums in any order too, so that LLVM may vectorise them."""


def compiled(function: Callable[..., Any], *, may: frozenset[str] = EXACT) -> Any:
    """Compile on first use, without the GIL, and keep the result on disk where there is a place."""
    return kept(numba.njit(**_options(may))(function))


def piece(function: Callable[..., Any], *, may: frozenset[str] = EXACT) -> Any:
    """Compile a part of a loop, with it and stored in it.

    Nothing but a loop may call it: it has no way in from Python, and a call ends the process.
    """
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_options(may))(function)


def _options(may: frozenset[str]) -> dict[str, Any]:
    # Divisions by 0 give infinity, which saves a branch and the time to compile it.
    return {"nogil": True, "error_model": "numpy", "fastmath": set(may) or False}


loose, loose_piece = partial(compiled, may=LOOSE), partial(piece, may=LOOSE)


class _Announcer(event.Listener):  # type: ignore[misc]  # numba ships no types
    """Says that something is compiled, which takes seconds, the first time that it is."""

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__  # None of what exec made
        if module is not None and module.startswith("niicache.augment."):
            _announce()

    def on_end(self, event: Any) -> None: ...


@cache
def _announce() -> None:
    """Warn, so that it is seen wherever nobody set up a log."""
    logging.getLogger("niicache.augment").warning(
        "niicache.augment: compiling its loops, which takes seconds; "
        "they are kept for the next process where there is a place"
    )


event.register("numba:compile", _Announcer())


@intrinsic  # type: ignore[untyped-decorator]
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


@piece
def part(address: Any, which: Any, like: Any) -> Any:
    """Return a pointer to one of the parts of a scratch, each of BLOCK numbers as ``like``."""
    return pointer(address + which * BLOCK * size_of(like), like)


@partial(piece, may=ONCE)
def between(near: Any, far: Any, weight: Any) -> Any:
    """Return what lies between two numbers."""
    return near + weight * (far - near)


@compiled
def addresses(source: Any, out: Any) -> Any:
    """Return where the numbers of two arrays lie, several times as fast as numpy says it."""
    return source.ctypes.data, out.ctypes.data
