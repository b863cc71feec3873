"""The way of feeding Keras that niicache replaces, kept as the measure of every speed claim.

It is the loader that people write first, and it is written here without handicap: the files are
listed once, the arrays are made once per batch, and nothing is read that a batch does not hold.
What makes it slow is what the approach itself asks for:

- each sample is gunzipped and cast to float64 by ``nibabel.load(...).get_fdata()``;
- each sample is padded by ``numpy.pad``;
- each sample goes through ``ImageDataGenerator.flow`` of Keras' legacy preprocessing, without any
  augmentation unless it is asked for, which makes it slower;
- 8 threads share that work, in a pool that is made anew for each batch.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import nibabel
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Integers = np.ndarray[Any, np.dtype[np.integer[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFiles:
    """Where one case lies.

    Attributes:
        image: The image file.
        label: The label file, or None where the class folder is the label.
        class_index: Place of the case's class among the sorted class names.
    """

    image: Path
    label: Path | None
    class_index: int


def list_cases(source: Path, *, labels: Literal["file", "folder"]) -> list[list[CaseFiles]]:
    """Return the cases of each class of a source of ``<class>/images`` + ``<class>/labels``.

    Args:
        source: The folder of class folders.
        labels: ``"file"`` pairs each image with the label file of the same name; ``"folder"``
            leaves the label files alone.

    Returns:
        One list a class, in order of class name; each in order of file name.

    Raises:
        FileNotFoundError: If there is no case under ``source``.
    """
    folders = sorted(path for path in source.iterdir() if (path / "images").is_dir())
    classes = [
        [
            CaseFiles(
                image=image,
                label=folder / "labels" / image.name if labels == "file" else None,
                class_index=index,
            )
            for image in sorted((folder / "images").glob("*.nii.gz"))
        ]
        for index, folder in enumerate(folders)
    ]
    if not any(classes):
        raise FileNotFoundError(f"{source}: no <class>/images/*.nii.gz")
    return classes


def pad_centred(voxels: Floats, shape: Sequence[int]) -> Floats:
    """Pad the leading axes with zeros, ``total // 2`` of them before (45 to 64 is 9 and 10).

    Args:
        voxels: Array ``(*spatial, ...)``; trailing axes beyond ``shape`` are not padded.
        shape: Wanted spatial shape, in voxels; no axis smaller than that of ``voxels``.

    Returns:
        A new array ``(*shape, ...)`` of the same dtype.
    """
    totals = [want - have for want, have in zip(shape, voxels.shape, strict=False)]
    widths = [(total // 2, total - total // 2) for total in totals]
    return np.pad(voxels, widths + [(0, 0)] * (voxels.ndim - len(shape)))


def epoch_order(count: int, draws: int, *, seed: int) -> Integers:
    """Return ``draws`` case numbers below ``count``, at random: each once before any again."""
    rng = np.random.default_rng(seed)
    rounds = -(-draws // count)
    return np.concatenate([rng.permutation(count) for _ in range(rounds)])[:draws]


class Baseline:
    """Class-balanced batches of 2D images, read the slow way.

    One epoch shows every case of the largest class once; smaller classes come round again.

    Args:
        source: Folder of ``<class>/images`` and, for labels from files, ``<class>/labels``.
        shape: Padded spatial shape ``(x, y)`` in voxels.
        labels: ``"file"`` reads label files (a vector of shape ``(k,)``, or a mask on the image's
            grid, padded alike); ``"folder"`` gives the one-hot class folder.
        per_class: Samples of each class in a batch.
        threads: Threads in the pool of a batch.
        seed: Seed of the order of cases.

    Raises:
        FileNotFoundError: If there is no case under ``source``.
    """

    def __init__(
        self,
        source: Path,
        *,
        shape: tuple[int, int],
        labels: Literal["file", "folder"],
        per_class: int = 32,
        threads: int = 8,
        seed: int = 0,
    ) -> None:
        self.classes = list_cases(source, labels=labels)
        self.shape = shape
        self.per_class = per_class
        self.threads = threads
        self.steps = -(-max(map(len, self.classes)) // per_class)
        self.generator = ImageDataGenerator(data_format="channels_last", dtype="float32")
        draws = self.steps * per_class
        self.orders = [
            epoch_order(len(cases), draws, seed=seed + index)
            for index, cases in enumerate(self.classes)
        ]

    def augment(self, **options: Any) -> None:
        """Let the generator augment.

        Args:
            options: Of ``ImageDataGenerator``.
        """
        self.generator = ImageDataGenerator(data_format="channels_last", dtype="float32", **options)

    @property
    def batch_size(self) -> int:
        """Samples in a batch, over all classes."""
        return self.per_class * len(self.classes)

    def __len__(self) -> int:
        """Return the steps of an epoch."""
        return self.steps

    def __getitem__(self, step: int) -> tuple[Floats, Floats]:
        """Read one batch.

        Args:
            step: Step of the epoch, from 0.

        Returns:
            Images ``(batch, x, y, channel)`` and labels, float32: vectors ``(batch, k)``, one-hot
            folders ``(batch, classes)`` or masks ``(batch, x, y, 1)``.

        Raises:
            IndexError: If ``step`` is outside the epoch.
        """
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of an epoch of {self.steps} steps")
        chosen = slice(step * self.per_class, (step + 1) * self.per_class)
        cases = [
            members[number]
            for members, order in zip(self.classes, self.orders, strict=True)
            for number in order[chosen]
        ]
        with ThreadPoolExecutor(self.threads) as pool:
            samples = list(pool.map(self.read, cases))
        images, labels = zip(*samples, strict=True)
        return np.stack(images), np.stack(labels)

    def read(self, case: CaseFiles) -> tuple[Floats, Floats]:
        """Read one case: image ``(x, y, channel)`` and label, float32."""
        image = _with_channel(nibabel.load(case.image).get_fdata())
        padded = pad_centred(image, self.shape)
        flow = self.generator.flow(padded[np.newaxis], batch_size=1, shuffle=False)
        return next(flow)[0], self._label(case)

    def _label(self, case: CaseFiles) -> Floats:
        if case.label is None:
            one_hot: Floats = np.eye(len(self.classes), dtype=np.float32)[case.class_index]
            return one_hot
        label: Floats = nibabel.load(case.label).get_fdata().astype(np.float32)
        return pad_centred(_with_channel(label), self.shape) if label.ndim > 1 else label


def _with_channel(voxels: Floats) -> Floats:
    """Give a 2D array the channel axis that it lacks."""
    return voxels[..., np.newaxis] if voxels.ndim == 2 else voxels  # noqa: PLR2004 - x and y
