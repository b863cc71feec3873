"""Layout ``imagesTr/*`` and ``labelsTr/*``, or ``images/*`` and ``labels/*``: one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.cases import Layout
from niicache_builder.sources.found import many, misplaced
from niicache_builder.sources.images_labels import read_halves

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from niicache_builder.sources.tree import Folder, Walk

NAME = "one-class"
CLASS = "all"
"""What the class is called in sources that have none."""

_PAIRS = (("imagestr", "labelstr"), ("images", "labels"))
_LEFT_OUT = ("imagests", "labelsts")
_KNOWN = "NIfTI files in folders of images and labels"


def halves_of(root: Folder) -> tuple[Folder, Folder] | None:
    """Return the folders of images and of labels, None where the source is not of two halves.

    Taken for classes they would train a network to tell images from labels.
    """
    filled = [inner for inner in root.folders if inner.count()]
    by_name = {inner.name.lower(): inner for inner in filled}
    ours = by_name.keys() - set(_LEFT_OUT)
    for pair in _PAIRS:
        if ours == set(pair) and len(by_name) == len(filled):
            images, labels = (by_name[name] for name in pair)
            return (images, labels) if images.volumes and labels.volumes else None
    return None


def read(source: Path, root: Folder, seen: Walk, halves: tuple[Folder, Folder]) -> Layout:
    """Return the one class of a source and everything wrong in it.

    Args:
        source: As the user typed it.
        root: What lies in it.
        seen: What was met on the way.
        halves: Its folders of images and of labels.
    """
    typed = str(source)
    images, labels = halves
    found = read_halves(images, labels, typed, CLASS)
    loose = misplaced(root, root.volumes, typed, CLASS, known=_KNOWN)
    counts = f"{many(found.images, 'image')}, {many(found.labels, 'label')}"
    return Layout(
        name=NAME,
        reason=f"{images.name}/ and {labels.name}/ at the top, so one class {CLASS!r}: {counts}",
        root=source,
        classes=(CLASS,),
        cases=tuple(sorted(found.cases)),
        problems=(*seen.problems, *loose, *found.problems),
        notes=(*seen.notes(), *left_out(root.folders)),
    )


def left_out(folders: Sequence[Folder]) -> tuple[str, ...]:
    """Return a note for each folder of cases to test on, which a cache for training is not of."""
    return tuple(
        f"{inner.name} left out: {many(inner.count(), 'NIfTI file')} to test on; to predict them "
        "build them on their own, from a CSV file whose column label is empty"
        for inner in folders
        if inner.name.lower() in _LEFT_OUT and inner.count()
    )
