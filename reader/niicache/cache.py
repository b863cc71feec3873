"""An opened cache: its classes, its cases, what is known of them, and their voxels one by one."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from niicache.errors import FormatError, NotACacheError, OptionError, UncommittedError
from niicache.format.names import ROOT, WORK
from niicache.format.root import MOST_ROOT_BYTES, REBUILD, unpack_root
from niicache.inert import inert
from niicache.opening import read_below
from niicache.shards import OpenShards
from niicache.view import ClassView, column_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache.format.manifest import Manifest


def open_cache(path: str | Path) -> Cache:
    """Open a committed cache. Reads the manifest and nothing else.

    Args:
        path: Folder that ``niicache build`` wrote.

    Raises:
        NotACacheError: There is no cache there.
        UncommittedError: A build was begun there and not finished.
        FormatError: The manifest is damaged, or of a version that this release cannot read.
    """
    root = Path(path).expanduser()
    try:
        data = read_below(root, ROOT, MOST_ROOT_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        if (root / WORK).is_dir():
            raise UncommittedError(
                f"{path}: a build was begun here and not finished; "
                "run the same `niicache build` command again, it goes on where it stopped; "
                "if it failed, once what it complained of is mended"
            ) from error
        got = "a file" if root.exists() else "no such folder"
        raise NotACacheError(
            f"{path}: got {'a folder without zarr.json' if root.is_dir() else got}, "
            "expected a cache; make one with `niicache build SOURCE CACHE`"
        ) from error
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EINVAL}:
            inner = FormatError(str(error.strerror), REBUILD)
            raise FormatError(f"{root / ROOT}: {inner}") from inner
        raise NotACacheError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        manifest = unpack_root(data)
    except FormatError as error:
        raise FormatError(f"{root / ROOT}: {error}") from error
    return Cache(root, manifest)


class Cache:
    """A committed cache, one generation of it for as long as it is open.

    Attributes:
        path: The folder.
        manifest: Everything that the builder decided and wrote.
        classes: Names of the classes, sorted; their position is the class's number.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.classes = tuple(entry.name for entry in manifest.classes)
        self._shards = shards = OpenShards()
        self._views = {
            entry.name: ClassView(path, manifest, number, shards)
            for number, entry in enumerate(manifest.classes)
        }

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        self._shards.clear()

    def __getitem__(self, name: str) -> ClassView:
        try:
            return self._views[name]
        except KeyError:
            raise OptionError(
                f"{self.path}: got class {name!r}, expected one of {', '.join(self.classes)}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __iter__(self) -> Iterator[ClassView]:
        return iter(self._views.values())

    def __len__(self) -> int:
        return len(self._views)

    @property
    def cases(self) -> tuple[tuple[str, str], ...]:
        """(class, case) of every case, classes in order, cases by name."""
        return tuple((view.name, case) for view in self for case in view.cases)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order in which they were given; none in most caches."""
        rule = self.manifest.split
        return () if rule is None else tuple(name for name, _ in rule.shares)

    def split(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return (class, case) of every case of a split, in the order of :attr:`cases`.

        Raises:
            OptionError: There is no such split.
        """
        if name not in self.splits:
            known = ", ".join(map(repr, self.splits)) or "none; build it again with --split"
            raise OptionError(f"split: got {name!r}, expected one of those of {self.path}: {known}")
        return tuple(
            (view.name, case)
            for view in self
            for case, own in zip(view.cases, view.splits, strict=True)
            if own == name
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of images, in order; none where the source did not tell them."""
        return self.manifest.channels

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what is known of each case: ``cache["a"].column("spacing")``."""
        return column_names(self.manifest)

    def __reduce__(self) -> tuple[type[Cache], tuple[Path, Manifest]]:
        return type(self), (self.path, self.manifest)

    def __repr__(self) -> str:
        recipe = self.manifest.recipe
        image, label = recipe.image, recipe.label
        what = "folder" if label is None else f"{recipe.label_kind} {label.shape} {label.dtype}"
        classes = ", ".join(f"{entry.name} {entry.cases:,}" for entry in self.manifest.classes)
        names = f"  channel {', '.join(map(inert, self.channels))}\n" if self.channels else ""
        codec = "none" if image.codec is None else f"{image.codec.cname} {image.codec.clevel}"
        return (
            f"<niicache.Cache {str(self.path)!r}\n"
            f"  image   {image.shape} {image.dtype}, padded with {recipe.pad_mode} {image.fill:g}\n"
            f"{names}"
            f"  label   {what}\n"
            f"  classes {classes}\n"
            f"  chunks  {image.chunk} {codec}, {image.shard_cases:,} cases a shard>"
        )
