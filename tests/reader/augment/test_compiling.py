"""How loops are compiled: stored where there is a place, and said once."""

from __future__ import annotations

from types import SimpleNamespace

from helpers import run_python

from niicache.augment.kernels import compiling

USED = """
import sys
import numpy as np
from niicache.augment import Brightness, Rescale
for one in (Rescale(scale=2.0), Brightness()):
    image, _ = one(np.ones((4, 5, 1), np.float32), np.zeros(1), np.random.default_rng(0))
print("compiling its loops" in sys.stderr.written, sys.stderr.written.count("\\n"), image.max())
"""
LISTEN = """
import io, sys
class Written(io.StringIO):
    written = ""
    def write(self, text):
        self.written += text
        return len(text)
sys.stderr = Written()
"""


def test_the_first_compilation_is_said_once_and_none_where_it_is_stored(tmp_path):
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run_python(LISTEN + USED, **place).split() == ["True", "1", "1.0"]
    assert any(tmp_path.rglob("*.nbc"))
    assert run_python(LISTEN + USED, **place).split() == ["False", "0", "1.0"]


def test_loops_are_compiled_where_no_folder_can_be_written(monkeypatch):
    tried = []
    real = compiling.numba.njit

    def njit(**options):
        tried.append(options.pop("cache", False))
        if tried[-1]:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(compiling, "numba", SimpleNamespace(njit=njit))
    assert compiling.compiled(lambda x: x + 1)(2) == 3
    assert compiling.loose(lambda x: x + 1)(2) == 3
    assert tried == [True, False] * 2


def test_functions_without_a_module_are_compiled_beside_ours():
    code = """
import numba, niicache.augment
names = {}
exec("def one_more(x): return x + 1", names)
names["one_more"].__module__ = None
print(numba.njit(names["one_more"])(1))
"""
    assert run_python(code).strip() == "2"
