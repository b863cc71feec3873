"""What a process grows by while it reads: the budget, and the batches in flight."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from helpers import make_cache, run_python

SHAPE = (64, 64, 64)  # int16: 0.5 MiB a case, one case a chunk
CASES = 100
MIB = 2**20

GROWN = """
import gc, json, sys
from niicache import BalancedSequence
from niicache.hot import SHARED

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

path, budget, workers, size = sys.argv[1], *map(int, sys.argv[2:])
options = {"workers": workers, "steps": 30, "mix": "all"}
for _ in BalancedSequence(path, 4, memory=0, **options).batches(epochs=1):  # everything is loaded
    pass
del _
gc.collect()
from niicache import memory
memory._left.clear()
before, peak, kept = resident(), 0, 0
sequence = BalancedSequence(path, size, memory=budget, **options)
for images, _ in sequence.batches(epochs=5):
    peak, kept = max(peak, resident()), max(kept, SHARED.nbytes)
print(json.dumps([peak - before, kept, images.nbytes]))
"""


def cache_of(root, shape, cases, chunk):
    rng = np.random.default_rng(0)
    (root / "source" / "a").mkdir(parents=True)
    for case in range(cases):
        voxels = rng.integers(-99, 999, shape, np.int16)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / "source" / "a" / f"{case}.nii")
    return make_cache(root / "source", root / "cache", chunk=(chunk,), codec="fast")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return cache_of(tmp_path_factory.mktemp("budget"), SHAPE, CASES, 1)


@pytest.mark.parametrize(("budget", "workers"), [(4 * MIB, 1), (24 * MIB, 3)])
def test_a_process_grows_by_the_budget_and_the_batches_in_flight(path, budget, workers):
    said = run_python(GROWN, path, budget, workers, 4)
    grown, kept, batch = json.loads(said.splitlines()[-1])
    assert 0.9 * budget < kept <= budget  # it is used, and is not exceeded
    # One batch a thread, one that waits, one that the loop holds; and each thread's own room.
    flight = (workers + 2) * batch + workers * 4 * MIB
    assert grown < 1.1 * (budget + flight)


@pytest.mark.parametrize("budget", [0, 8 * MIB])
def test_a_batch_that_needs_many_chunks_holds_a_few_at_a_time(tmp_path, budget):
    # 2 MiB a chunk, 20 of them: a full shuffle needs nearly all of them for each batch. Batches of
    # 64 MiB, beside which what a process takes for itself is little.
    path = cache_of(tmp_path, (64, 64, 16), 320, 16)
    said = run_python(GROWN, path, budget, 2, 256)
    grown, kept, batch = json.loads(said.splitlines()[-1])
    assert 0.7 * budget <= kept <= budget
    assert grown < 1.1 * (budget + 4 * batch + 2 * 4 * MIB)
