"""Layout ``<class>/<case>_image.nii.gz`` and ``<class>/<case>_label.nii.gz``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from niicache_builder.nifti_names import stem
from niicache_builder.sources.found import Found, misplaced, nested, pair, volumes_of

if TYPE_CHECKING:
    from niicache_builder.sources.tree import Folder

NAME = "image-label-suffix"
SEES = "files ending in _image and in _label in it"
_KNOWN = "files ending in _image or _label in the class folder itself"
_ROLE = re.compile(r"(.+)_(image|label)", re.DOTALL)


def recognise(folder: Folder) -> bool:
    """Tell whether a class folder has this layout: at least one name of each ending."""
    return {role for _, role in map(_split, folder.volumes)} >= {"image", "label"}


def read(folder: Folder, source: str) -> Found:
    """Return the cases of a class folder and everything wrong in it."""
    name = folder.name
    loose = [file for file in folder.volumes if not _split(file)[1]]
    volumes = volumes_of(folder, [f for f in folder.volumes if _split(f)[1]], source, name)
    sides: dict[str, dict[str, str]] = {"image": {}, "label": {}}
    for key, path in volumes.files.items():
        case, role = key.rsplit("_", 1)
        sides[role][case] = path
    found = pair(
        name,
        source,
        {case: (path,) for case, path in sides["image"].items()},
        sides["label"],
        doubtful={key.rsplit("_", 1)[0] for key in volumes.doubtful},
        image_at=lambda case: f"{folder.path}/{case}_image",
        label_at=lambda case: f"{folder.path}/{case}_label",
    )
    deeper = [
        problem for inner in folder.folders for problem in nested(inner, source, name, known=_KNOWN)
    ]
    odd = misplaced(folder, loose, source, name, known=_KNOWN)
    return found.also(*volumes.problems, *odd, *deeper)


def _split(file: str) -> tuple[str, str]:
    """Return case and "image" or "label"; "", "" for another name."""
    found = _ROLE.fullmatch(stem(file) or "")
    return (found[1], found[2]) if found else ("", "")
