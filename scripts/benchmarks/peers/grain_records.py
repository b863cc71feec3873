"""Grain over ArrayRecord files, one a class."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.way import Way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.way import Batch


class GrainRecords(Way):
    """Records as in :mod:`tfrecord`, not compressed and one to a group, for random access.

    Each class is shuffled and repeated, the classes are mixed in equal parts, and a batch is
    decoded at once from its records, on ``threads`` threads. With ``at_once`` Grain is given no
    records but numbers of batches, and each batch asks its files for all its records in one call:
    less of Grain's Python for each record, and the order is then the user's own affair.
    """

    needs = ("grain", "array_record")

    def __init__(self, name: str, *, at_once: bool) -> None:
        super().__init__(name)
        self.at_once = at_once

    def prepare(self, cases: Cases, folder: Path) -> None:
        """Write one file a class."""
        from array_record.python.array_record_module import ArrayRecordWriter

        self.cases = cases
        self.files = []
        for name, images, labels in zip(cases.names, cases.images, cases.labels, strict=True):
            self.files.append(str(folder / f"{name}.array_record"))
            writer = ArrayRecordWriter(self.files[-1], "group_size:1,uncompressed")
            for image, label in zip(images, labels, strict=True):
                writer.write(image.tobytes() + label.tobytes())
            writer.close()

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches, made ahead by Grain's threads."""
        import grain

        sources = [grain.sources.ArrayRecordDataSource(file) for file in self.files]
        pipeline = self.at_once_from if self.at_once else self.record_by_record
        threads = self.cases.threads
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        batches = pipeline(sources, number, epochs).to_iter_dataset(options)
        return islice(batches, epochs * self.cases.steps)

    def record_by_record(self, sources: list[Any], number: int, epochs: int) -> Any:  # noqa: ARG002
        """Return an endless dataset of batches, as Grain's guide writes it."""
        import grain

        classes = [
            grain.MapDataset.source(source).shuffle(seed=number + index).repeat()
            for index, source in enumerate(sources)
        ]
        mixed = grain.MapDataset.mix(classes, weights=[1 / len(classes)] * len(classes))
        return mixed.batch(self.cases.batch_size, drop_remainder=True, batch_fn=self.decode)

    def at_once_from(self, sources: list[Any], number: int, epochs: int) -> Any:
        """Return a dataset of batches whose records are asked for together."""
        import grain

        draws = list(self.cases.draws(number, epochs))

        def batch(step: int) -> Batch:
            parts = zip(sources, draws[step], strict=True)
            return self.decode(
                [record for source, rows in parts for record in source.__getitems__(rows.tolist())]
            )

        return grain.MapDataset.range(len(draws)).map(batch)

    def decode(self, records: Sequence[Any]) -> Batch:
        """Return images and labels of a batch of records."""
        voxels = 2 * int(np.prod(self.cases.images[0].shape[1:]))
        joined = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), -1)
        images = np.empty((len(records), *self.cases.images[0].shape[1:]), np.float32)
        images.reshape(len(records), -1)[:] = joined[:, :voxels].view(np.int16)
        return images, np.ascontiguousarray(joined[:, voxels:]).view(np.float32)
