"""What a finished unit of work leaves behind, and the same as JSON beside its staged shards."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from niicache.errors import Problem
from niicache.format.facts import A_FILE, COLUMNS, LATER, CaseFacts
from niicache.format.manifest import FileEntry, Recipe, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FACTS = (*(column.name for column in COLUMNS), *LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """What came out of one case.

    Attributes:
        facts: Its columns; ``label_count`` is empty until the whole cache says which values count.
        counts: Label value to number of elements, or None where the values are too many, not all
            finite, or not known any more.
        label_nonfinite: Elements of the label that are NaN or infinite; 0 where not known.
        many_values: Whether the label is known to have too many finite values.
        spots: Label value to where its voxels lie, see :mod:`niicache_builder.spots`.
        label_cut: Elements of a mask other than 0 that were cropped away; 0 where not known.
    """

    facts: CaseFacts
    counts: Mapping[float, int] | None
    label_nonfinite: int = 0
    many_values: bool = False
    spots: Mapping[float, bytes] = field(default_factory=dict)
    label_cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """What came out of a unit.

    Attributes:
        id: The unit's.
        key: Digest of the recipe and of the keys of the cases in its slots.
        records: One a slot, None where the slot is vacant or its case failed.
        failures: Why cases failed. Unless they are to be skipped, nothing was staged then.
        files: ``"image"``, ``"label"`` to size and digest of the staged shard.
        crcs: The same names to the crc32c of each chunk.
    """

    id: str
    key: str
    records: tuple[CaseRecord | None, ...]
    failures: tuple[Problem, ...]
    files: Mapping[str, FileEntry]
    crcs: Mapping[str, tuple[int, ...]]


def case_key(recipe: Recipe, image_hashes: Sequence[str], label_hash: str) -> str:
    """Return the key of a case: a digest of the recipe and of the bytes of its sources."""
    return hashlib.sha256(canonical([recipe.digest, *image_hashes, label_hash])).hexdigest()


def unit_key(recipe: Recipe, records: tuple[CaseRecord | None, ...]) -> str:
    """Return the key of a shard: a digest of the recipe and of the keys of its cases.

    Vacancies at the end do not count, because the array ends before them.
    """
    keys = [None if record is None else record.facts.key for record in records]
    while keys and keys[-1] is None:
        keys.pop()
    return hashlib.sha256(canonical([recipe.digest, keys])).hexdigest()


def pack_result(result: UnitResult) -> bytes:
    """Return a result as JSON."""
    value = {
        "id": result.id,
        "key": result.key,
        "records": [record and _unrecorded(record) for record in result.records],
        "failures": [asdict(problem) for problem in result.failures],
        "files": {name: asdict(entry) for name, entry in result.files.items()},
        "crcs": dict(result.crcs),
    }
    return json.dumps(value).encode()


def _unrecorded(record: CaseRecord) -> dict[str, Any]:
    # asdict copies every number of every tuple, which took as long as reading a small case.
    counts = None if record.counts is None else list(record.counts.items())
    return {
        "facts": {name: getattr(record.facts, name) for name in _FACTS},
        "counts": counts,
        "label_nonfinite": record.label_nonfinite,
        "many_values": record.many_values,
        "spots": [(value, b64encode(at).decode()) for value, at in record.spots.items()],
        "label_cut": record.label_cut,
    }


def load_result(path: Path) -> UnitResult | None:
    """Return the result in a file, or None if there is none that can be used."""
    try:
        value = json.loads(path.read_bytes())
        return UnitResult(
            id=value["id"],
            key=value["key"],
            records=tuple(map(_record, value["records"])),
            failures=tuple(Problem(**problem) for problem in value["failures"]),
            files={name: FileEntry(**entry) for name, entry in value["files"].items()},
            crcs={name: tuple(crcs) for name, crcs in value["crcs"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(value: Mapping[str, Any] | None) -> CaseRecord | None:
    if value is None:
        return None
    counts = value["counts"]
    return CaseRecord(
        # By name, so that what an older version left is no record: it lacks some.
        facts=CaseFacts(**{name: as_fact(name, value["facts"][name]) for name in _FACTS}),
        counts=None if counts is None else {float(number): count for number, count in counts},
        label_nonfinite=value["label_nonfinite"],
        many_values=value["many_values"],
        spots={float(number): b64decode(at) for number, at in value["spots"]},
        label_cut=value["label_cut"],
    )


def tuples(value: Any) -> Any:
    """Return nested lists, which JSON and numpy give, as the tuples that facts are made of."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def as_fact(name: str, value: Any) -> Any:
    """Return the entry of a column as facts hold it: where the axis ``file`` is left out, with it.

    Args:
        name: Of the column.
        value: Of one slot, lists as JSON and numpy give them.
    """
    if name in A_FILE and not isinstance(value, list | tuple):
        return (value,)
    return tuples(value)
