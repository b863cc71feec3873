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

path, budget, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = {"workers": workers, "steps": 30, "mix": "all"}
for _ in BalancedSequence(path, 4, memory=0, **options).batches(epochs=1):  # everything is loaded
    pass
del _
gc.collect()
from niicache import memory
memory._left.clear()
before, peak, kept = resident(), 0, 0
sequence = BalancedSequence(path, 4, memory=budget, **options)
for images, _ in sequence.batches(epochs=5):
    peak, kept = max(peak, resident()), max(kept, SHARED.nbytes)
print(json.dumps([peak - before, kept, images.nbytes]))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    root = tmp_path_factory.mktemp("budget")
    rng = np.random.default_rng(0)
    (root / "source" / "a").mkdir(parents=True)
    for case in range(CASES):
        voxels = rng.integers(-99, 999, SHAPE, np.int16)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / "source" / "a" / f"{case}.nii")
    return make_cache(root / "source", root / "cache", chunk=(1,), codec="fast")


@pytest.mark.parametrize(("budget", "workers"), [(4 * MIB, 1), (24 * MIB, 3)])
def test_a_process_grows_by_the_budget_and_the_batches_in_flight(path, budget, workers):
    grown, kept, batch = json.loads(run_python(GROWN, path, budget, workers).splitlines()[-1])
    assert 0.9 * budget < kept <= budget  # it is used, and is not exceeded
    # One batch a thread, one that waits, one that the loop holds; and each thread's own room.
    flight = (workers + 2) * batch + workers * 4 * MIB
    assert grown < 1.1 * (budget + flight)
