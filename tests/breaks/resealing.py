"""A cache in memory whose author may change anything and makes all digests agree again."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from helpers import make_cache, write_source
from numcodecs import zstd

from niicache import open_cache
from niicache.format.codec import crc32c
from niicache.format.manifest import canonical
from niicache.format.shard import index_nbytes, unpack_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = "zarr.json"
PLACES = 2
"""Chunks in a shard of the bases: of 2 cases each, 4 cases a shard."""


@dataclass
class Draft:
    """A cache that is being tampered with.

    Attributes:
        files: Path to bytes of everything but the root.
        document: The root zarr.json.
        root: Its text, where it is not to be made from ``document``.
        known: Whether the manifest's sizes and digests are made to agree with ``files``.
        after: Called with the folder when everything is written.
    """

    files: dict[str, bytes]
    document: Any
    root: bytes | None = None
    known: bool = True
    after: list[Callable[[Path], None]] = field(default_factory=list)

    @property
    def manifest(self) -> Any:
        return self.document["attributes"]["niicache"]

    def array(self, path: str) -> Any:
        """Return the metadata of an array, to be given to ``put``."""
        return json.loads(self.files[f"{path}/{ROOT}"])

    def put(self, path: str, document: Any) -> None:
        """Replace the metadata of an array or a group."""
        text = document if isinstance(document, str) else json.dumps(document)
        self.files[f"{path}/{ROOT}"] = text.encode()

    def column(self, path: str) -> tuple[str, bytes]:
        """Return the path and the decompressed content of a column's only chunk."""
        (name,) = (name for name in self.files if name.startswith(f"{path}/c/"))
        return name, bytes(zstd.decompress(self.files[name]))

    def fill(self, path: str, content: bytes | np.ndarray) -> None:
        """Replace the content of a column."""
        name, _ = self.column(path)
        self.files[name] = bytes(zstd.compress(bytes(content), 3))

    def reshard(self, path: str, change: Callable[[list[bytes]], None]) -> None:
        """Change the payloads of a shard's chunks; crc, index and checksums follow."""
        payloads = [chunk[:-4] for chunk in self.chunks(path)]
        change(payloads)
        chunks = [one + crc32c(one).to_bytes(4, "little") for one in payloads]
        ends = np.cumsum([len(one) for one in chunks]).tolist()
        self.index(path, [(e - len(c), len(c)) for e, c in zip(ends, chunks, strict=True)], chunks)
        class_name, array, _, number = path.split("/")[:4]
        _, content = self.column(f"{class_name}/chunks/{array}")
        crcs = np.frombuffer(content, "<u4").copy()
        first = int(number) * PLACES
        crcs[first : first + len(chunks)] = [int.from_bytes(one[-4:], "little") for one in chunks]
        self.fill(f"{class_name}/chunks/{array}", crcs)

    def chunks(self, path: str) -> list[bytes]:
        """Return the stored chunks of a shard."""
        data = self.files[path]
        tail = data[-index_nbytes(PLACES) :]
        table = unpack_index(tail, PLACES, len(data)).tolist()
        return [data[at : at + size] for at, size in table if at != 2**64 - 1]

    def index(
        self, path: str, extents: list[tuple[int, int]], chunks: list[bytes] | None = None
    ) -> None:
        """Write a shard with any index, whose crc holds."""
        body = b"".join(self.chunks(path) if chunks is None else chunks)
        table = np.full((PLACES, 2), 2**64 - 1, "<u8")
        table[: len(extents)] = np.array(extents, "<u8")
        raw = table.tobytes()
        self.files[path] = body + raw + crc32c(raw).to_bytes(4, "little")

    def text(self) -> bytes:
        """Return the root's text, with every digest as it should be."""
        if self.root is not None:
            return self.root
        attribute = self.manifest
        if self.known:
            for path, entry in attribute["files"].items():
                if path in self.files and isinstance(entry, dict):
                    data = self.files[path]
                    entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return sealed(self.document)


def sealed(document: Any) -> bytes:
    """Return the text of a root whose own digest holds."""
    attribute = document["attributes"]["niicache"]
    attribute["digest"] = ""
    attribute["digest"] = hashlib.sha256(canonical(document)).hexdigest()
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Base:
    """A sound cache."""

    files: Mapping[str, bytes]
    root: bytes

    def draft(self) -> Draft:
        document = json.loads(self.root)
        return Draft(dict(self.files), copy.deepcopy(document))


@cache
def base(codec: str) -> Base:
    """Return a cache of two classes with masks, in three shards of images."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = write_source(
            folder / "s", {"a": 7, "b": 3}, low=(5, 4), high=(8, 7), dtype="int16", labels="mask"
        )
        make_cache(source, folder / "c", shards=4, chunk=(2,), codec=codec)
        files = {
            path.relative_to(folder / "c").as_posix(): path.read_bytes()
            for path in (folder / "c").rglob("*")
            if path.is_file() and path.name != ".lock"
        }
    root = files.pop(ROOT)
    return Base(files, root)


@cache
def truth(codec: str) -> Mapping[tuple[str, str], tuple[bytes, bytes]]:
    """Return the voxels and the mask of each (class, case)."""
    with TemporaryDirectory() as name:
        lay(base(codec).draft(), Path(name) / "c")
        return {
            (view.name, case): tuple(one.tobytes() for one in view[case])
            for view in open_cache(Path(name) / "c")
            for case in view.cases
        }


_laid: dict[Path, dict[str, bytes]] = {}


def lay(draft: Draft, folder: Path) -> Path:
    """Make a folder hold a draft. Of what it held before only what differs is written."""
    wanted = {**draft.files, ROOT: draft.text()}
    there = _laid.pop(folder, None)
    if there is None:
        shutil.rmtree(folder, ignore_errors=True)
        there = {}
    for path in there.keys() - wanted.keys():
        (folder / path).unlink()
        with contextlib.suppress(OSError):  # a folder that others have files in stays
            os.removedirs((folder / path).parent)
    for path, data in wanted.items():
        if there.get(path) != data:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    for step in draft.after:
        step(folder)
    if not draft.after:
        _laid[folder] = wanted
    return folder
