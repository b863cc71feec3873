"""The nouns that scanning, planning and building share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CaseFiles:
    """The files of one case, before anything in them is read.

    Attributes:
        class_name: The class that the case belongs to.
        name: Unique within its class.
        images: Paths of the files that its channels come from, in their order, mostly one;
            relative to the source's root, with "/".
        label: Path of the label likewise, or None where the folder is the label.
        group: What must stay together in a split (a patient, say), or "".
    """

    class_name: str
    name: str
    images: tuple[str, ...]
    label: str | None = None
    group: str = ""

    @property
    def image(self) -> str:
        """The first of its images: what stands for the case in messages and in groups."""
        return self.images[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A source as it was recognised.

    Attributes:
        name: One of the layouts of ``niicache_builder.sources``.
        reason: What in the source made it that layout, in words for the user.
        root: Folder that the paths of the cases are relative to.
        classes: Every class, sorted, one without any case too.
        cases: Every complete case, sorted by class and name.
        problems: Everything that is wrong with the layout.
        notes: What is not wrong but worth a line (symlinks followed, files ignored).
        table: Name of the file in the root that lists the cases, or "".
        channels: Names of the channels, where the source tells them.
    """

    name: str
    reason: str
    root: Path
    classes: tuple[str, ...]
    cases: tuple[CaseFiles, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    table: str = ""
    channels: tuple[str, ...] = ()
