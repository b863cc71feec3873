"""The small arrays of a class: columns, checksums, spots. Proven, then decoded, then looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import DamageError, FormatError, NoMemoryError
from niicache.files import check_generation, read_file
from niicache.format.column_checks import column_problems, spot_problems
from niicache.format.columns import decode_column
from niicache.format.names import CASES, SPOTS
from niicache.format.paths import small_shapes
from niicache.format.root import REBUILD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from niicache.format.manifest import ClassEntry, Manifest

CONTRADICTS = f"this contradicts the manifest; {REBUILD}"


class SmallArrays:
    """Reads ``CACHE/<class>/cases``, ``chunks`` and ``spots``; what was read once is kept."""

    def __init__(self, root: Path, manifest: Manifest, entry: ClassEntry) -> None:
        self._root = root
        self._manifest = manifest
        self._entry = entry
        self._kept: dict[str, np.ndarray] = {}
        self._shapes = small_shapes(entry, manifest)

    def read(self, array: str) -> np.ndarray:
        """Return an array by its path below the class.

        Raises:
            DamageError: Its files are missing or damaged.
            FormatError: They are what the manifest says, and contradict it.
            NoMemoryError: No memory holds it.
        """
        if array not in self._kept:
            self._kept[array] = self.read_anew(array)
        return self._kept[array]

    def read_anew(self, array: str) -> np.ndarray:
        """Return an array as :meth:`read` does, and do not keep it."""
        prefix = f"{self._entry.name}/{array}/"
        try:
            files: Mapping[str, bytes] = {
                path.removeprefix(prefix): read_file(self._root, path, entry)
                for path, entry in self._manifest.files.items()
                if path.startswith(prefix)
            }
        except DamageError:
            check_generation(self._root, self._manifest.files)
            raise
        dtype, shape = self._shapes[array]
        try:
            values = decode_column(files, dtype, shape)
        except FormatError as error:
            raise self._contradiction(prefix, str(error)) from error
        except MemoryError as error:
            what = f"{self._root / prefix}: no memory for an array of {shape} {dtype}"
            raise NoMemoryError(what) from error
        folder, _, name = array.partition("/")
        recipe = self._manifest.recipe
        problems = column_problems(name, values, self._entry, recipe) if folder == CASES else []
        if problems:
            raise self._contradiction(prefix, "; ".join(problems))
        return values

    def spots(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both arrays of the spots, see :meth:`niicache.view.ClassView.spots`."""
        stops, voxels = (self.read(f"{SPOTS}/{name}") for name in ("stop", "voxel"))
        problems = spot_problems(stops, voxels, self._manifest.recipe)
        if problems:
            raise self._contradiction(f"{self._entry.name}/{SPOTS}", "; ".join(problems))
        return spot_starts(stops), voxels

    def _contradiction(self, path: str, what: str) -> FormatError:
        return FormatError(f"{self._root / path}: {what}", CONTRADICTS)


def spot_starts(stops: np.ndarray) -> np.ndarray:
    """Return where the spots of each slot and value begin, and after them where the last end.

    Args:
        stops: (slots, values) int64, where they end.
    """
    starts = np.concatenate([[0], stops.ravel()])[:-1].reshape(stops.shape)
    return np.column_stack([starts, stops[:, -1:]])
