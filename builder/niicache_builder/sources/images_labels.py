"""Layout ``<class>/images/*`` and ``<class>/labels/*``: an image and its label have one stem."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    sides = []
    problems: list[Problem] = [*misplaced(folder, folder.volumes, source, name, known=_KNOWN)]
    for side in ("images", "labels"):
        half = inner.pop(side, _missing(folder, side))
        sides.append(volumes_of(half, half.volumes, source, name))
        for deeper in half.folders:
            problems += nested(deeper, source, name, known=_KNOWN)
    for other in inner.values():
        problems += nested(other, source, name, known=_KNOWN)
    images, labels = sides
    found = pair(
        name,
        source,
        images.files,
        labels.files,
        doubtful=images.doubtful | labels.doubtful,
        image_at=lambda case: f"{folder.path}/images/{case}",
        label_at=lambda case: f"{folder.path}/labels/{case}",
    )
    return found.also(*problems, *images.problems, *labels.problems)


def _missing(folder: Folder, side: str) -> Folder:
    return Folder(name=side, path=folder.inside(side), volumes=(), folders=())
