"""What is wrong with a manifest whose digest holds: whoever wrote it may be no builder.

Pure; returns every problem. What passes is consistent: its files are exactly those that its recipe
and classes call for, so no path, size or count in it has to be looked at again.
"""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from niicache.format.class_names import class_fault
from niicache.format.facts import CROPPED, LATER
from niicache.format.layout_checks import EXTENT, recipe_problems
from niicache.format.manifest import MAYBE, FileEntry, Manifest, SkippedCase
from niicache.format.members import is_digest, is_finite, is_whole, member_problems, shown
from niicache.format.paths import BESIDE, shard_count, shards_of, small_files
from niicache.format.shard import index_nbytes
from niicache.format.unpack import from_json

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_LABEL_VALUES: Final = 256

_MANIFEST: Final = tuple(field.name for field in fields(Manifest) if field.name not in MAYBE)
_SUM_ERROR: Final = 1e-9
_CLASS: Final = ("name", "cases", "slots")
_FILE: Final = tuple(field.name for field in fields(FileEntry))
_SKIPPED: Final = {field.name: field.type for field in fields(SkippedCase)}


def manifest_problems(value: Any) -> list[str]:
    """Return what is wrong with a manifest as JSON gives it, its digest left out."""
    problems = member_problems("the manifest", value, _MANIFEST, maybe=MAYBE)
    if problems:
        return problems
    problems = recipe_problems(value["recipe"])
    problems += _class_problems(value["classes"])
    problems += _value_problems(value["label_values"])
    problems += _table_problems("shards", value["shards"])
    problems += _table_problems("files", value["files"])
    problems += _skipped_problems(value["skipped"])
    problems += _split_problems(value["split"]) if "split" in value else []
    problems += _column_problems(value["columns"]) if "columns" in value else []
    if "channels" in value:
        problems += _channel_problems(value["channels"])
    # Only what is sound in every part can be held against itself.
    return problems or list(_contradictions(from_json(value)))


def _class_problems(classes: Any) -> list[str]:
    if not isinstance(classes, list) or not classes:
        return [f"classes is {shown(classes)}, not a list of at least one"]
    problems = []
    names = []
    for i, entry in enumerate(classes):
        wrong = member_problems(f"classes[{i}]", entry, _CLASS, maybe=("spots",))
        problems += wrong
        if wrong:
            continue
        name, cases, slots = (entry[member] for member in _CLASS)
        if not isinstance(name, str) or (fault := class_fault(name)):
            said = fault if isinstance(name, str) else shown(name)
            problems.append(f"classes[{i}].name is {said:.80}")
        else:
            names.append(name)
        if not is_whole(slots, 1, EXTENT) or not is_whole(cases, 1, slots):
            problems.append(f"classes[{i}] has {shown(cases)} cases in {shown(slots)} slots")
        if "spots" in entry and not is_whole(entry["spots"]):
            problems.append(f"classes[{i}].spots is {shown(entry['spots'])}")
    if names != sorted(set(names)):
        problems.append("classes are not sorted, or one comes twice")
    return problems


def _value_problems(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(map(is_finite, values)):
        return [f"label_values is {shown(values)}, not a list of finite numbers"]
    if len(values) > MOST_LABEL_VALUES or any(a >= b for a, b in itertools.pairwise(values)):
        return [f"label_values are {len(values):,}, not at most {MOST_LABEL_VALUES} in order"]
    return []


def _table_problems(name: str, table: Any) -> list[str]:
    if not isinstance(table, dict):
        return [f"{name} is {shown(table)}, not an object"]
    if name == "shards":
        bad = [path for path, key in table.items() if not is_digest(key)]
        return [f"shards[{shown(path)}] is {shown(table[path])}, not a sha256" for path in bad]
    problems = []
    for path, entry in table.items():
        wrong = member_problems(f"files[{shown(path)}]", entry, _FILE)
        if not wrong and not (is_whole(entry["size"]) and is_digest(entry["sha256"])):
            said = f"{shown(entry['size'])}, {shown(entry['sha256'])}"
            wrong = [f"files[{shown(path)}] is {said}, not a size and a sha256"]
        problems += wrong
    return problems


def _split_problems(split: Any) -> list[str]:
    problems = member_problems("split", split, ("shares", "seed"))
    if problems:
        return problems
    if not isinstance(split["seed"], str):
        problems.append(f"split.seed is {shown(split['seed'])}, not a text")
    pairs = split["shares"]
    sound = isinstance(pairs, list) and all(map(_is_share, pairs))
    names = {name for name, _ in pairs} if sound else set()
    if not sound or len(names) != len(pairs) or abs(sum(n for _, n in pairs) - 1) > _SUM_ERROR:
        problems.append("split.shares are not names with shares above 0 that sum to 1")
    return problems


def _column_problems(names: Any) -> list[str]:
    sound = isinstance(names, list) and all(isinstance(one, str) for one in names)
    if not sound or not names or names != sorted(set(names)):
        return [f"columns is {shown(names)}, not a sorted list of at least one name"]
    return [f"columns has {shown(one)}, which is none" for one in names if one not in LATER]


def _is_share(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 - name and share
        return False
    name, share = pair
    return isinstance(name, str) and name.isidentifier() and is_finite(share) and 0 < share <= 1


def _channel_problems(channels: Any) -> list[str]:
    if isinstance(channels, list) and channels and all(isinstance(name, str) for name in channels):
        return []
    return [f"channels is {shown(channels)}, not a list of names"]


def _skipped_problems(skipped: Any) -> list[str]:
    if not isinstance(skipped, list):
        return [f"skipped is {shown(skipped)}, not a list"]
    problems = []
    for i, entry in enumerate(skipped):
        wrong = member_problems(f"skipped[{i}]", entry, _SKIPPED)
        problems += wrong
        for name, kind in {} if wrong else _SKIPPED.items():
            whole = type(entry[name]) is int and abs(entry[name]) < 2**63
            if not (whole if kind == "int" else isinstance(entry[name], str)):
                problems.append(f"skipped[{i}].{name} is {shown(entry[name])}")
    return problems


def _contradictions(manifest: Manifest) -> Iterable[str]:
    """Yield what the manifest says in one place and denies in another."""
    files, recipe = manifest.files, manifest.recipe
    if manifest.channels and len(manifest.channels) != recipe.image.shape[-1]:
        yield f"channels are {len(manifest.channels):,}, not {recipe.image.shape[-1]:,}"
    for entry in manifest.classes:
        if (entry.spots is None) != (recipe.spots is None):
            yield f"spots of class {entry.name!r} do not go with recipe.spots"
    yield from _crop_contradictions(manifest)
    count = sum(shard_count(entry.slots, recipe.image) for entry in manifest.classes)
    if max(count, len(manifest.classes)) > len(files):
        yield f"classes of {count:,} shards, but {len(files):,} files"
        return
    names = {
        f"{entry.name}/{index}"
        for entry in manifest.classes
        for index in range(shard_count(entry.slots, recipe.image))
    }
    yield from _difference("shards", manifest.shards, names)
    most: dict[str, int | None] = dict.fromkeys(BESIDE)
    for entry in manifest.classes:
        for path, layout in shards_of(entry, recipe):
            most[path] = None
            if path in files and files[path].size < index_nbytes(layout.shard_chunks):
                yield f"files[{shown(path)}] is too short for the index of its chunks"
        for path, nbytes in small_files(entry, manifest):
            most[path] = nbytes
            if path in files and files[path].size > nbytes:
                yield f"files[{shown(path)}] of more than {nbytes:,} bytes"
    yield from _difference("files", files, most, optional=BESIDE)


def _crop_contradictions(manifest: Manifest) -> Iterable[str]:
    for name in CROPPED:
        if (name in manifest.columns) != (manifest.recipe.crop is not None):
            yield f"column {name!r} does not go with recipe.crop"


def _difference(
    where: str, got: Iterable[str], expected: Iterable[str], *, optional: Iterable[str] = ()
) -> Iterable[str]:
    there, needed = set(got), set(expected)
    for name in sorted(needed - there - set(optional)):
        yield f"no member {name!r} in {where}"
    for name in sorted(there - needed):
        yield f"unknown member {shown(name)} in {where}"
