"""C functions that compiled loops call without going through Python.

A batch needs a read, a crc32c and a decompression for each of a dozen chunks. Called from Python,
each gives the GIL back and has to win it again, and two threads get in each other's way more than
they help (docs/performance.md). numcodecs and google-crc32c carry the C libraries that they wrap,
with their public functions (blosc.h, crc32c/crc32c.h) visible to the dynamic linker.

The only module that imports llvmlite.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import import_module

import llvmlite.binding as llvm

_FUNCTIONS = {
    "pread": (None, "pread"),
    "preadv": (None, "preadv"),
    "crc32c": ("google_crc32c._crc32c", "crc32c_value"),
    "blosc": ("numcodecs.blosc", "blosc_decompress_ctx"),
}


def symbol(name: str) -> str:
    """Return the name under which a compiled loop finds a function, such as ``pread``."""
    return f"niicache_{name}"


@cache
def available() -> bool:
    """Make the functions known to the linker of compiled loops; False where one is not to be had.

    Without them chunks are read by way of Python: the same bytes, at two thirds of the speed.
    """
    try:
        for name, (module, function) in _FUNCTIONS.items():
            file = None if module is None else import_module(module).__file__
            address = ctypes.cast(getattr(ctypes.CDLL(file), function), ctypes.c_void_p).value
            llvm.add_symbol(symbol(name), address)
    except (ImportError, OSError, AttributeError):
        return False
    return True
