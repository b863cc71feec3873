"""Where everything of a cache lies, and what it is called."""

from __future__ import annotations

from typing import Final, Literal

FORMAT_VERSION: Final = 1

ROOT: Final = "zarr.json"
ATTRIBUTE: Final = "niicache"
README: Final = "README.txt"
CACHEDIR_TAG: Final = "CACHEDIR.TAG"
SKIPPED: Final = "skipped.csv"
LOCK: Final = ".lock"
WORK: Final = ".build"
RETIRED: Final = ".retired"

# https://bford.info/cachedir/ : the signature that backup programs look for.
CACHEDIR_SIGNATURE: Final = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a niicache cache. It can be rebuilt from its sources.\n"
)

IMAGE: Final = "image"
LABEL: Final = "label"
CASES: Final = "cases"
CHUNKS: Final = "chunks"
SPOTS: Final = "spots"

LabelKind = Literal["mask", "vector", "folder"]
PadMode = Literal["constant", "edge", "reflect", "symmetric", "wrap"]
Interpolation = Literal["linear", "cubic"]
Crop = Literal["foreground"]

DTYPES: Final = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)
"""Of voxels and labels."""

SPATIAL_AXES: Final = ("x", "y", "z")
"""NIfTI's own order: the first axis of the stored array is x, the fastest one on disk."""


def shard_path(class_name: str, array: str, index: int, ndim: int) -> str:
    """Return the path of a shard below the cache's root.

    Args:
        class_name: The class.
        array: ``"image"`` or ``"label"``.
        index: Number of the shard along the case axis; shards span every other axis whole.
        ndim: Axes of the array, the case axis included.
    """
    return "/".join([class_name, array, "c", str(index), *["0"] * (ndim - 1)])
