"""Files of one case as its channels, by their names: ``case_0000``, ``case_0001``, ..."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from niicache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from niicache_builder.sources.found import Volumes

_NUMBERED = re.compile(r"(.+)_([0-9]{4})", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images of one folder.

    Attributes:
        files: Case -> paths of its channels, in order.
        doubtful: Cases that have a problem already.
        problems: What is wrong with them.
    """

    files: Mapping[str, tuple[str, ...]]
    doubtful: AbstractSet[str]
    problems: tuple[Problem, ...]


def images_of(
    volumes: Volumes,
    place: Callable[[str], tuple[str, int]],
    *,
    source: str,
    class_name: str,
    image_at: Callable[[str], str],
) -> Images:
    """Gather the channels of each case.

    Args:
        volumes: The files.
        place: Stem of a file -> its case, and the number of its channel.
        source: The source as the user typed it.
        class_name: For the problems.
        image_at: Where the image of a case would have to be, without suffix.
    """
    found: dict[str, dict[int, str]] = {}
    doubtful: set[str] = set()
    for stem in volumes.files.keys() | volumes.doubtful:
        case, number = place(stem)
        if stem in volumes.doubtful:
            doubtful.add(case)
        else:
            found.setdefault(case, {})[number] = volumes.files[stem]
    gaps = {case: _gap(channels) for case, channels in found.items() if case not in doubtful}
    gaps = {case: number for case, number in gaps.items() if number is not None}
    return Images(
        files={
            case: tuple(channels[number] for number in sorted(channels))
            for case, channels in found.items()
            if case not in doubtful and case not in gaps
        },
        doubtful=doubtful | gaps.keys(),
        problems=tuple(
            missing_channel(f"{source}/{image_at(case)}_{number:04}", class_name, case)
            for case, number in sorted(gaps.items())
        ),
    )


def _gap(channels: Mapping[int, str]) -> int | None:
    """Return the first channel that is not there, None where none is missing."""
    return next((number for number in range(max(channels)) if number not in channels), None)


def numbered(stem: str) -> tuple[str, int] | None:
    """Return the case of a stem and the number of its channel, None where it has none."""
    found = _NUMBERED.fullmatch(stem)
    return (found[1], int(found[2])) if found else None


def by_labels(volumes: Volumes, labels: AbstractSet[str]) -> Callable[[str], tuple[str, int]]:
    """Return what tells the case of a file and the number of its channel, by the labels.

    It is a channel where a label has its name without the number, and no label or image its whole
    name. Without labels nothing would tell a channel from a running number.

    Args:
        volumes: The images.
        labels: Stems of the labels.
    """
    images = volumes.files.keys() | volumes.doubtful

    def place(stem: str) -> tuple[str, int]:
        found = numbered(stem)
        channel = found and stem not in labels and found[0] in labels and found[0] not in images
        return found if found and channel else (stem, 0)

    return place


def missing_channel(path: str, class_name: str, case: str) -> Problem:
    """Return the problem of a channel that is not there.

    Args:
        path: Where it would have to be.
        class_name: The class.
        case: The case.
    """
    return Problem(
        code="missing-channel",
        path=path,
        got="no such file",
        expected="every channel of the case, numbered from 0000 on",
        hint="add the file, or leave the case out with --on-error skip",
        class_name=class_name,
        case=case,
    )


def uneven(path: str, files: int, channels: int, class_name: str, case: str) -> Problem:
    """Return the problem of a case with fewer or more files than there are channels.

    Args:
        path: That of its files, without number and suffix.
        files: How many it has.
        channels: How many there are.
        class_name: The class.
        case: The case.
    """
    if files < channels:
        return missing_channel(f"{path}_{files:04}", class_name, case)
    return Problem(
        code="channel-count",
        path=f"{path}_{channels:04}",
        got=f"{files} files of the case",
        expected=f"{channels}, one a channel",
        hint="name every channel in dataset.json, or take the files out",
        class_name=class_name,
        case=case,
    )
