"""A cache of 100,000 tiny cases: how soon it can be used, and what knowing it costs in memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel
import numpy as np

from benchmarks.command import build_cache
from benchmarks.table import Table, make_rows

if TYPE_CHECKING:
    from benchmarks.options import Options

PROBE = Path(__file__).with_name("index_probe.py")
COUNTS = {"a": 60_000, "b": 25_000, "c": 10_000, "d": 5_000}
SHAPE = (8, 8)
REMARK = (
    "after imports and compiled kernels, files in the page cache. Traced: what Python and numpy "
    "hold after open_cache, Sequence and first batch, without the batch and without decoded chunks "
    "(memory=0). RSS: growth of the process over the same."
)


def write_tiny(source: Path, counts: dict[str, int]) -> None:
    """Write ``<class>/case_<n>.nii.gz`` of 8x8 int16; one header serves them all."""
    rng = np.random.default_rng(0)
    header = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4)).header
    header["vox_offset"] = 352  # bytes: the header and an empty extension flag
    header.set_slope_inter(1, 0)
    start = header.binaryblock + bytes(4)
    for name, count in counts.items():
        (source / name).mkdir(parents=True)
        for number, voxels in enumerate(rng.integers(0, 1000, (count, *SHAPE), np.int16)):
            data = gzip.compress(start + voxels.tobytes(), 1, mtime=0)
            (source / name / f"case_{number:06}.nii.gz").write_bytes(data)


def run(folder: Path, options: Options) -> Table:
    """Build the cache, and open it in fresh processes."""
    counts = {name: options.scaled(count) for name, count in COUNTS.items()}
    write_tiny(folder / "source", counts)
    write_tiny(folder / "tiny-source", dict.fromkeys(counts, 8))
    cache = build_cache(folder / "source", folder / "cache", "--labels", "folder")
    tiny = build_cache(folder / "tiny-source", folder / "tiny", "--labels", "folder")
    figures: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        command = [sys.executable, PROBE, cache, tiny]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        for name, figure in json.loads(done.stdout).items():
            figures.setdefault(name, []).append(figure)
    return Table(
        title="index: 8x8 int16 cases, the folder is the label; each round a fresh process",
        unit="",
        rows=make_rows(figures),
        facts={"cases": sum(counts.values())},
        remarks=(REMARK,),
    )
