"""Layout ``<class>/<case>/image.nii.gz`` and ``<class>/<case>/label.nii.gz``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.nifti_names import stem
from niicache_builder.sources.found import Found, misplaced, nested, pair, volumes_of

if TYPE_CHECKING:
    from niicache_builder.sources.tree import Folder

NAME = "case-folders"
SEES = "a folder a case in it, each with image and label"
_KNOWN = "the files image and label in a folder a case"
_ROLES = ("image", "label")


def recognise(folder: Folder) -> bool:
    """Tell whether a class folder has this layout: one file of one case is enough."""
    return any(stem(file) in _ROLES for case in folder.folders for file in case.volumes)


def read(folder: Folder, source: str) -> Found:
    """Return the cases of a class folder and everything wrong in it."""
    name = folder.name
    sides: dict[str, dict[str, str]] = {"image": {}, "label": {}}
    doubtful: set[str] = set()
    problems = [*misplaced(folder, folder.volumes, source, name, known=_KNOWN)]
    for case in folder.folders:
        ours = [file for file in case.volumes if stem(file) in _ROLES]
        loose = [file for file in case.volumes if stem(file) not in _ROLES]
        volumes = volumes_of(case, ours, source, name)
        for role, path in volumes.files.items():
            sides[role][case.name] = path
        if volumes.doubtful:
            doubtful.add(case.name)
        problems += volumes.problems
        problems += misplaced(case, loose, source, name, known=_KNOWN)
        for inner in case.folders:
            problems += nested(inner, source, name, known=_KNOWN)
        if not case.count():
            problems.append(_empty(case, source, name))
    found = pair(
        name,
        source,
        sides["image"],
        sides["label"],
        doubtful=doubtful,
        image_at=lambda case: f"{folder.path}/{case}/image",
        label_at=lambda case: f"{folder.path}/{case}/label",
    )
    return found.also(*problems)


def _empty(case: Folder, source: str, class_name: str) -> Problem:
    return Problem(
        code="empty-case",
        path=f"{source}/{case.path}",
        got="no NIfTI file",
        expected=_KNOWN,
        hint="add the files, or remove the folder",
        class_name=class_name,
        case=case.name,
    )
