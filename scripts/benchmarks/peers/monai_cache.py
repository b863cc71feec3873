"""MONAI's CacheDataset with every case in RAM, and a DataLoader over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.way import Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.way import Batch


class MonaiCache(Way):
    """float32 tensors, cached; a batch sampler that draws 32 cases of each class at random.

    No worker processes: with all in RAM they would only copy batches from one process to another.
    """

    needs = ("monai", "torch")

    def __init__(self, name: str, *, own_loader: bool) -> None:
        """Make the row.

        Args:
            name: As the table has it.
            own_loader: MONAI's DataLoader with its collate, or torch's with the default one.
        """
        super().__init__(name)
        self.own_loader = own_loader

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: ARG002 - nothing is written
        """Cache everything."""
        import torch
        from monai.data import CacheDataset
        from monai.transforms import EnsureTyped

        torch.set_num_threads(cases.threads)
        self.cases = cases
        self.dataset = CacheDataset(
            [
                {"image": image, "label": label}
                for images, labels in zip(cases.images, cases.labels, strict=True)
                for image, label in zip(images, labels, strict=True)
            ],
            transform=EnsureTyped(("image", "label"), dtype=torch.float32, track_meta=False),
            cache_rate=1.0,
            copy_cache=False,
            progress=False,
        )

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Return the batches of a DataLoader."""
        from monai.data import DataLoader as OwnLoader
        from torch.utils.data import DataLoader

        sampler = [
            np.concatenate(
                [start + some for start, some in zip(self.cases.starts, rows, strict=True)]
            ).tolist()
            for rows in self.cases.draws(number, epochs)
        ]
        loader = OwnLoader if self.own_loader else DataLoader
        return map(_pair, loader(self.dataset, batch_sampler=sampler, num_workers=0))


def _pair(batch: dict[str, Any]) -> Batch:
    return batch["image"], batch["label"]
