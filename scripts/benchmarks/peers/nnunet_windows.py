"""nnU-Net v2's reader of patches: blosc2 files, opened for each patch, a window of each read.

Blocks and chunks are what ``nnUNetDatasetBlosc2.comp_blosc2_params`` of nnunetv2 2.5 gives for
patches of 128 voxels: blocks that fit the first-level cache, chunks that fit a core's share of the
third.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.cases import Array

IMAGE = (1, 16, 16, 16), (1, 80, 64, 64)
MASK = (1, 32, 32, 16), (1, 160, 128, 64)


def write_windows(cases: list[tuple[Array, Array]], folder: Path) -> list[tuple[str, str]]:
    """Write image and mask of each case as nnU-Net does, and return their paths."""
    import blosc2

    blosc2.set_nthreads(1)
    folder.mkdir()
    return [
        (
            _write(folder / f"c{n}.b2nd", (image - image.mean()) / image.std(), np.float32, IMAGE),
            _write(folder / f"c{n}_seg.b2nd", mask, np.int8, MASK),
        )
        for n, (image, mask) in enumerate(cases)
    ]


def _write(
    path: Path, voxels: Array, dtype: type, layout: tuple[tuple[int, ...], tuple[int, ...]]
) -> str:
    import blosc2

    block, chunk = (
        tuple(min(a, b) for a, b in zip(part, (1, *voxels.shape), strict=True)) for part in layout
    )
    blosc2.asarray(
        np.ascontiguousarray(voxels[None], dtype),
        urlpath=str(path),
        chunks=chunk,
        blocks=block,
        cparams={"codec": blosc2.Codec.ZSTD, "clevel": 8},
        mmap_mode="w+",
    )
    return str(path)


def read_windows(
    paths: list[tuple[str, str]], places: Iterator[tuple[int, tuple[slice, ...]]]
) -> Callable[[], object]:
    """Return what reads the next patch: (case, place) to image and mask."""
    import blosc2

    def read() -> list[Array]:
        case, place = next(places)
        return [
            blosc2.open(urlpath=one, mode="r", dparams={"nthreads": 1}, mmap_mode="r")[
                (slice(None), *place)
            ]
            for one in paths[case]
        ]

    return read
