"""What is wrong with the recipe in a manifest. Pure; returns every problem."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from niicache.format.codec import MAX_CHUNK_BYTES, Compressor, Shuffle
from niicache.format.members import is_finite, is_length, is_whole, member_problems, shown
from niicache.format.names import DTYPES, Crop, Interpolation, LabelKind, PadMode
from niicache.format.orientation import is_orientation

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENT: Final = 2**31 - 1
MOST_CASE_BYTES: Final = 2**40
"""No memory holds a case of more."""

_RECIPE: Final = ("spatial_dims", "label_kind", "pad_mode", "image", "label")
_MAYBE: Final = ("patch", "spots", "orient", "spacing", "interpolation", "crop", "image_files")
_SPOTS: Final = ("least", "share", "most")
_LAYOUT: Final = ("dtype", "shape", "chunk", "shard_cases", "fill", "codec")
_CODEC: Final = ("cname", "clevel", "shuffle")


def recipe_problems(recipe: Any) -> list[str]:
    """Return what is wrong with a recipe as JSON gives it."""
    problems = member_problems("recipe", recipe, _RECIPE, maybe=_MAYBE)
    if problems:
        return problems
    dims, kind = recipe["spatial_dims"], recipe["label_kind"]
    if not is_whole(dims, 2, 3):
        problems.append(f"recipe.spatial_dims is {shown(dims)}, not 2 or 3")
    for name, words in (("label_kind", get_args(LabelKind)), ("pad_mode", get_args(PadMode))):
        problems += _word_problems(f"recipe.{name}", recipe[name], words)
    axes = dims + 1 if is_whole(dims, 2, 3) else None
    problems += _layout_problems("image", recipe["image"], axes)
    problems += _patch_problems(recipe, axes and axes - 1)
    problems += _grid_problems(recipe, axes and axes - 1)
    label = recipe["label"]
    if (label is None) != (kind == "folder"):
        problems.append(f"recipe.label does not go with labels of kind {shown(kind)}")
    elif label is not None:
        problems += _layout_problems("label", label, 1 if kind == "vector" else axes)
    return problems or _pair_problems(recipe)


def _patch_problems(recipe: Mapping[str, Any], axes: int | None) -> list[str]:
    """Return what is wrong with the members of a recipe that say what patches need."""
    problems = []
    if "patch" in recipe:
        problems += _extent_problems("recipe.patch", recipe["patch"], axes)
    if "spots" not in recipe:
        return problems
    rule = recipe["spots"]
    wrong = member_problems("recipe.spots", rule, _SPOTS)
    if not wrong and not (
        is_whole(rule["least"], 1, EXTENT)
        and is_whole(rule["most"], rule["least"], EXTENT)
        and is_finite(rule["share"])
        and 0 <= rule["share"] <= 1
    ):
        wrong = ["recipe.spots is no rule: 1 <= least <= most, share from 0 to 1"]
    if recipe["label_kind"] != "mask":
        wrong.append("recipe.spots does not go with labels that are no masks")
    return problems + wrong


def _grid_problems(recipe: Mapping[str, Any], axes: int | None) -> list[str]:
    """Return what is wrong with the members of a recipe that say what was done to grids."""
    problems = []
    if "orient" in recipe and not is_orientation(recipe["orient"]):
        problems.append(f"recipe.orient is {shown(recipe['orient'])}, not letters such as RAS")
    if "orient" in recipe and recipe["spatial_dims"] != 3:  # noqa: PLR2004 - a volume
        problems.append("recipe.orient does not go with images that are no volumes")
    if "crop" in recipe:
        problems += _word_problems("recipe.crop", recipe["crop"], get_args(Crop))
    if ("spacing" in recipe) != ("interpolation" in recipe):
        problems.append("recipe.spacing and recipe.interpolation, one without the other")
    if "interpolation" in recipe:
        words = get_args(Interpolation)
        problems += _word_problems("recipe.interpolation", recipe["interpolation"], words)
    if "spacing" in recipe:
        spacing = recipe["spacing"]
        if not isinstance(spacing, list) or not all(map(is_length, spacing)):
            problems.append(f"recipe.spacing is {_listed(spacing)}, not lengths above 0 in mm")
        elif axes is not None and len(spacing) != axes:
            problems.append(f"recipe.spacing has {len(spacing):,} axes, not {axes}")
    return problems


def _layout_problems(name: str, layout: Any, axes: int | None) -> list[str]:
    where = f"recipe.{name}"
    problems = member_problems(where, layout, _LAYOUT)
    if problems:
        return problems
    problems = _word_problems(f"{where}.dtype", layout["dtype"], DTYPES)
    problems += _extent_problems(f"{where}.shape", layout["shape"], axes)
    problems += _extent_problems(f"{where}.chunk", layout["chunk"], axes and axes + 1)
    problems += _codec_problems(f"{where}.codec", layout["codec"])
    if not is_whole(layout["shard_cases"], 1, EXTENT):
        problems.append(f"{where}.shard_cases is {shown(layout['shard_cases'])}")
    return problems or _size_problems(where, layout)


def _size_problems(where: str, layout: Mapping[str, Any]) -> list[str]:
    """Return how the numbers of a layout, each possible alone, contradict each other."""
    dtype, shape, chunk = np.dtype(layout["dtype"]), layout["shape"], layout["chunk"]
    problems = []
    if len(chunk) != len(shape) + 1 or any(c > n for c, n in zip(chunk[1:], shape, strict=False)):
        problems.append(f"{where}.chunk does not fit into its shape")
    if layout["shard_cases"] % chunk[0]:
        problems.append(f"{where}.shard_cases is no multiple of the cases of a chunk")
    if math.prod(chunk) * dtype.itemsize > MAX_CHUNK_BYTES:
        problems.append(f"{where}.chunk is of more than {MAX_CHUNK_BYTES:,} bytes")
    if math.prod(shape) * dtype.itemsize > MOST_CASE_BYTES:
        problems.append(f"{where}.shape is of more than {MOST_CASE_BYTES:,} bytes")
    if not _holds(dtype, layout["fill"]):
        problems.append(f"{where}.fill is {shown(layout['fill'])}, which {dtype} does not hold")
    return problems


def _holds(dtype: np.dtype[Any], fill: object) -> bool:
    if not is_finite(fill):
        return False
    if dtype.kind == "f":
        return abs(float(fill)) <= float(np.finfo(dtype).max)  # type: ignore[arg-type]  # finite
    limits = np.iinfo(dtype)
    return type(fill) is int and int(limits.min) <= fill <= int(limits.max)


def _pair_problems(recipe: Mapping[str, Any]) -> list[str]:
    image, label, kind = recipe["image"], recipe["label"], recipe["label_kind"]
    problems = []
    files = recipe.get("image_files")
    if "image_files" in recipe and not is_whole(files, 2, image["shape"][-1]):
        problems.append(f"recipe.image_files is {shown(files)}, not 2 to the number of channels")
    if label is not None and label["shard_cases"] != image["shard_cases"]:
        problems.append("recipe.label.shard_cases is not that of the images")
    if kind == "mask" and label["shape"][:-1] != image["shape"][:-1]:
        problems.append("recipe.label.shape is not on the grid of the images")
    return problems


def _extent_problems(where: str, value: Any, axes: int | None) -> list[str]:
    if not isinstance(value, list) or not all(is_whole(n, 1, EXTENT) for n in value):
        return [f"{where} is {_listed(value)}, not whole numbers from 1 to {EXTENT:,}"]
    if axes is not None and len(value) != axes:
        return [f"{where} has {len(value):,} axes, not {axes}"]
    return []


def _listed(value: Any) -> str:
    if isinstance(value, list) and len(value) <= 6:  # noqa: PLR2004 - so many fit into a message
        return f"[{', '.join(map(shown, value))}]"
    return shown(value)


def _word_problems(where: str, value: object, words: tuple[str, ...]) -> list[str]:
    if isinstance(value, str) and value in words:
        return []
    return [f"{where} is {shown(value)}, not one of {', '.join(words)}"]


def _codec_problems(where: str, codec: Any) -> list[str]:
    if codec is None:
        return []
    problems = member_problems(where, codec, _CODEC)
    if problems:
        return problems
    for name, words in (("cname", get_args(Compressor)), ("shuffle", get_args(Shuffle))):
        problems += _word_problems(f"{where}.{name}", codec[name], words)
    if not is_whole(codec["clevel"], 0, 9):
        problems.append(f"{where}.clevel is {shown(codec['clevel'])}, not 0 to 9")
    return problems
