"""Layout ``<class>/*.nii.gz`` with no labels: the folder is the label."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.cases import CaseFiles
from niicache_builder.sources.found import CSV_HINT, Found, Volumes, nested, volumes_of

if TYPE_CHECKING:
    from niicache_builder.sources.tree import Folder

NAME = "folder"
SEES = "images in it and no labels, so the folder is the label"
_LABEL = re.compile(r"(.*)[-_](label|labels|mask|seg|segmentation)\Z", re.IGNORECASE)
_KNOWN = "NIfTI files in the class folder itself"


def recognise(folder: Folder) -> bool:
    """Tell whether a class folder has this layout."""
    return bool(folder.volumes)


def read(folder: Folder, source: str) -> Found:
    """Return the cases of a class folder and everything wrong in it."""
    images = volumes_of(folder, folder.volumes, source, folder.name)
    cases = tuple(
        CaseFiles(class_name=folder.name, name=name, images=(image,))
        for name, image in images.files.items()
    )
    labels = [_label_problem(folder, name, source, images) for name in images.files]
    deeper = [
        problem
        for inner in folder.folders
        for problem in nested(inner, source, folder.name, known=_KNOWN)
    ]
    problems = (*images.problems, *filter(None, labels), *deeper)
    return Found(cases=cases, problems=problems, images=len(images.files))


def _label_problem(folder: Folder, name: str, source: str, images: Volumes) -> Problem | None:
    """Refuse what is called the label of another image: as an image it would be trained on."""
    found = _LABEL.match(name)
    others = {found[1], f"{found[1]}_image"} if found else set()
    if not others & images.files.keys():
        return None
    return Problem(
        code="looks-like-label",
        path=f"{source}/{images.files[name]}",
        got="a name that says it is a label",
        expected="images alone, or <case>_image with <case>_label",
        hint="rename the files so; or " + CSV_HINT,
        class_name=folder.name,
        case=name,
    )
