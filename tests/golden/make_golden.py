"""Write a golden cache: python tests/golden/make_golden.py tests/golden/format-N.tar.xz.

Run it once for a format version, commit the file, and never write it again: tests/test_golden.py
reads each of them with the niicache of its day. A name with "prepared" in it is that of a cache
whose cases are resampled and cropped, as format 1 has had it since its columns can be more.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

import nibabel
import numpy as np

from niicache_builder import BuildOptions, build

CASES = {"cat": ("one", "three", "two"), "dog": ("four",)}
SHAPE = (5, 4)
PADDED = (8, 7)
MTIME = 1_600_000_000
PREPARED = {"spacing": (1.0, 1.0), "crop": "foreground", "shape": (4, 11)}


def image_of(class_name: str, case: str) -> np.ndarray:
    """Return the voxels of a case, int16 ``(5, 4)``: a ramp that starts where the name says."""
    start = sum(map(ord, class_name + case)) - 500
    return np.arange(start, start + 20, dtype=np.int16).reshape(SHAPE)


def mask_of(class_name: str, case: str) -> np.ndarray:
    """Return its mask, uint8 ``(5, 4)``."""
    return (image_of(class_name, case) % 3).astype(np.uint8)


def write_source(source: Path) -> None:
    """Write the cases with affines in mm and a fixed time."""
    affine = np.diag([0.5, 2.0, 1.0, 1.0])
    for class_name, cases in CASES.items():
        for case in cases:
            for kind, voxels in (("images", image_of), ("labels", mask_of)):
                path = source / class_name / kind / f"{case}.nii"
                path.parent.mkdir(parents=True, exist_ok=True)
                nibabel.save(nibabel.Nifti1Image(voxels(class_name, case), affine), path)
                os.utime(path, (MTIME, MTIME))


def main(target: str) -> None:
    """Build the cache and pack its committed files."""
    with tempfile.TemporaryDirectory() as folder:
        source, cache = Path(folder, "source"), Path(folder, "cache")
        write_source(source)
        how = PREPARED if "prepared" in target else {"shape": PADDED}
        built = build(source, cache, BuildOptions(workers=0, chunk=(2,), **how))
        with tarfile.open(target, "x:xz") as packed:
            for name in ("zarr.json", *built.manifest.files):
                data = (cache / name).read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                packed.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main(sys.argv[1])
