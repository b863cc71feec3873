"""Layout ``<class>/images/*`` and ``<class>/labels/*``: an image and its label have one stem.

Or the image's ends in the number of a channel: ``images/case_0000`` and ``labels/case``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.sources.channel_files import by_labels, images_of
from niicache_builder.sources.found import Found, misplaced, nested, pair, volumes_of
from niicache_builder.sources.tree import Folder

if TYPE_CHECKING:
    from niicache.errors import Problem

NAME = "images-labels"
SEES = "images/ and labels/ in it"
_KNOWN = "NIfTI files in images/ and labels/ alone"


def recognise(folder: Folder) -> bool:
    """Tell whether a class folder has this layout."""
    return any(inner.name in {"images", "labels"} for inner in folder.folders)


def read(folder: Folder, source: str) -> Found:
    """Return the cases of a class folder and everything wrong in it."""
    name = folder.name
    inner = {half.name: half for half in folder.folders}
    images, labels = (inner.pop(side, _missing(folder, side)) for side in ("images", "labels"))
    problems: list[Problem] = [*misplaced(folder, folder.volumes, source, name, known=_KNOWN)]
    for other in inner.values():
        problems += nested(other, source, name, known=_KNOWN)
    return read_halves(images, labels, source, name).also(*problems)


def read_halves(images: Folder, labels: Folder, source: str, class_name: str) -> Found:
    """Return the cases of a folder of images and one of labels, and everything wrong in them.

    Args:
        images: The folder of images.
        labels: The folder of labels.
        source: The source as the user typed it.
        class_name: The class that all belong to.
    """
    sides = [volumes_of(half, half.volumes, source, class_name) for half in (images, labels)]
    deeper = [
        problem
        for half in (images, labels)
        for inner in half.folders
        for problem in nested(inner, source, class_name, known=_KNOWN)
    ]
    one, other = sides
    grouped = images_of(
        one,
        by_labels(one, other.files.keys() | other.doubtful),
        source=source,
        class_name=class_name,
        image_at=images.inside,
    )
    found = pair(
        class_name,
        source,
        grouped.files,
        other.files,
        doubtful=grouped.doubtful | other.doubtful,
        image_at=images.inside,
        label_at=labels.inside,
    )
    return found.also(*deeper, *one.problems, *other.problems, *grouped.problems)


def _missing(folder: Folder, side: str) -> Folder:
    return Folder(name=side, path=folder.inside(side), volumes=(), folders=())
