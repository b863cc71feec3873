"""The manifest from its JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from niicache.format.codec import Blosc
from niicache.format.manifest import (
    ArrayLayout,
    ClassEntry,
    FileEntry,
    Manifest,
    Recipe,
    SkippedCase,
    SplitRule,
    SpotRule,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def from_json(value: Mapping[str, Any]) -> Manifest:
    """Return the manifest that a JSON object holds.

    Raises:
        KeyError, TypeError, ValueError: The object is not a manifest of this version.
    """
    recipe = value["recipe"]
    return Manifest(
        format_version=int(value["format_version"]),
        recipe=Recipe(
            spatial_dims=int(recipe["spatial_dims"]),
            label_kind=recipe["label_kind"],
            pad_mode=recipe["pad_mode"],
            image=_layout(recipe["image"]),
            label=None if recipe["label"] is None else _layout(recipe["label"]),
            patch=None if recipe.get("patch") is None else tuple(map(int, recipe["patch"])),
            spots=None if recipe.get("spots") is None else SpotRule(**recipe["spots"]),
            orient=recipe.get("orient"),
            spacing=None if recipe.get("spacing") is None else tuple(recipe["spacing"]),
            interpolation=recipe.get("interpolation"),
            crop=recipe.get("crop"),
            image_files=int(recipe.get("image_files", 1)),
        ),
        classes=tuple(ClassEntry(**entry) for entry in value["classes"]),
        label_values=tuple(value["label_values"]),
        shards=dict(value["shards"]),
        files={path: FileEntry(**entry) for path, entry in dict(value["files"]).items()},
        skipped=tuple(SkippedCase(**entry) for entry in value["skipped"]),
        split=None if value.get("split") is None else _split(value["split"]),
        columns=tuple(value.get("columns", ())),
        channels=tuple(map(str, value.get("channels", ()))),
    )


def _split(value: Mapping[str, Any]) -> SplitRule:
    shares = tuple((str(name), float(share)) for name, share in value["shares"])
    if not shares:
        raise ValueError("a split without shares")
    return SplitRule(shares=shares, seed=str(value["seed"]))


def _layout(value: Mapping[str, Any]) -> ArrayLayout:
    codec = value["codec"]
    return ArrayLayout(
        dtype=str(value["dtype"]),
        shape=tuple(map(int, value["shape"])),
        chunk=tuple(map(int, value["chunk"])),
        shard_cases=int(value["shard_cases"]),
        fill=value["fill"],
        codec=None if codec is None else Blosc(**codec),
    )
