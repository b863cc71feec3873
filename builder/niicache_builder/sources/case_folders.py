"""Layout ``<class>/<case>/image.nii.gz`` and ``<class>/<case>/label.nii.gz``.

Or ``image_0000.nii.gz``, ``image_0001.nii.gz``, ... where the image has several channels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.nifti_names import stem
from niicache_builder.sources.channel_files import Images, by_labels, images_of, numbered
from niicache_builder.sources.found import Found, misplaced, nested, pair, volumes_of

if TYPE_CHECKING:
    from niicache_builder.sources.tree import Folder

NAME = "case-folders"
SEES = "a folder a case in it, each with image and label"
_KNOWN = "the files image and label in a folder a case"


def recognise(folder: Folder) -> bool:
    """Tell whether a class folder has this layout: one file of one case is enough."""
    return any(any(_roles(case)[role] for role in ("image", "label")) for case in folder.folders)


def read(folder: Folder, source: str) -> Found:
    """Return the cases of a class folder and everything wrong in it."""
    name = folder.name
    images: dict[str, tuple[str, ...]] = {}
    labels: dict[str, str] = {}
    doubtful: set[str] = set()
    problems = [*misplaced(folder, folder.volumes, source, name, known=_KNOWN)]
    for case in folder.folders:
        files = _roles(case)
        channels = _channels(case, files["image"], source, name)
        mask = volumes_of(case, files["label"], source, name)
        if channels.files:
            images[case.name] = channels.files["image"]
        if mask.files:
            labels[case.name] = mask.files["label"]
        if channels.doubtful or mask.doubtful:
            doubtful.add(case.name)
        problems += (*channels.problems, *mask.problems)
        problems += misplaced(case, files[""], source, name, known=_KNOWN)
        for inner in case.folders:
            problems += nested(inner, source, name, known=_KNOWN)
        if not case.count():
            problems.append(_empty(case, source, name))
    found = pair(
        name,
        source,
        images,
        labels,
        doubtful=doubtful,
        image_at=lambda case: f"{folder.path}/{case}/image",
        label_at=lambda case: f"{folder.path}/{case}/label",
    )
    return found.also(*problems)


def _roles(case: Folder) -> dict[str, list[str]]:
    """Return the files of a case that are "image", "label" and neither, ""."""
    stems = {file: stem(file) or "" for file in case.volumes}
    found: dict[str, list[str]] = {"image": [], "label": [], "": []}
    for file, own in stems.items():
        name, channel = own, numbered(own)
        if channel and channel[0] == "image" and "image" not in stems.values():
            name = "image"
        found[name if name in found else ""].append(file)
    return found


def _channels(case: Folder, files: list[str], source: str, class_name: str) -> Images:
    """Return the channels of a case, as those of a case called "image"."""
    volumes = volumes_of(case, files, source, class_name)
    found = images_of(
        volumes,
        by_labels(volumes, {"image"}),
        source=source,
        class_name=class_name,
        image_at=case.inside,
    )
    gaps = (replace(problem, case=case.name) for problem in found.problems)
    return replace(found, problems=(*volumes.problems, *gaps))


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
