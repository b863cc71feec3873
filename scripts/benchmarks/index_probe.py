"""Open a cache in this fresh process and print what it took, as JSON.

Run as a program: CACHE TINY; TINY is another cache, read first, so that all is imported.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hush import import_keras

import_keras()

from niicache import BalancedSequence, open_cache  # noqa: E402 - Keras first, in silence

BATCH = 128


def resident_bytes() -> int:
    """Return the memory of this process that is resident."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def first_use(path: Path) -> tuple[BalancedSequence, float, float]:
    """Return a Sequence that gave a batch, and the seconds of open_cache and of the rest."""
    start = perf_counter()
    cache = open_cache(path)
    opened = perf_counter()
    sequence = BalancedSequence(cache, BATCH, memory=0, workers=1)
    sequence[0]
    return sequence, opened - start, perf_counter() - opened


def main(path: Path, tiny: Path) -> None:
    """Warm up, time once, then trace memory in a second use, which tracing makes slow."""
    first_use(tiny)
    gc.collect()
    before = resident_bytes()
    sequence, opening, batch = first_use(path)
    gc.collect()
    grown = resident_bytes() - before
    cases = sum(len(view) for view in sequence.cache)
    del sequence
    gc.collect()
    tracemalloc.start()
    kept, _, _ = first_use(path)
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    del kept
    figures = {
        "open_cache, ms": 1e3 * opening,
        "Sequence and first batch, ms": 1e3 * batch,
        "traced, bytes a case": traced / cases,
        "RSS, bytes a case": grown / cases,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
