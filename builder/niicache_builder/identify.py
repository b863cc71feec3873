"""Which case is in which slot of a class, where the columns that say so may be damaged. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from niicache_builder.cases import CaseFiles
from niicache_builder.slots import hashed_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IDENTITY: Final = ("name", "image", "label", "group")
_TELLS_VACANT: Final = ("name", "image", "key", "image_hash")


def is_told(columns: Mapping[str, list[Any]]) -> bool:
    """Return whether the columns say which cases a class holds."""
    return all(name in columns for name in IDENTITY)


def cases_in_slots(
    class_name: str,
    slots: int,
    columns: Mapping[str, list[Any]],
    listed: Sequence[CaseFiles],
) -> tuple[CaseFiles | None, ...] | None:
    """Return the case of each slot, None where vacant; None if that cannot be told.

    What this says of damaged columns is likely and no more: the keys of shards prove it later.

    Args:
        class_name: The class.
        slots: How many it has.
        columns: Those that are sound.
        listed: The cases of the class in the source, needed where a column is damaged.
    """
    marks = next((columns[name] for name in _TELLS_VACANT if name in columns), [True] * slots)
    held = [slot for slot in range(slots) if _is_held(marks[slot])]
    found: dict[int, CaseFiles]
    if is_told(columns):
        found = {slot: _told(class_name, columns, slot) for slot in held}
    elif "name" in columns or "image" in columns:
        found = {slot: _like(class_name, columns, slot, listed) for slot in held}
    else:  # a new cache has this order
        by_name = {case.name: case for case in listed}
        order = hashed_order(by_name)
        if len(order) != len(held):
            return None
        found = {slot: by_name[name] for slot, name in zip(held, order, strict=True)}
    return tuple(found.get(slot) for slot in range(slots))


def _is_held(mark: Any) -> bool:
    """Tell whether the entry of a column is one of a case; it may be one a file of the image."""
    return any(mark) if isinstance(mark, tuple) else bool(mark)


def _told(class_name: str, columns: Mapping[str, list[Any]], slot: int) -> CaseFiles:
    return CaseFiles(
        class_name=class_name,
        name=columns["name"][slot],
        images=columns["image"][slot],
        label=columns["label"][slot] or None,
        group=columns["group"][slot],
    )


def _like(
    class_name: str, columns: Mapping[str, list[Any]], slot: int, listed: Sequence[CaseFiles]
) -> CaseFiles:
    """Return the one listed case that has a slot's values in the sound columns.

    Where there is none, a case of files that will not be found is returned.
    """
    known = {name: columns[name][slot] for name in IDENTITY if name in columns}
    alike = [
        case
        for case in listed
        if all(_identity(case)[name] == value for name, value in known.items())
    ]
    if len(alike) == 1:
        return alike[0]
    name = known.get("name") or known["image"][0]
    return CaseFiles(class_name=class_name, name=name, images=known.get("image") or (name,))


def _identity(case: CaseFiles) -> dict[str, Any]:
    """Return what the columns in IDENTITY say of a case."""
    values = (case.name, case.images, case.label or "", case.group)
    return dict(zip(IDENTITY, values, strict=True))
