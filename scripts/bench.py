"""Time niicache beside the way that it replaces, and beside its peers, on the same data in one run.

Workloads, each in a module of ``benchmarks``:

    small       the design's small cases, read in class-balanced batches
    volumes     whole 96x96x96 volumes, from the same chunks
    fit         a training step of Keras, beside the same batches from memory
    augment     the small cases with the augmentation of the way that niicache replaces
    affine      one affine of a volume, on one thread
    plane       one affine of a plane, on one thread
    medical     what nnU-Net does to a patch, read and augmented, on one thread
    windows     random patches of volumes and masks, on one thread
    build       a build, beside the loop that people write and beside gunzip
    verify      verification of a cache, beside sha256sum
    index       a cache of 100,000 cases; takes minutes, so it runs when asked for

Ways take turns, round by round, so that whatever else the machine does hits all of them. Every way
is first shown to deliver the data. Imports and the compiling of kernels are over by then. A peer
that is not installed is named and left out; ``scripts/bench --peers`` installs them all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from hush import import_keras

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.table import Table

WORKLOADS = {
    "small": "benchmarks.small",
    "volumes": "benchmarks.volumes",
    "fit": "benchmarks.fit",
    "augment": "benchmarks.augmented",
    "affine": "benchmarks.affine",
    "plane": "benchmarks.plane",
    "medical": "benchmarks.medical",
    "windows": "benchmarks.windows",
    "build": "benchmarks.building",
    "verify": "benchmarks.verifying",
    "index": "benchmarks.index",
}
ASKED_FOR = {"index"}
PACKAGES = ("numpy", "zarr", "tensorstore", "tensorflow", "keras", "grain", "monai", "torch")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    add = parser.add_argument
    add("--only", action="append", choices=WORKLOADS, help="run this workload; may be repeated")
    add("--all", action="store_true", help="run every workload, those that take minutes too")
    add("--peers", action="store_true", help="install every peer first; scripts/bench does it")
    add("--cold", action="store_true", help="also read with an empty page cache")
    add("--cases-scale", type=float, default=1.0, help="share of the cases to make")
    add("--rounds", type=int, default=5, help="how often each way is timed")
    add("--epochs", type=int, default=10, help="epochs in one round of a fast way")
    add("--threads", type=int, default=cpus, help="threads or processes that any way may use")
    add("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args(words)
    if min(options.rounds, options.epochs, options.threads) < 1 or not 0 < options.cases_scale <= 1:
        parser.error(
            "--rounds, --epochs and --threads are 1 or more, --cases-scale is above 0 and at most 1"
        )
    return options


def machine() -> dict[str, object]:
    """Return what the figures depend on besides the code."""
    facts: dict[str, object] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def main(words: Sequence[str] | None = None) -> int:
    """Run the bench and print its result to stdout."""
    said = parse(words)
    import_keras()
    from benchmarks.options import Options
    from benchmarks.table import render

    options = Options(
        scale=said.cases_scale,
        rounds=said.rounds,
        epochs=said.epochs,
        threads=said.threads,
        cold=said.cold,
    )
    chosen = said.only or [name for name in WORKLOADS if said.all or name not in ASKED_FOR]
    facts = machine()
    tables: dict[str, Table] = {}
    if not said.json:
        print(", ".join(f"{name} {fact}" for name, fact in facts.items()), flush=True)
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="niicache-bench-") as folder:
            tables[name] = import_module(WORKLOADS[name]).run(Path(folder), options)
        if not said.json:
            print(f"\n{render(tables[name])}", flush=True)
    if said.json:
        workloads = {name: asdict(table) for name, table in tables.items()}
        print(json.dumps({"machine": facts, "workloads": workloads}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
