"""Whole volumes of 96x96x96 int16, every reader on the same chunks of the same cache."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

from benchmarks.brains import write_volumes
from benchmarks.cases import Cases
from benchmarks.command import build_cache
from benchmarks.peers.tensorstore import open_arrays
from benchmarks.rounds import make_ready, time_rounds
from benchmarks.table import Table, make_rows
from benchmarks.way import Way, prepared
from niicache import BalancedSequence, open_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Array
    from benchmarks.options import Options
    from benchmarks.way import Batch

CLASSES = ("a", "b", "c", "d")
PER_CLASS = 8  # volumes of each class in the set
SHAPE = (96, 96, 96)
DTYPES = ("int16", "float32")
LITTLE = 1 << 20  # bytes: enough for the indices of shards, too little for a volume


class Volumes(Way):
    """A row that delivers batches of one volume a class, in one dtype."""

    def __init__(self, name: str, dtype: str) -> None:
        super().__init__(f"{name}, {dtype}")
        self.dtype = dtype

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: ARG002 - the cache is there
        """Note what there is."""
        self.cases = cases

    def fresh(self) -> tuple[Array, Array]:
        """Return the arrays of a new batch: images, to be filled, and one-hot labels."""
        shape = (self.cases.batch_size, *self.cases.images[0].shape[1:])
        return np.empty(shape, self.dtype), np.eye(len(self.cases.names), dtype=np.float32)


class OldVolumes(Volumes):
    """nibabel's ``get_fdata`` on threads: the baseline without ImageDataGenerator, which is 2D."""

    passes = 1

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches, four files at a time."""
        files = [sorted((self.cases.source / name).iterdir()) for name in self.cases.names]

        def read(rows: list[Array]) -> Batch:
            images, labels = self.fresh()
            for index, (some, row) in enumerate(zip(files, rows, strict=True)):
                images[index, ..., 0] = nibabel.load(some[row[0]]).get_fdata()
            return images, labels

        return prepared(read, self.cases.draws(number, epochs), threads=self.cases.threads)


class ZarrVolumes(Volumes):
    """zarr-python, one volume after another; its own threads decode a volume's blocks."""

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches."""
        import zarr

        zarr.config.set({"threading.max_workers": self.cases.threads})
        group = zarr.open_group(self.cases.cache, mode="r")
        arrays = [group[f"{name}/image"] for name in self.cases.names]

        def read(rows: list[Array]) -> Batch:
            images, labels = self.fresh()
            for index, (array, row) in enumerate(zip(arrays, rows, strict=True)):
                images[index] = array[int(row[0])]
            return images, labels

        return map(read, self.cases.draws(number, epochs))


class TensorStoreVolumes(Volumes):
    """TensorStore, all volumes of a batch at once and the next batch under way."""

    needs = ("tensorstore",)

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches."""
        paths = [f"{name}/image" for name in self.cases.names]
        threads = self.cases.threads
        arrays = open_arrays(self.cases.cache, paths, memory=LITTLE, threads=threads)
        return self.batches(arrays, self.cases.draws(number, epochs))

    def batches(self, arrays: list[Any], draws: Iterator[list[Array]]) -> Iterator[Batch]:
        """Yield the batches, written by TensorStore's threads into their memory."""
        import tensorstore

        casted = [tensorstore.cast(array, np.dtype(self.dtype)) for array in arrays]
        waiting: deque[tuple[Array, Array, list[Any]]] = deque()

        def finished() -> Batch:
            images, labels, futures = waiting.popleft()
            for future in futures:
                future.result()
            return images, labels

        for rows in draws:
            images, labels = self.fresh()
            parts = zip(casted, images, rows, strict=True)
            writes = [tensorstore.array(out).write(one[row[0]]) for one, out, row in parts]
            waiting.append((images, labels, writes))
            if len(waiting) > 1:
                yield finished()
        while waiting:
            yield finished()


class OurVolumes(Volumes):
    """niicache without memory for decoded chunks: every volume is decoded each time."""

    sequence: BalancedSequence | None = None

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches of a new Sequence."""
        self.close()
        self.sequence = BalancedSequence(
            self.cases.cache,
            self.cases.batch_size,
            steps=self.cases.steps,
            seed=number,
            dtype=self.dtype,
            memory=0,
            workers=self.cases.threads,
        )
        return self.sequence.batches(0, epochs=epochs)

    def close(self) -> None:
        """End the Sequence's threads."""
        if self.sequence is not None:
            self.sequence.close()
            self.sequence = None


def make_cases(folder: Path, options: Options) -> Cases:
    """Write the volumes, build the cache, and read everything with nibabel."""
    source = folder / "source"
    count = options.scaled(PER_CLASS)
    write_volumes(source, CLASSES, count, SHAPE)
    cache = build_cache(source, folder / "cache", "--labels", "folder")
    images = tuple(
        np.stack(
            [
                np.asanyarray(nibabel.load(file).dataobj)
                for file in sorted((source / name).iterdir())
            ]
        )[..., None]
        for name in CLASSES
    )
    return Cases(
        source=source,
        cache=cache,
        uncompressed=cache,
        names=CLASSES,
        images=images,
        labels=tuple(
            np.eye(len(CLASSES), dtype=np.float32)[[k] * count] for k in range(len(CLASSES))
        ),
        per_class=1,
        steps=count,
        threads=options.threads,
    )


def all_ways() -> list[Way]:
    """Return the rows in the order of the table."""
    rows = (
        (ZarrVolumes, "zarr-python"),
        (TensorStoreVolumes, "TensorStore"),
        (OurVolumes, "niicache, memory=0"),
    )
    others = [kind(name, dtype) for kind, name in rows for dtype in DTYPES]
    return [OldVolumes("baseline", "float32"), *others]


def run(folder: Path, options: Options) -> Table:
    """Make the data and time every way."""
    cases = make_cases(folder, options)
    ways, skipped = make_ready(all_ways(), cases, folder)
    try:
        figures = time_rounds(ways, rounds=options.rounds, epochs=options.epochs)
    finally:
        for way in ways:
            way.close()
    # Each dtype beside the peers of that dtype; the baseline knows float32 alone.
    rows = [
        row
        for dtype in DTYPES
        for row in make_rows(
            figures,
            yardsticks={
                "baseline": "baseline, float32",
                "zarr": f"zarr-python, {dtype}",
                "TensorStore": f"TensorStore, {dtype}",
            },
        )
        if row.way.endswith(dtype)
    ]
    recipe = open_cache(cases.cache).manifest.recipe.image
    stored = sum(
        file.stat().st_size for file in cases.cache.glob("*/image/c/**/*") if file.is_file()
    )
    decoded = sum(images.nbytes for images in cases.images)
    return Table(
        title="volumes: 96x96x96 int16, whole, batches of 4",
        unit="volumes/s",
        rows=tuple(rows),
        skipped=skipped,
        facts={
            "cases": sum(map(len, cases.images)),
            "batch": cases.batch_size,
            "chunk": recipe.chunk,
            "decoded to stored": f"{decoded / stored:.2f}",
        },
    )
