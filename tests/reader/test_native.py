"""C functions by address, and the same batches where they are not to be had."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

from niicache import native, open_cache
from niicache.copying import gather_rows
from niicache.decoding import Decoder
from niicache.hot import SHARED
from niicache.kernels import read_chunks
from niicache.loader import Loader
from niicache.sampling import ClassRows, Sampler

MISSING = {
    "no such module": ("niicache.no_such_module", "pread"),
    "no such function": (None, "no_such_function_of_c"),
    "no file": ("sys", "pread"),
    "no library": ("niicache.native", "pread"),
}


@pytest.fixture
def without(monkeypatch):
    """Return a function that takes one of the C functions away."""

    def take(why, name="crc32c"):
        monkeypatch.setitem(native._FUNCTIONS, name, MISSING[why])
        native.available.cache_clear()

    yield take
    monkeypatch.undo()
    native.available.cache_clear()


def test_all_three_are_here():
    assert native.available()
    names = [native.symbol(name) for name in ("pread", "crc32c", "blosc")]
    assert len(set(names)) == 3
    assert all(llvm.address_of_symbol(name) for name in names)


def test_crc32c_is_the_one_of_the_rfc():
    native.available()
    kind = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
    crc = kind(llvm.address_of_symbol(native.symbol("crc32c")))
    assert crc(b"123456789", 9) == 0xE3069283
    assert crc(bytes(32), 32) == 0x8A9136AA  # RFC 3720, B.4


@pytest.mark.parametrize("why", MISSING)
@pytest.mark.parametrize("name", list(native._FUNCTIONS))
def test_one_that_is_missing_is_no_error(without, name, why):
    if why == "no file" and name == "pread":
        pytest.skip("sys has no file, and of no file the process's own functions are taken")
    without(why, name)
    assert native.available() is False
    jobs, scratch = np.zeros((2, 6), np.int64), np.empty(9, np.uint8)
    for compressed in (True, False):
        assert read_chunks(jobs, scratch, compressed=compressed).tolist() == [False, False]
    like, out, slots = np.dtype(np.int16), np.zeros((2, 3)), np.arange(2)
    assert gather_rows(jobs, scratch, like, out, slots).tolist() == [False, False]


@pytest.mark.parametrize("name", ["vector", "mask", "volume", "folder", "sharded"])
def test_batches_are_the_same_the_other_way(request, without, monkeypatch, name):
    cache = open_cache(request.getfixturevalue(f"{name}_cache"))
    with_ = batches(cache)
    SHARED.clear()
    without("no such function")
    careful = []
    slow = Decoder._read

    def counted(self, chunks, targets, trusted):
        careful.extend(targets)
        return slow(self, chunks, targets, trusted)

    monkeypatch.setattr(Decoder, "_read", counted)
    assert batches(cache) == with_
    assert careful


def batches(cache):
    """Return two rounds of batches as bytes."""
    layout = cache.manifest.recipe.image
    rows = [ClassRows(name=v.name, rows=v.occupied, chunk=layout.chunk[0]) for v in cache]
    sampler = Sampler(rows, 9, seed=3, steps=2)
    loader = Loader(cache, dtype=np.dtype("float32"), memory=10**5, check="first")
    made = [loader.load(sampler.draw(epoch, step)) for epoch in (0, 1) for step in (0, 1)]
    loader.close()
    return [(images.tobytes(), labels.tobytes()) for images, labels in made]
