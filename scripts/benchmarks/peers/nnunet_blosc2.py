"""nnU-Net v2's way: one blosc2 file a case, opened for each sample and read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.way import Way, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Array, Cases
    from benchmarks.way import Batch


class NnunetBlosc2(Way):
    """What ``nnUNetDatasetBlosc2`` does: float32, zstd 8, memory-mapped, one thread a file.

    nnU-Net's batches are made by processes; here by threads, because nothing is augmented.
    """

    needs = ("blosc2",)

    def prepare(self, cases: Cases, folder: Path) -> None:
        """Write one file a case, and the labels, which nnU-Net would have in memory."""
        import blosc2

        blosc2.set_nthreads(1)
        self.cases = cases
        self.files = []
        for name, images in zip(cases.names, cases.images, strict=True):
            paths = [str(folder / f"{name}_{number}.b2nd") for number in range(len(images))]
            self.files.append(paths)
            for path, image in zip(paths, images, strict=True):
                blosc2.asarray(
                    np.ascontiguousarray(image, np.float32),
                    urlpath=path,
                    chunks=image.shape,
                    blocks=image.shape,
                    cparams={"codec": blosc2.Codec.ZSTD, "clevel": 8},
                    mmap_mode="w+",
                )

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches, made ahead on threads."""
        draws = self.cases.draws(number, epochs)
        return prepared(self.batch, draws, threads=self.cases.threads)

    def batch(self, rows: list[Array]) -> Batch:
        """Return one batch."""
        import blosc2

        images = np.empty((self.cases.batch_size, *self.cases.images[0].shape[1:]), np.float32)
        paths = [files[row] for files, some in zip(self.files, rows, strict=True) for row in some]
        for slot, path in enumerate(paths):
            file = blosc2.open(urlpath=path, mode="r", dparams={"nthreads": 1}, mmap_mode="r")
            images[slot] = file[...]
        parts = [of[some] for of, some in zip(self.cases.labels, rows, strict=True)]
        return images, np.concatenate(parts)
