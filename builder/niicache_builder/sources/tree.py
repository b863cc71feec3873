"""What lies in a source folder, by name alone. The only module of the layouts that walks one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from niicache.errors import Problem
from niicache_builder.nifti_names import stem
from niicache_builder.sources.found import clean

_DEEPEST = 32  # folders below the source, against links that no loop check sees through


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder with what counts in it.

    Attributes:
        name: Its own name.
        path: Relative to the source, with "/"; "" for the source.
        volumes: Names of the NIfTI files in it, sorted.
        folders: Folders in it, sorted by name.
    """

    name: str
    path: str
    volumes: tuple[str, ...]
    folders: tuple[Folder, ...]

    def count(self) -> int:
        """Return how many NIfTI files are in it, at any depth."""
        return len(self.volumes) + sum(folder.count() for folder in self.folders)

    def inside(self, name: str) -> str:
        """Return the path of a file in it, relative to the source."""
        return f"{self.path}/{name}" if self.path else name


@dataclass(slots=True, kw_only=True)
class Walk:
    """What was met on the way, besides the folders themselves.

    Attributes:
        source: The source as the user typed it.
        problems: What could not be followed or read.
        links: Symlinks followed.
        others: Files that are not NIfTI.
        caches: Folders that are caches.
    """

    source: str
    problems: list[Problem] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    caches: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """Return a line for each kind of thing that was met, with a count and the first one."""
        said = (
            ("symlinks followed", self.links),
            ("files that are not NIfTI ignored", self.others),
            ("folders with a zarr.json of their own (caches) ignored", self.caches),
        )
        return tuple(
            f"{what}: {len(paths):,}, the first is {self.source}/{min(paths)}"
            for what, paths in said
            if paths
        )


def walk(source: str) -> tuple[Folder, Walk]:
    """List a source folder. Hidden files and folders ("." first, __MACOSX) are passed over."""
    seen = Walk(source=source)
    return _folder(seen, name="", path="", above=()), seen


def _folder(seen: Walk, *, name: str, path: str, above: tuple[tuple[int, int], ...]) -> Folder:
    full = f"{seen.source}/{path}" if path else seen.source
    try:
        found = os.stat(full)  # noqa: PTH116 - one string for all of os.stat and os.scandir
        here = (*above, (found.st_dev, found.st_ino))
        with os.scandir(full) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        got, hint = error.strerror or type(error).__name__, "check that you may read it"
        _complain(seen, "unreadable-folder", path, got, "a readable folder", hint)
        return Folder(name=name, path=path, volumes=(), folders=())
    if here[-1] in above or len(above) > _DEEPEST:
        got = "a link to a folder above it" if here[-1] in above else f"{len(above)} levels"
        _complain(seen, "folder-loop", path, got, "folders that end", "remove the link or folder")
        return Folder(name=name, path=path, volumes=(), folders=())
    volumes, folders = [], []
    for entry in listed:
        inner = f"{path}/{entry.name}" if path else entry.name
        kind = _kind(seen, entry, inner)
        if kind == "volume":
            volumes.append(entry.name)
        elif kind == "folder":
            folders.append(_folder(seen, name=entry.name, path=inner, above=here))
    return Folder(name=name, path=path, volumes=tuple(volumes), folders=tuple(folders))


def _kind(seen: Walk, entry: os.DirEntry[str], path: str) -> str:
    """Return "volume", "folder" or "" for what does not count, and take note of it."""
    if entry.name.startswith(".") or entry.name == "__MACOSX":
        return ""
    if not _reachable(seen, entry, path):
        return ""
    if entry.is_dir():
        # A cache inside its own source would be read as images by the next build.
        if os.path.exists(f"{entry.path}/zarr.json"):  # noqa: PTH110 - as above
            seen.caches.append(path)
            return ""
        return "folder"
    if stem(entry.name) is not None:
        return "volume"
    seen.others.append(path)
    return ""


def _reachable(seen: Walk, entry: os.DirEntry[str], path: str) -> bool:
    """Tell whether an entry can be named and, if it is a link, followed."""
    if clean(entry.name) != entry.name:
        got, hint = "a name that is not UTF-8", "rename it"
        _complain(seen, "file-name", clean(path), got, "a name in UTF-8", hint)
        return False
    if entry.is_symlink():
        if not os.path.exists(entry.path):  # noqa: PTH110 - the string is at hand
            got, hint = "a symlink to nothing", "mend or remove the link"
            _complain(seen, "dangling-link", path, got, "a file or folder", hint)
            return False
        seen.links.append(path)
    return True


def _complain(seen: Walk, code: str, path: str, got: str, expected: str, hint: str) -> None:
    full = f"{seen.source}/{path}" if path else seen.source
    seen.problems.append(Problem(code=code, path=full, got=got, expected=expected, hint=hint))
