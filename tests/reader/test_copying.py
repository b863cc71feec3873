"""Cases are copied to their places in every dtype: numpy's own indexing is the judge."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import run_python
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import copying, halves, kernels
from niicache.copying import gather, gather_rows
from niicache_builder.options import DTYPES


def address(array):
    return array.__array_interface__["data"][0]


FLOATS = ["float16", "float32", "float64"]
PAIRS = [*dict.fromkeys((stored, out) for stored in DTYPES for out in (*FLOATS, stored))]
PAIRS.append(("uint8", "int32"))


def noise(cases, size, dtype, seed=0):
    low = 0 if dtype.startswith("u") else -100
    return np.random.default_rng(seed).integers(low, 100, (cases, size)).astype(dtype)


def gathered(stored, wanted, *, cases=5, size=7, batch=6, count=4, seed=0):
    """Return what gather made and what numpy makes of the same."""
    source = noise(cases, size, stored, seed)
    rng = np.random.default_rng(seed)
    rows, slots = rng.integers(0, cases, count), rng.permutation(batch)[:count]
    out = np.full((batch, size), 55, wanted)
    judge = out.copy()
    judge[slots] = source[rows].astype(wanted)
    gather(address(source) + rows * size * source.itemsize, source.dtype, out, slots)
    return out, judge


@pytest.mark.parametrize(("stored", "wanted"), PAIRS)
def test_cases_land_in_their_slots_in_every_dtype(stored, wanted):
    out, judge = gathered(stored, wanted)
    np.testing.assert_array_equal(out, judge)


@settings(max_examples=50)
@given(
    cases=st.integers(1, 9),
    size=st.integers(0, 20),
    batch=st.integers(1, 9),
    data=st.data(),
    seed=st.integers(0, 2**32),
)
def test_any_sizes(cases, size, batch, data, seed):
    count = data.draw(st.integers(0, batch))
    sizes = {"cases": cases, "size": size, "batch": batch, "count": count}
    out, judge = gathered("int16", "float32", **sizes, seed=seed)
    np.testing.assert_array_equal(out, judge)


@pytest.mark.parametrize("bits", [0x7E01, 0x7C01, 0x8000, 0x0001, 0xFC00])
def test_halves_keep_their_bits(bits):
    source = np.full((1, 3), bits, np.uint16)
    out = np.zeros((1, 3), np.float16)
    gather(np.array([address(source)]), np.dtype(np.float16), out, np.array([0]))
    assert (out.view(np.uint16) == bits).all()


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32"])
def test_a_case_in_its_place_stays_and_may_be_copied_to_others(dtype):
    out = noise(4, 9, dtype)
    judge = out[[0, 1, 1, 1]]
    # The place that is its own source comes first, last and in between.
    for slots in ([1, 2, 3], [2, 3, 1], [2, 1, 3]):
        here = out.copy()
        sources = np.full(3, address(here[1]))
        gather(sources, here.dtype, here, np.array(slots))
        np.testing.assert_array_equal(here, judge)


def test_a_case_in_its_place_is_not_even_read():
    # Memory that may be neither read nor written makes every touch a crash, hence the process.
    assert run_python(FORBIDDEN) == "untouched\n"


FORBIDDEN = """
import ctypes, mmap
import numpy as np
from niicache.copying import gather

page = mmap.mmap(-1, mmap.PAGESIZE)
out = np.frombuffer(page, np.int16).reshape(1, -1)
place = out.__array_interface__["data"][0]
gather(np.array([place]), out.dtype, out.copy(), np.array([0]))  # compiles
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), mmap.PAGESIZE, 0) == 0
gather(np.array([place]), out.dtype, out, np.array([0]))
print("untouched")
"""


@pytest.mark.parametrize("wanted", ["float32", "float64", "int16", "int32"])
def test_cases_are_gathered_straight_from_a_file(tmp_path, wanted):
    source = noise(6, 9, "int16")
    path = tmp_path / "cases"
    path.write_bytes(b"head" + source.tobytes())
    rows, slots = np.array([5, 0, 3, 3]), np.array([1, 4, 0, 2])
    out = np.full((5, 9), 55, wanted)
    judge = out.copy()
    judge[slots] = source[rows]
    with path.open("rb") as file:
        jobs = np.zeros((4, 6), np.int64)
        jobs[:, kernels.FD], jobs[:, kernels.STORED] = file.fileno(), 18
        jobs[:, kernels.OFFSET] = 4 + rows * 18
        scratch = np.empty(18, np.uint8)
        assert gather_rows(jobs, scratch, source.dtype, out, slots).all()
        np.testing.assert_array_equal(out, judge)
        jobs[1, kernels.OFFSET] += 1 + 5 * 18  # one byte beyond the end
        jobs[3, kernels.FD] = -1
        sound = gather_rows(jobs, scratch, source.dtype, out, slots)
    assert sound.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(out[[0, 1]], judge[[0, 1]])


def test_the_loop_lets_other_threads_run():
    source, out = np.zeros((1, 2_000_000), "int16"), np.empty((30, 2_000_000), "float32")
    places = np.full(30, address(source))
    gather(places[:1], source.dtype, out, np.zeros(1, np.int64))
    ticks = []
    job = (places, source.dtype, out, np.arange(30))
    thread = threading.Thread(target=gather, args=job)
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    thread.join()
    assert len(ticks) > 3


def test_stored_loops_go_when_what_they_are_made_of_changes():
    """numba looks at the file of a loop alone; see niicache.augment.kernels.compiling."""
    texts = [Path(one.__file__).read_text(encoding="utf-8") for one in (halves, kernels)]
    found = hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
    assert found == copying.MADE_OF, f'copying.py: write MADE_OF = "{found}"'
