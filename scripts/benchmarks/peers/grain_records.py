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

    Each class is shuffled and repeated, the classes are mixed in equal parts, and a batch is decoded
    at once from its records, on ``threads`` threads.
    """

    needs = ("grain", "array_record")

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

        classes = [
            grain.MapDataset.source(grain.sources.ArrayRecordDataSource(file))
            .shuffle(seed=number + index)
            .repeat()
            for index, file in enumerate(self.files)
        ]
        mixed = grain.MapDataset.mix(classes, weights=[1 / len(classes)] * len(classes))
        batches = mixed.batch(
            self.cases.batch_size, drop_remainder=True, batch_fn=self.decode
        ).to_iter_dataset(
            grain.ReadOptions(
                num_threads=self.cases.threads, prefetch_buffer_size=2 * self.cases.threads
            )
        )
        return islice(batches, epochs * self.cases.steps)

    def decode(self, records: Sequence[Any]) -> Batch:
        """Return images and labels of a batch of records."""
        voxels = 2 * int(np.prod(self.cases.images[0].shape[1:]))
        joined = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), -1)
        images = np.empty((len(records), *self.cases.images[0].shape[1:]), np.float32)
        images.reshape(len(records), -1)[:] = joined[:, :voxels].view(np.int16)
        return images, np.ascontiguousarray(joined[:, voxels:]).view(np.float32)
