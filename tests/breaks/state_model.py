"""What sources and a cache have to be after any history, kept in memory beside the real ones."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from building import voxels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Identity = tuple[str, str]
"""Class and case."""

Shape = tuple[int, ...]

SOUND, HEADLESS, ROTTEN = "sound", "headless", "rotten"
"""What a source is: whole, without a header, or with voxels that end in a wrong checksum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What the files of a case are at one time.

    Attributes:
        number: No other number has these voxels.
        shape: Of the image and its mask.
        state: One of the three above.
        time: Modification time of its files, ns.
    """

    number: int
    shape: Shape
    state: str
    time: int

    @property
    def files(self) -> dict[str, bytes]:
        """Content of ``images`` and ``labels``."""
        return _files(self.number, self.shape, self.state)

    @property
    def suffix(self) -> str:
        """End of the names of the files."""
        return ".nii.gz" if self.state == ROTTEN else ".nii"

    @property
    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask, before padding."""
        image = voxels(self.number, self.shape)
        return image, (image % 3).astype("uint8")

    def padded(self, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask as a cache of that spatial shape holds them."""
        totals = [total - own for total, own in zip(shape, self.shape, strict=True)]
        widths = [(total // 2, total - total // 2) for total in totals]
        image, mask = (np.pad(one, widths)[..., None] for one in self.sample)
        return image, mask

    def is_copy_of(self, other: Version | None) -> bool:
        """Return whether the files are the same, byte for byte."""
        return other is not None and self.files == other.files

    def looks_like(self, other: Version) -> bool:
        """Return whether sizes, times and names of the files are the same."""
        sizes = [{half: len(data) for half, data in one.files.items()} for one in (self, other)]
        return sizes[0] == sizes[1] and (self.time, self.suffix) == (other.time, other.suffix)


@lru_cache(maxsize=512)
def _files(number: int, shape: Shape, state: str) -> dict[str, bytes]:
    image, mask = Version(number=number, shape=shape, state=SOUND, time=0).sample
    found = {
        half: nib.Nifti1Image(array, np.eye(4), dtype=array.dtype).to_bytes()
        for half, array in (("images", image), ("labels", mask))
    }
    if state == ROTTEN:
        found = {half: gzip.compress(data, mtime=0) for half, data in found.items()}
        data = found["images"]
        found["images"] = data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]
    elif state == HEADLESS:
        found["images"] = b"nothing"
    return found


class Sources:
    """Class folders of images and masks.

    Attributes:
        root: Where they are.
        cases: What is there.
        past: Everything that each of them ever was.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.cases: dict[Identity, Version] = {}
        self.past: dict[Identity, list[Version]] = {}
        self._clock = 10**18

    def tick(self) -> int:
        """Return a time that no file has yet; two writes may come within one tick of the disk."""
        self._clock += 10**9
        return self._clock

    def put(self, case: Identity, version: Version) -> None:
        """Write a case, and take away what it was."""
        self.remove(case)
        for half, data in version.files.items():
            path = self._path(case, half, version)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, ns=(version.time, version.time))
        self.cases[case] = version
        self.past.setdefault(case, []).append(version)

    def remove(self, case: Identity) -> None:
        """Take a case away, with folders that this empties."""
        version = self.cases.pop(case, None)
        if version is None:
            return
        for half in version.files:
            path = self._path(case, half, version)
            path.unlink()
            for folder in (path.parent, path.parent.parent):
                if not any(folder.iterdir()):
                    folder.rmdir()

    def _path(self, case: Identity, half: str, version: Version) -> Path:
        return self.root / case[0] / half / f"{case[1]}{version.suffix}"

    def names(self, class_name: str) -> set[str]:
        """Return the cases of a class."""
        return {name for owner, name in self.cases if owner == class_name}

    @property
    def shape(self) -> Shape:
        """Of the padded cases: the largest of those whose headers can be read."""
        shapes = [one.shape for one in self.cases.values() if one.state != HEADLESS]
        return tuple(max(lengths) for lengths in zip(*shapes, strict=True))

    def sound(self) -> dict[Identity, Version]:
        """Return the cases that a build can read."""
        return {case: one for case, one in self.cases.items() if one.state == SOUND}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A committed cache as it has to be.

    Attributes:
        cases: What it holds.
        shape: Spatial shape of its padded cases.
        skipped: Cases that it names as left out.
        slots: Class to the case of each slot, "" where vacant.
        files: Path to bytes of every file.
    """

    cases: Mapping[Identity, Version] = field(default_factory=dict)
    shape: Shape = ()
    skipped: frozenset[Identity] = frozenset()
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def without(self, cases: set[Identity]) -> Generation:
        """Return it with some cases left out."""
        left = {case: one for case, one in self.cases.items() if case not in cases}
        return replace(self, cases=left, skipped=self.skipped | cases)
