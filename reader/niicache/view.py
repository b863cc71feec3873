"""The cases of one class: what is known of them, and their voxels one by one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from niicache.case_grid import read_box, read_grid
from niicache.chunks import ChunkReader
from niicache.errors import OptionError
from niicache.format.facts import columns_of
from niicache.format.geometry import chunk_boxes
from niicache.format.names import CASES, CHUNKS, IMAGE, LABEL
from niicache.small_arrays import SmallArrays
from niicache.splits import Member, split_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from niicache.format.geometry import Box
    from niicache.format.grid import Grid
    from niicache.format.manifest import ArrayLayout, Manifest
    from niicache.shards import OpenShards


class Sample(NamedTuple):
    """A case as it is stored.

    Attributes:
        image: ``(*spatial, channel)``, the cache's dtype, padded.
        label: Mask ``(*spatial, channel)``, vector ``(k,)``, or the class's number where the
            folder is the label.
    """

    image: np.ndarray
    label: np.ndarray


class ClassView:
    """The cases of one class, sorted by name.

    Attributes:
        name: The class.
        number: Its position among the classes.
    """

    def __init__(self, root: Path, manifest: Manifest, number: int, shards: OpenShards) -> None:
        entry = manifest.classes[number]
        self._root = root
        self._manifest = manifest
        self._entry = entry
        self._shards = shards
        self._small = SmallArrays(root, manifest, entry)
        self.name = entry.name
        self.number = number

    @property
    def slot_names(self) -> Sequence[str]:
        """Name of the case in each row of the stored arrays, "" where the row is vacant."""
        names: list[str] = self._small.read(f"{CASES}/name").tolist()
        return names

    @property
    def occupied(self) -> np.ndarray:
        """(cases,) int64, ascending: the rows of the stored arrays that hold a case."""
        sizes = self._small.read_anew(f"{CASES}/image_size")
        # One of each image is enough: a case has the sizes of all of its files, a vacancy none.
        rows: np.ndarray = np.flatnonzero(sizes if sizes.ndim == 1 else sizes[:, 0])
        return rows

    @cached_property
    def rows(self) -> np.ndarray:
        """(cases,) int64: the row of each case in the stored arrays."""
        names = self.slot_names
        order = sorted((row for row, name in enumerate(names) if name), key=names.__getitem__)
        return np.array(order, np.int64)

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases, sorted."""
        return tuple(self.column("name").tolist())

    @property
    def members(self) -> tuple[Member, ...]:
        """What decides about the split of each row of the stored arrays, vacant ones too."""
        groups = self.stored_column("group").tolist()
        pairs = zip(self.slot_names, groups, strict=True)
        return tuple(Member(self.name, name, group) for name, group in pairs)

    @property
    def splits(self) -> tuple[str, ...]:
        """The split of each case, in the order of :attr:`cases`; "" in a cache without splits."""
        rule, members = self._manifest.split, self.members
        mine = (members[row] for row in self.rows.tolist())
        return tuple("" if rule is None else split_of(rule, member) for member in mine)

    def column(self, name: str) -> np.ndarray:
        """Return what is known of each case, in the order of :attr:`cases`.

        Args:
            name: One of ``cache.columns``, such as ``"spacing"`` (mm) or ``"box_start"`` (voxels).

        Returns:
            Array of shape ``(cases, ...)``; docs/format.md lists dtypes, shapes and units.

        Raises:
            OptionError: There is no such column.
            DamageError: The column's files are missing or damaged.
            FormatError: They are what the manifest says, and contradict it.
        """
        column: np.ndarray = self.stored_column(name)[self.rows]
        return column

    def stored_column(self, name: str) -> np.ndarray:
        """Return a column as :meth:`column`, but with a place for each row of the stored arrays.

        Raises:
            OptionError: There is no such column.
            DamageError: The column's files are missing or damaged.
        """
        names = column_names(self._manifest)
        if name not in names:
            raise OptionError(f"column: got {name!r}, expected one of {', '.join(names)}")
        return self._small.read(f"{CASES}/{name}")

    def box(self, case: int | str) -> Box:
        """Return where the real voxels of a case lie in the padded grid."""
        return read_box(self.column, "box", self._position(case))

    def grid(self, case: int | str) -> Grid:
        """Return how the grid of a case's source became the stored one.

        Raises:
            IndexError, OptionError: There is no such case.
            DamageError: Its columns are missing or damaged.
            FormatError: They contradict each other.
        """
        return read_grid(self.column, self._manifest.recipe, self._position(case))

    def affine(self, case: int | str) -> np.ndarray:
        """Return what maps a voxel of a case as it is stored, padded, to the world.

        Returns:
            (4, 4) float64, mm. The column ``affine`` is that of the source.

        Raises:
            As :meth:`grid`.
        """
        return self.grid(case).stored_affine(self.box(case).start)

    def crcs(self, array: str) -> np.ndarray:
        """Return the crc32c of every chunk of ``"image"`` or ``"label"``, (chunks,) uint32."""
        return self._small.read(f"{CHUNKS}/{array}")

    def spots(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where the foreground lies: a bounded sample of the voxels of each label value.

        Returns:
            (slots, values + 1) int64, where in the other array the voxels of each value of a slot
            begin and end; and (n,) uint32 or uint64, their flat positions in the padded grid.

        Raises:
            DamageError: The files are missing or damaged.
            FormatError: They are what the manifest says, and contradict it or each other.
        """
        return self._small.spots()

    @cached_property
    def image(self) -> ChunkReader:
        """Reader of the image array's chunks."""
        return self._reader(IMAGE, self._manifest.recipe.image)

    @cached_property
    def label(self) -> ChunkReader | None:
        """Reader of the label array's chunks, None where the folder is the label."""
        layout = self._manifest.recipe.label
        return None if layout is None else self._reader(LABEL, layout)

    def __len__(self) -> int:
        return self._entry.cases

    def __contains__(self, case: object) -> bool:
        return case in self.cases

    def __getitem__(self, case: int | str) -> Sample:
        """Return one case by position in :attr:`cases`, or by name.

        Raises:
            IndexError, OptionError: There is no such case.
            DamageError: Its bytes are missing or damaged.
        """
        row = int(self.rows[self._position(case)])
        label = np.array(self.number) if self.label is None else _read_case(self.label, row)
        return Sample(_read_case(self.image, row), label)

    def _position(self, case: int | str) -> int:
        if isinstance(case, str):
            if case not in self.cases:
                raise OptionError(f"class {self.name!r} has no case {case!r}; see .cases")
            return self.cases.index(case)
        if isinstance(case, bool) or not isinstance(case, int | np.integer):
            raise OptionError(f"case: got {case!r}, expected one position or one name")
        if not -len(self) <= case < len(self):
            raise IndexError(
                f"case: got {case}, expected a position below {len(self)}, the number of cases of "
                f"class {self.name!r}"
            )
        return int(case)

    def __repr__(self) -> str:
        return f"<class {self.name!r} of {str(self._root)!r}, {len(self):,} cases>"

    def _reader(self, array: str, layout: ArrayLayout) -> ChunkReader:
        return ChunkReader(
            self._root,
            class_name=self.name,
            array=array,
            layout=layout,
            crcs=self.crcs(array),
            files=self._manifest.files,
            shards=self._shards,
            case_of=lambda chunk: self._cases_of(chunk, layout.chunk[0]),
        )

    def _cases_of(self, chunk: int, size: int) -> str:
        names = self.slot_names[chunk * size : (chunk + 1) * size]
        return ", ".join(name for name in names if name)


def column_names(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the columns that every class of a cache has."""
    return tuple(column.name for column in columns_of(manifest.columns))


def _read_case(reader: ChunkReader, row: int) -> np.ndarray:
    layout = reader.layout
    number, inside = divmod(row, layout.chunk[0])
    chunk = reader.empty()
    case = np.empty(layout.shape, layout.dtype)
    for block, box in enumerate(chunk_boxes(layout.shape, layout.chunk[1:])):
        reader.read(number * layout.blocks + block, chunk)
        case[box.slices] = chunk[inside][tuple(slice(0, n) for n in box.shape)]
    return case
