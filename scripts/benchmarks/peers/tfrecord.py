"""tf.data over TFRecord files, one a class, tuned as its guide says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.way import Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.way import Batch

POOL = 4  # threads of tf.data for each that a way may use: many of them only wait for each other


class TFRecord(Way):
    """Raw records, padded already: the int16 voxels, then the label's bytes.

    No ``tf.train.Example`` around them, whose parsing would cost more. Cases are shuffled over the
    whole class, and whole batches are decoded and cast at once, in parallel, in any order.

    With ``sampled`` the classes go through ``sample_from_datasets`` case by case, as its
    documentation shows for unequal classes; shares are then equal on average only. Otherwise each
    class is batched by itself and the parts are joined: exact shares, and far fewer elements. With
    ``cached`` the records are read once and stay in memory.
    """

    needs = ("tensorflow",)

    def __init__(self, name: str, *, sampled: bool = False, cached: bool = False) -> None:
        super().__init__(name)
        self.sampled = sampled
        self.cached = cached
        self.exact = not sampled

    def prepare(self, cases: Cases, folder: Path) -> None:
        """Write one file a class."""
        import tensorflow as tf

        self.cases = cases
        self.files = []
        for name, images, labels in zip(cases.names, cases.images, cases.labels, strict=True):
            self.files.append(str(folder / f"{name}.tfrecord"))
            with tf.io.TFRecordWriter(self.files[-1]) as writer:
                for image, label in zip(images, labels, strict=True):
                    writer.write(image.tobytes() + label.tobytes())

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches, after the first: the shuffle buffers are full by then."""
        batches = iter(self.dataset(number).take(1 + epochs * self.cases.steps))
        next(batches)
        return batches

    def dataset(self, seed: int) -> Any:
        """Return an endless dataset of batches."""
        import tensorflow as tf

        files = [tf.data.TFRecordDataset(file, buffer_size=1 << 20) for file in self.files]
        classes = [
            (records.cache() if self.cached else records)
            .shuffle(len(images), seed=seed, reshuffle_each_iteration=True)
            .repeat()
            for records, images in zip(files, self.cases.images, strict=True)
        ]
        if self.sampled:
            weights = [1 / len(classes)] * len(classes)
            merged = tf.data.Dataset.sample_from_datasets(classes, weights, seed=seed)
            records = merged.batch(self.cases.batch_size, drop_remainder=True)
        else:
            parts = tuple(one.batch(self.cases.per_class, drop_remainder=True) for one in classes)
            records = tf.data.Dataset.zip(parts).map(lambda *some: tf.concat(some, 0))
        options = tf.data.Options()
        options.deterministic = False
        options.threading.private_threadpool_size = POOL * self.cases.threads
        decoded = records.map(self.decode, num_parallel_calls=tf.data.AUTOTUNE)
        return decoded.prefetch(tf.data.AUTOTUNE).with_options(options)

    def decode(self, records: Any) -> Any:
        """Return images and labels of a batch of records."""
        import tensorflow as tf

        shape, k = self.cases.images[0].shape[1:], self.cases.labels[0].shape[1]
        voxels = int(np.prod(shape))
        numbers = tf.io.decode_raw(records, tf.int16, fixed_length=2 * voxels + 4 * k)
        images = tf.reshape(tf.cast(numbers[:, :voxels], tf.float32), (-1, *shape))
        return images, tf.bitcast(tf.reshape(numbers[:, voxels:], (-1, k, 2)), tf.float32)
