"""Layout ``<class>/*.nii.gz`` with no labels: the folder is the label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.cases import CaseFiles
from niicache_builder.sources.found import Found, nested, volumes_of

if TYPE_CHECKING:
    from niicache_builder.sources.tree import Folder

NAME = "folder"
SEES = "images in it and no labels, so the folder is the label"
_KNOWN = "NIfTI files in the class folder itself"


def recognise(folder: Folder) -> bool:
    """Tell whether a class folder has this layout."""
    return bool(folder.volumes)


def read(folder: Folder, source: str) -> Found:
    """Return the cases of a class folder and everything wrong in it."""
    images = volumes_of(folder, folder.volumes, source, folder.name)
    cases = tuple(
        CaseFiles(class_name=folder.name, name=name, image=image)
        for name, image in images.files.items()
    )
    deeper = [
        problem
        for inner in folder.folders
        for problem in nested(inner, source, folder.name, known=_KNOWN)
    ]
    problems = (*images.problems, *deeper)
    return Found(cases=cases, problems=problems, images=len(images.files))
