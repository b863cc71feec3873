"""Small sources and caches, built once a run.

    vector_source, vector_cache    4 unequal classes of 2D images with 3 channels, vectors of 4
    mask_source, mask_cache        2 classes of 2D images of one channel, masks
    folder_source, folder_cache    3 classes of .nii and .nii.gz, the folder is the label
    volume_source, volume_cache    2 classes of volumes and masks, stored in spatial blocks
    sharded_cache                  the vector source in shards of 8 cases, not compressed
    patch_source, patch_cache      2 classes of volumes and masks with a rare lesion, for patches

They are shared: whoever changes one changes what ``copy_of`` makes of it.
"""

from __future__ import annotations

import os

# Before anything imports a backend: no graphics card, and no talk on stderr.
os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers import make_cache, write_source
from hypothesis import settings

BREAKING = Path(__file__).with_name("reliability")

# The suites must take the same time and find the same things wherever they run.
settings.register_profile("niicache", deadline=None, derandomize=True, database=None)
settings.load_profile("niicache")


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, lest one process does them while others are done."""
    items.sort(key=lambda item: (item.path.name != "test_scripts.py", item.path.parent != BREAKING))


@pytest.fixture(autouse=True)
def _nothing_in_memory():
    """Let no test find chunks that another has decoded: they are known by what they hold."""
    hot = sys.modules.get("niicache.hot")
    if hot is not None:
        hot.SHARED.clear()


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """Return the folder that the sources lie in."""
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """Return the folder that the caches lie in."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def vector_source(sources) -> Path:
    """Return ``<class>/images`` and ``<class>/labels``: int16 (8..12, 9..13, 3), float32 (4,)."""
    return write_source(
        sources / "vector",
        {"axial": 37, "coronal": 21, "oblique": 10, "sagittal": 5},
        low=(8, 9),
        high=(12, 13),
        channels=3,
        dtype="int16",
        labels="vector",
    )


@pytest.fixture(scope="session")
def vector_cache(vector_source, caches) -> Path:
    """Return the vector source padded to (16, 15, 3), 4 cases a chunk, lz4hc."""
    return make_cache(vector_source, caches / "vector", shape=(16, 15), chunk=(4,))


@pytest.fixture(scope="session")
def sharded_cache(vector_source, caches) -> Path:
    """Return the vector source padded to (12, 13, 3), 2 cases a chunk, 8 a shard, as it is."""
    return make_cache(vector_source, caches / "sharded", shards=8, chunk=(2,), codec="none")


@pytest.fixture(scope="session")
def mask_source(sources) -> Path:
    """Return ``<class>/images`` and ``<class>/labels``: float32 (9..14, 7..10), uint8 masks."""
    return write_source(
        sources / "mask",
        {"left": 9, "right": 5},
        low=(9, 7),
        high=(14, 10),
        dtype="float32",
        labels="mask",
    )


@pytest.fixture(scope="session")
def mask_cache(mask_source, caches) -> Path:
    """Return the mask source padded with -1.5 to (14, 10, 1), as the planner would have it."""
    return make_cache(mask_source, caches / "mask", pad_value=-1.5)


@pytest.fixture(scope="session")
def folder_source(sources) -> Path:
    """Return ``<class>/*.nii`` and ``*.nii.gz``: uint16 (6..9, 6..9), no labels."""
    return write_source(
        sources / "folder",
        {"bird": 4, "cat": 7, "dog": 3},
        low=(6, 6),
        high=(9, 9),
        dtype="uint16",
        labels="folder",
    )


@pytest.fixture(scope="session")
def folder_cache(folder_source, caches) -> Path:
    """Return the folder source padded to (9, 9, 1), 2 cases a chunk, zstd."""
    return make_cache(folder_source, caches / "folder", codec="small", chunk=(2,))


@pytest.fixture(scope="session")
def volume_source(sources) -> Path:
    """Return ``<class>/images`` and ``<class>/labels``: int16 (12..19, 12..21, 12..17), masks."""
    return write_source(
        sources / "volume",
        {"healthy": 3, "tumour": 2},
        low=(12, 12, 12),
        high=(19, 21, 17),
        dtype="int16",
        labels="mask",
    )


@pytest.fixture(scope="session")
def volume_cache(volume_source, caches) -> Path:
    """Return the volume source padded to its largest case, in blocks of 8 x 8 x 8 voxels."""
    return make_cache(volume_source, caches / "volume", chunk=(1, 8, 8, 8))


@pytest.fixture
def copy_of(tmp_path):
    """Return a function that copies a source or a cache, so that a test may break it."""

    def copy(folder: Path) -> Path:
        target: Path = shutil.copytree(folder, tmp_path / folder.name, symlinks=True)
        return target

    return copy


PATCHED_SHAPES = [(30, 26, 20), (22, 28, 19), (30, 20, 9)]


@pytest.fixture(scope="session")
def patch_source(sources):
    """Return two classes of int16 volumes and uint8 masks of 0, 1 and, in a corner, 2."""
    root = sources / "patches"
    for number, name in enumerate(("ill", "well")):
        for case, shape in enumerate(PATCHED_SHAPES):
            rng = np.random.default_rng((number, case))
            image = rng.integers(-1000, 1000, shape, np.int16)
            mask = np.zeros(shape, np.uint8)
            if name == "ill":
                mask[8:14, 8:15, 3:8] = 1
                mask[:2, :2, :2] = 2
            for kind, voxels in (("images", image), ("labels", mask)):
                file = root / name / kind / f"c{case}.nii.gz"
                file.parent.mkdir(parents=True, exist_ok=True)
                nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), file)
    return root


@pytest.fixture(scope="session")
def patch_cache(patch_source, caches):
    """Return it padded to (30, 28, 20), in blocks of 8x8x8, with coordinates of the foreground."""
    return make_cache(
        patch_source, caches / "patches", chunk=(1, 8, 8, 8), patch=(12, 12, 12), shards=2
    )
