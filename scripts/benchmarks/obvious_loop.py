"""The build that people write: nibabel, numpy.pad, one zarr array a class, a process a file.

Run as a program: SOURCE TARGET SHAPE PROCESSES; SHAPE is ``64,64,3``, one case and one chunk.
"""

from __future__ import annotations

import sys
from multiprocessing import Pool
from pathlib import Path

import nibabel
import numpy as np
import zarr


def store(job: tuple[Path, Path | None, Path, str, int, tuple[int, ...]]) -> None:
    """Read, pad and write one case: each is a chunk of its own, so processes do not meet."""
    image, label, target, name, row, shape = job
    voxels = np.asanyarray(nibabel.load(image).dataobj)
    totals = [want - have for want, have in zip(shape, voxels.shape, strict=True)]
    padded = np.pad(voxels, [(total // 2, total - total // 2) for total in totals])
    group = zarr.open_group(target, mode="r+")
    group[f"{name}/image"][row] = padded
    if label is not None:
        group[f"{name}/label"][row] = np.asanyarray(nibabel.load(label).dataobj)


def main(source: Path, target: Path, shape: tuple[int, ...], processes: int) -> None:
    """Make the arrays, then fill them."""
    group = zarr.open_group(target, mode="w")
    jobs = []
    for folder in sorted(source.iterdir()):
        labelled = (folder / "images").is_dir()
        images = sorted((folder / "images" if labelled else folder).iterdir())
        for name, one, dtype in (("image", shape, "int16"), ("label", (4,), "float32")):
            if name == "image" or labelled:
                group.create_array(
                    f"{folder.name}/{name}",
                    shape=(len(images), *one),
                    chunks=(1, *one),
                    dtype=dtype,
                )
        for row, image in enumerate(images):
            label = folder / "labels" / image.name if labelled else None
            jobs.append((image, label, target, folder.name, row, shape))
    with Pool(processes) as pool:
        for _ in pool.imap_unordered(store, jobs, chunksize=4):
            pass


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        tuple(map(int, sys.argv[3].split(","))),
        int(sys.argv[4]),
    )
