"""What the layouts share: the cases found in one class, files by stem, images with their labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.errors import Problem
from niicache_builder.cases import CaseFiles
from niicache_builder.nifti_names import files_of, stem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from niicache_builder.sources.tree import Folder

CSV_HINT = "describe such a source with a CSV file (class,image,label) and build from that"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one class holds.

    Attributes:
        cases: The complete ones, in no order.
        problems: Everything wrong inside the class.
        images: Images seen, with a label or not.
        labels: Labels seen.
    """

    cases: tuple[CaseFiles, ...]
    problems: tuple[Problem, ...]
    images: int
    labels: int = 0

    def also(self, *problems: Problem) -> Found:
        """Return the same with more problems."""
        return replace(self, problems=(*self.problems, *problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """The NIfTI files of one folder.

    Attributes:
        files: Stem -> path relative to the source; of a pair, the .hdr.
        doubtful: Stems that more than one file claims, or half a pair; not in ``files``.
        problems: Why they are doubtful.
    """

    files: Mapping[str, str]
    doubtful: AbstractSet[str]
    problems: tuple[Problem, ...]


def volumes_of(folder: Folder, names: Iterable[str], source: str, class_name: str) -> Volumes:
    """Gather NIfTI files of a folder by stem.

    Args:
        folder: Where they are.
        names: Which of its files.
        source: The source as the user typed it.
        class_name: For the problems.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(stem(name) or "", []).append(name)
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for key, group in groups.items():
        needed = [path.name for path in files_of(Path(group[0]))]
        if sorted(needed) == sorted(group):
            files[key] = folder.inside(needed[0])
        else:
            where = f"{source}/{folder.inside(group[0])}"
            problems.append(_doubt(where, key, group, needed, class_name))
    doubtful = groups.keys() - files.keys()
    return Volumes(files=files, doubtful=doubtful, problems=tuple(problems))


def _doubt(path: str, key: str, group: list[str], needed: list[str], class_name: str) -> Problem:
    """Return why the files of one stem are no image."""
    if len(group) == 1:
        other = needed[1] if needed[0] == group[0] else needed[0]
        return Problem(
            code="half-pair",
            path=path,
            got=f"{group[0]} without {other}",
            expected="both files of a pair",
            hint=f"copy {other} beside it",
            class_name=class_name,
            case=key,
        )
    return Problem(
        code="duplicate-case",
        path=path,
        got=" and ".join(group),
        expected="one file a case",
        hint="remove or rename all but one",
        class_name=class_name,
        case=key,
    )


def pair(
    class_name: str,
    source: str,
    images: Mapping[str, tuple[str, ...]],
    labels: Mapping[str, str],
    *,
    doubtful: AbstractSet[str],
    image_at: Callable[[str], str],
    label_at: Callable[[str], str],
) -> Found:
    """Join images and labels of the same case.

    Args:
        class_name: The class that all belong to.
        source: The source as the user typed it.
        images: Case -> paths of its image, one a channel file, relative to the source.
        labels: Case -> path of its label likewise.
        doubtful: Cases that have a problem already and get no second one.
        image_at: Where the image of a case would have to be, without suffix.
        label_at: Where the label of a case would have to be, without suffix.
    """
    both = images.keys() & labels.keys()
    cases = tuple(
        CaseFiles(class_name=class_name, name=name, images=images[name], label=labels[name])
        for name in both
    )
    problems = [
        _unpaired(("image", "label"), name, (images[name][0], label_at(name)), source, class_name)
        for name in sorted(images.keys() - both - doubtful)
    ]
    problems += [
        _unpaired(("label", "image"), name, (labels[name], image_at(name)), source, class_name)
        for name in sorted(labels.keys() - both - doubtful)
    ]
    seen = sum(map(len, images.values()))
    return Found(cases=cases, problems=tuple(problems), images=seen, labels=len(labels))


def _unpaired(
    roles: tuple[str, str], case: str, paths: tuple[str, str], source: str, class_name: str
) -> Problem:
    """Return the problem of a file that is there, first of each pair, without the other."""
    return Problem(
        code=f"unpaired-{roles[0]}",
        path=f"{source}/{paths[0]}",
        got=f"no {roles[1]} for this {roles[0]}",
        expected=f"{source}/{paths[1]}.nii.gz, .nii or .hdr/.img",
        hint=f"add the {roles[1]}, or remove the {roles[0]}",
        class_name=class_name,
        case=case,
    )


def nested(folder: Folder, source: str, class_name: str, *, known: str) -> tuple[Problem, ...]:
    """Return a problem if a folder of no known meaning holds NIfTI files, at any depth.

    Args:
        folder: The folder.
        source: The source as the user typed it.
        class_name: For the problem.
        known: What the layout looks at, in words.
    """
    if not folder.count():
        return ()
    return (
        Problem(
            code="nested-folder",
            path=f"{source}/{folder.path}",
            got=f"a folder with {many(folder.count(), 'NIfTI file')}",
            expected=known,
            hint=CSV_HINT,
            class_name=class_name,
        ),
    )


def misplaced(
    folder: Folder, names: Sequence[str], source: str, class_name: str, *, known: str
) -> tuple[Problem, ...]:
    """Return a problem if there are NIfTI files that belong to no case; arguments as ``nested``."""
    if not names:
        return ()
    return (
        Problem(
            code="misplaced-file",
            path=f"{source}/{folder.inside(names[0])}",
            got=f"{many(len(names), 'NIfTI file')} in {folder.name or 'the source'} of no case",
            expected=known,
            hint="move or rename what is a case, and take the rest out of the source",
            class_name=class_name,
        ),
    )


def many(count: int, what: str) -> str:
    """Return "1 image" or "2,000 images"."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def clean(text: str) -> str:
    """Return a name that may not be UTF-8 in a form that can be printed and stored."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
