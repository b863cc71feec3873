"""The cases that ``imagesTr`` and ``labelsTr`` of nnU-Net hold: ``case_0000`` and ``case``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from niicache_builder.nifti_names import files_of, stem
from niicache_builder.sources.channel_files import images_of, numbered, uneven
from niicache_builder.sources.found import Found, misplaced, nested, pair, volumes_of
from niicache_builder.sources.one_class import CLASS
from niicache_builder.sources.tree import Folder

if TYPE_CHECKING:
    from niicache.errors import Problem
    from niicache_builder.sources.channel_files import Images
    from niicache_builder.sources.dataset_text import Dataset
    from niicache_builder.sources.found import Volumes


def read(root: Folder, dataset: Dataset, source: str) -> Found:
    """Return the cases of a data set and everything wrong in it.

    Args:
        root: What lies in it.
        dataset: What its dataset.json says.
        source: The source as the user typed it.
    """
    images, labels = _folder(root, "imagesTr"), _folder(root, "labelsTr")
    known = f"imagesTr/<case>_0000{dataset.ending or '.nii.gz'} and so on, and labelsTr/<case>"
    problems: list[Problem] = []
    sides: list[Volumes] = []
    for folder in (images, labels):
        ours = [name for name in folder.volumes if _is_ours(name, folder is images, dataset.ending)]
        loose = sorted({*folder.volumes} - {*ours})
        problems += misplaced(folder, loose, source, CLASS, known=known)
        for deeper in folder.folders:
            problems += nested(deeper, source, CLASS, known=known)
        sides.append(volumes_of(folder, ours, source, CLASS))
    grouped = images_of(
        sides[0],
        lambda name: numbered(name) or (name, 0),
        source=source,
        class_name=CLASS,
        image_at=images.inside,
    )
    odd = _uneven(grouped, dataset, images, source)
    found = pair(
        CLASS,
        source,
        {case: paths for case, paths in grouped.files.items() if case not in odd},
        sides[1].files,
        doubtful=grouped.doubtful | sides[1].doubtful | odd.keys(),
        image_at=lambda case: images.inside(f"{case}_0000"),
        label_at=labels.inside,
    )
    problems += (*sides[0].problems, *sides[1].problems, *grouped.problems)
    return found.also(*problems, *odd.values())


def _folder(root: Folder, name: str) -> Folder:
    """Return a folder of the source, an empty one where it is not there."""
    absent = Folder(name=name, path=name, volumes=(), folders=())
    return next((inner for inner in root.folders if inner.name == name), absent)


def _is_ours(name: str, is_image: bool, ending: str) -> bool:  # noqa: FBT001 - one private caller
    """Tell whether a file can be an image, or a label."""
    if is_image and not numbered(stem(name) or ""):
        return False
    halves = (half.name for half in files_of(Path(name)))
    return any(half.endswith(ending) for half in halves)


def _uneven(grouped: Images, dataset: Dataset, images: Folder, source: str) -> dict[str, Problem]:
    """Return the problem of each case that has not one file for each channel."""
    count = len(dataset.channels)
    return {
        case: uneven(f"{source}/{images.inside(case)}", len(paths), count, CLASS, case)
        for case, paths in grouped.files.items()
        if count and len(paths) != count
    }
