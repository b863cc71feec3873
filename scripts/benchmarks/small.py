"""The small cases of the design: 45x45x3 int16 in four unequal classes, batches of 128."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from baseline import Baseline
from synthetic import write_cases

from benchmarks.cases import Cases
from benchmarks.cold import Cold, drop_pages, resident
from benchmarks.command import build_cache
from benchmarks.ours import BaselineWay, FirstEpoch, LaterEpochs, bare_window_bytes
from benchmarks.peers.grain_records import GrainRecords
from benchmarks.peers.monai_cache import MonaiCache
from benchmarks.peers.nnunet_blosc2 import NnunetBlosc2
from benchmarks.peers.ram import RamIndex
from benchmarks.peers.tensorstore import TensorStore
from benchmarks.peers.tfrecord import TFRecord
from benchmarks.peers.zarr_python import ZarrPython
from benchmarks.rounds import make_ready, time_rounds
from benchmarks.table import Table, make_rows
from niicache import BalancedSequence, open_cache

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.options import Options
    from benchmarks.way import Way
    from niicache import Cache

COUNTS = {"a": 600, "b": 250, "c": 100, "d": 50}
SHAPE = (64, 64)  # voxels; 45 is padded with 9 before and 10 after
PER_CLASS = 32
YARDSTICKS = {
    "baseline": "baseline",
    "TFRecord": "tf.data TFRecord, sample_from_datasets",
    "MONAI": "MONAI CacheDataset",
    "RAM": "RAM index",
}


def make_cases(folder: Path, options: Options, *, uncompressed: bool = True) -> Cases:
    """Write the files, build the caches, and read everything as the baseline does.

    Args:
        folder: Where all of it goes.
        options: How many cases.
        uncompressed: Build the cache with ``--codec none`` too.

    Raises:
        AssertionError: A cache holds another voxel or label than the baseline reads.
    """
    source = folder / "source"
    write_cases(source, {name: options.scaled(count) for name, count in COUNTS.items()})
    words = ("--shape", ",".join(map(str, SHAPE)), "--labels", "vector")
    old = Baseline(source, shape=SHAPE, labels="file", per_class=PER_CLASS)
    read = [[old.read(case) for case in members] for members in old.classes]
    cache = plain = build_cache(source, folder / "cache", *words)
    if uncompressed:
        plain = build_cache(source, folder / "uncompressed", *words, "--codec", "none")
    cases = Cases(
        source=source,
        cache=cache,
        uncompressed=plain,
        names=tuple(sorted(COUNTS)),
        images=tuple(np.stack([image for image, _ in of]).astype(np.int16) for of in read),
        labels=tuple(np.stack([label for _, label in of]) for of in read),
        per_class=PER_CLASS,
        steps=len(old),
        threads=options.threads,
    )
    for path in {cases.cache, cases.uncompressed}:
        check_cache(open_cache(path), cases)
    return cases


def check_cache(cache: Cache, cases: Cases) -> None:
    """Refuse a cache that does not hold what the baseline reads.

    Raises:
        AssertionError: Any case differs.
    """
    for view, images, labels in zip(cache, cases.images, cases.labels, strict=True):
        for sample, image, label in zip(view, images, labels, strict=True):
            np.testing.assert_array_equal(sample.image, image, err_msg=view.name)
            np.testing.assert_array_equal(sample.label, label, err_msg=view.name)


def all_ways(options: Options) -> list[Way]:
    """Return the rows in the order of the table."""
    cold = [
        Cold(BaselineWay(), lambda cases: cases.source),
        Cold(TensorStore("TensorStore, niicache's order", our_order=True), lambda c: c.cache),
        Cold(FirstEpoch("niicache, epoch 0"), lambda cases: cases.cache),
        Cold(FirstEpoch("niicache none, epoch 0", uncompressed=True), lambda c: c.uncompressed),
    ]
    return [
        BaselineWay(),
        ZarrPython("zarr-python"),
        NnunetBlosc2("nnU-Net's blosc2 files"),
        TFRecord("tf.data TFRecord, sample_from_datasets", sampled=True),
        TFRecord("tf.data TFRecord, a batch a class"),
        TFRecord("tf.data TFRecord, a batch a class, cached", cached=True),
        GrainRecords("Grain, ArrayRecord", at_once=False),
        GrainRecords("Grain, a batch of records at once", at_once=True),
        TensorStore("TensorStore"),
        TensorStore("TensorStore, niicache's order", our_order=True),
        TensorStore("TensorStore, all in its pool", everything=True),
        MonaiCache("MONAI CacheDataset", own_loader=True),
        MonaiCache("MONAI CacheDataset, torch's collate", own_loader=False),
        RamIndex("RAM index"),
        RamIndex(f"RAM index, {options.threads} threads", threads=options.threads),
        FirstEpoch("niicache, epoch 0"),
        LaterEpochs("niicache, windows only", windows=True),
        LaterEpochs("niicache, in budget"),
        FirstEpoch("niicache none, epoch 0", uncompressed=True),
        LaterEpochs("niicache none, windows only", uncompressed=True, windows=True),
        LaterEpochs("niicache none, in budget", uncompressed=True),
        *(cold if options.cold else ()),
    ]


def run(folder: Path, options: Options) -> Table:
    """Make the data and time every way."""
    cases = make_cases(folder, options)
    ways, skipped = make_ready(all_ways(options), cases, folder)
    try:
        figures = time_rounds(ways, rounds=options.rounds, epochs=options.epochs)
    finally:
        for way in ways:
            way.close()
    return Table(
        title="small: 45x45x3 int16 .nii.gz, vector labels, padded to 64x64x3, float32 batches",
        unit="samples/s",
        rows=make_rows(figures, yardsticks=YARDSTICKS),
        skipped=skipped,
        facts={
            "cases": dict(zip(cases.names, map(len, cases.images), strict=True)),
            "batch": cases.batch_size,
            "steps": cases.steps,
        },
        remarks=(*remarks(cases), *(cold_remarks(cases) if options.cold else ())),
    )


def remarks(cases: Cases) -> tuple[str, ...]:
    """Return what belongs beside the rows of niicache."""
    mixing = BalancedSequence(cases.cache, cases.batch_size).mixing
    window = bare_window_bytes(open_cache(cases.cache))
    decoded = sum(images.nbytes for images in cases.images)
    memory = (
        f"windows only: memory={window / 1e6:.1f} MB of decoded chunks, for one window of each "
        f"class; all cases are {decoded / 1e6:.1f} MB"
    )
    return (memory, f"niicache's mixing is {mixing:.2f}; 1 is a full shuffle, 0 a fixed order")


def cold_remarks(cases: Cases) -> tuple[str, ...]:
    """Say how the page cache was emptied, and whether that worked."""
    drop_pages(cases.cache)
    left = resident(cases.cache)
    said = f"but {left} files stayed, so these rows are not cold" if left else "all of it went"
    return (f"cold: posix_fadvise(DONTNEED) on every file before each round; {said}",)
