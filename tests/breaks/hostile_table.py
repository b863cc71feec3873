"""What an attacker may write into a cache, each by its name."""

from __future__ import annotations

import json
import os
import shutil
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from breaks.resealing import ROOT, Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Change = "Callable[[Draft], Any]"


@dataclass(frozen=True)
class Hostile:
    """One attack.

    Attributes:
        name: What it does.
        change: Does it to a draft.
        outcome: Where it is refused at the latest: nothing "open"s it, "verify" finds it, it is
            "harmless", or "any" of these.
        codec: Of the cache.
        verified: What ``verify`` says of a harmless one.
    """

    name: str
    change: Callable[[Draft], Any]
    outcome: Literal["open", "verify", "harmless", "any"]
    codec: str = "fast"
    verified: str = "whole"


NO_WHOLE = (None, True, -1, 0, 2**31, 2**63, 2**64, 10**30, 1.0, 1.5, 1e300, "7", [], {})
NO_WORD = (None, True, 7, "", "x", "../x", "/etc/passwd", "object", "|O", "\0", ["x"], {"a": 1})
NO_LIST = (None, True, 7, "x", {}, {"0": 1}, 1.5)
NO_TABLE = (None, True, 7, "x", [], [1], 1.5)
DEEP = "[" * 10_000 + "]" * 10_000


def _at(path: str, value: Any) -> Callable[[Draft], None]:
    """Return what puts a value at a dotted path of the manifest."""

    def change(draft: Draft) -> None:
        *outer, last = path.split(".")
        target = draft.manifest
        for step in outer:
            target = target[int(step) if isinstance(target, list) else step]
        target[int(last) if isinstance(target, list) else last] = value
        draft.known = not path.startswith("files")

    return change


def _without(path: str) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        *outer, last = path.split(".")
        target = draft.manifest
        for step in outer:
            target = target[int(step) if isinstance(target, list) else step]
        del target[last]
        draft.known = path != "files"

    return change


def _fields() -> Iterator[Hostile]:
    recipe = "recipe.image"
    spots: dict[str, tuple[Any, ...]] = {
        "recipe.spatial_dims": (*NO_WHOLE, 4),
        **{f"{recipe}.{one}": NO_WHOLE for one in ("shape.0", "chunk.0", "chunk.1", "shard_cases")},
        "recipe.image.fill": (None, True, 2**63, 1.5, 1e300, 10**30, "7", [], {}),
        "recipe.image.codec.clevel": (None, True, -1, 10, 2**63, 1.5, "7", [], {}),
        "classes.0.cases": (*NO_WHOLE, 8),
        "classes.0.slots": (*NO_WHOLE, 3),
        "recipe.image.dtype": NO_WORD,
        "recipe.image.codec.cname": (*NO_WORD, "pickle", "zlib"),
        "recipe.image.codec.shuffle": NO_WORD,
        "recipe.label_kind": (*NO_WORD, "folder", "vector"),
        "recipe.pad_mode": NO_WORD,
        "classes.0.name": (None, 7, "", ".", "..", "../x", "/x", "a\0", "b", "a/b", ".build", ROOT),
        "recipe.image.shape": (*NO_LIST, [], [2**63] * 3, [8, 7], [8, 7, 1, 1], [2**30] * 3),
        "recipe.image.chunk": (*NO_LIST, [], [2, 8, 7], [2**40, 8, 7, 1], [4, 2**20, 7, 1]),
        "recipe.image.codec": (7, "blosc", [], {}, {"cname": "lz4"}, {"id": "pickle"}),
        "recipe.image": (None, 7, "x", [], {}),
        "recipe.label": (None, 7, "x", [], {}),
        "recipe": (None, 7, "x", [], {}),
        "classes": (*NO_LIST, [], [None], [{}], [7]),
        "label_values": (*NO_LIST, ["x"], [True], [2.0, 1.0], [1.0, 1.0], [0.5] * 300, [None]),
        "shards": (*NO_TABLE, {}, {"a/0": "x"}, {"../x/0": "0" * 64}),
        "files": (*NO_TABLE, {}, {"../x": {"size": 1, "sha256": "0" * 64}}),
        "skipped": (*NO_LIST, [None], [{}], [{"path": 7}]),
        "recipe.image_files": (*NO_WHOLE, 1, 2),
        "channels": (*NO_LIST, [], [7], [None], ["T1", "T2"]),
        "format_version": (None, True, 1.0, 0, 2, 2**63, "1", [], {}),
        "files.README.txt": (None, 7, [], {}, {"size": 1}),
        "more": (None, 1, {}),
        "recipe.orient": (*NO_WORD, "RAX", "RASI", "ras", "RAS"),  # of planes there is none
        "recipe.spacing": (*NO_LIST, [], [1.0, 1.0], [0.0, 1.0], [1e300, 1.0]),  # nor how
        "recipe.interpolation": (*NO_WORD, "linear"),
        "recipe.crop": (*NO_WORD, "foreground"),  # without its columns
        "columns": (*NO_LIST, [], ["name"], ["sform_code"], ["../x"], [None], [["x"]]),
    }
    for path, values in spots.items():
        for i, value in enumerate(values):
            where = path.replace("README.txt", "README")
            change = _at(path, value) if "README" not in path else _file("README.txt", value)
            yield Hostile(f"{where}[{i}]={value!s:.24}", change, "open")
    for path in (*_members(), "recipe.image.codec.cname", "classes.0.name"):
        yield Hostile(f"without {path}", _without(path), "open")


def _members() -> Iterator[str]:
    for name in ("recipe", "classes", "label_values", "shards", "files", "skipped"):
        yield name
    for name in ("spatial_dims", "label_kind", "pad_mode", "image", "label"):
        yield f"recipe.{name}"
    for name in ("dtype", "shape", "chunk", "shard_cases", "fill", "codec"):
        yield f"recipe.label.{name}"


def _file(path: str, entry: Any) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        draft.manifest["files"][path] = entry
        draft.known = False

    return change


def _paths() -> Iterator[Hostile]:
    entry = {"size": 1, "sha256": "0" * 64}
    for path in (
        *("../secret", "/etc/passwd", "a/../../secret", "a/image/c/../../../../x", "a\0b", ""),
        *(".", "..", "a/", "//", "a//b", ".build/x", ".retired/x", ".lock", "C:\\x", "a/.zarray"),
        *(".zgroup", "a/image/.zarray", "a/image/c/9/0/0/0", "zarr.json", "c/zarr.json", "\u202e"),
    ):
        yield Hostile(f"files has {path!r}", _file(path, entry), "open")
    sums = ("../../etc/passwd", "0" * 63, "Z" * 64, "0" * 64 + "\0", "/" * 64, 7, None, "A" * 64)
    for digest in sums:
        value = {"size": 1, "sha256": digest}
        yield Hostile(
            f"sha256 {digest!s:.9} of {len(str(digest))}", _file("README.txt", value), "open"
        )
    for size in (-1, True, 1.5, 2**63, 2**64, "1", None):
        value = {"size": size, "sha256": "0" * 64}
        yield Hostile(f"size {size}", _file("README.txt", value), "open")
    huge = {"size": 2**50, "sha256": "0" * 64}
    for path in ("a/zarr.json", "a/cases/mean/c/0/0", "a/cases/name/c/0", "a/chunks/image/c/0"):
        yield Hostile(f"a huge {path}", _file(path, huge), "open")
    small = {"size": 10, "sha256": "0" * 64}
    yield Hostile("a shard without an index", _file("a/image/c/0/0/0/0", small), "open")
    for path in ("a/image/c/1/0/0/0", "a/cases/mean/c/0/0", "a/image/zarr.json", "b/zarr.json"):
        yield Hostile(f"files lacks {path}", lambda d, p=path: d.manifest["files"].pop(p), "open")


def _root(text: Callable[[Draft], bytes]) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        draft.root = text(draft)

    return change


def _manifest(members: str) -> bytes:
    return f'{{"attributes": {{"niicache": {{{members}}}}}}}'.encode()


def _roots() -> Iterator[Hostile]:
    def with_text(old: str, new: str) -> Callable[[Draft], None]:
        return _root(lambda draft: draft.text().replace(old.encode(), new.encode(), 1))

    yield Hostile("deep JSON", _root(lambda _: DEEP.encode()), "open")
    yield Hostile("deep member", with_text('"skipped": []', f'"skipped": {DEEP}'), "open")
    yield Hostile("deep objects", _root(lambda _: b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "open")
    for depth in (200, 400, 900):
        value: Any = []
        for _ in range(depth):
            value = [value]
        yield Hostile(f"skipped {depth} deep", _at("skipped", value), "open")
    yield Hostile("twice", with_text('"skipped": []', '"skipped": [],\n"skipped": []'), "open")
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1E400", "-0"):
        yield Hostile(f"fill {number:.9}", with_text('"fill": 0', f'"fill": {number}'), "open")
    texts = {
        "nothing": b"",
        "zeros": bytes(1000),
        "a byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": "{}".encode("utf-16"),
        "not UTF-8": b'{"a": "\xff"}',
        "a string": b'"attributes"',
        "a list": b'[{"attributes": {}}]',
        "a number": b"7",
        "attributes a list": b'{"attributes": ["niicache"]}',
        "attributes a string": b'{"attributes": "niicache"}',
        "a half surrogate": _manifest('"format_version": 1, "digest": "\\ud800"'),
        "a digest of another kind": _manifest('"format_version": 1, "digest": []'),
    }
    for name, text in texts.items():
        yield Hostile(name, _root(lambda _, text=text: text), "open")
    for name, value in {
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": {}},
        "extensions": [],
        "storage_transformers": [{"name": "x"}],
        "node_type": "array",
        "zarr_format": 2,
    }.items():
        yield Hostile(f"root {name}", lambda d, n=name, v=value: d.document.update({n: v}), "open")
    for value in (True, 3.0, "3", None):
        change = lambda d, v=value: d.document.update({"zarr_format": v})  # noqa: E731 - a table
        yield Hostile(f"root zarr_format {value}", change, "open")
    more = lambda d: d.document["attributes"].update({"x": 1})  # noqa: E731 - a table
    yield Hostile("root with more attributes", more, "open")


def _metadata() -> Iterator[Hostile]:
    values: dict[str, tuple[Any, ...]] = {
        "shape": ([2**63], [-1], [7.0], [True], [], [2**40, 2**40], None, "x", 7, [8]),
        "data_type": ("object", "|O", "bytes", None, 7, {"name": "pickle"}, "int8"),
        "node_type": ("group", None),
        "zarr_format": (2, True, 3.0),
        "storage_transformers": ([{"name": "x"}], 7),
        "chunk_grid": (None, {"name": "rectangular"}, {"name": "regular", "configuration": {}}),
        "chunk_key_encoding": (None, {"name": "v2", "configuration": {"separator": "/"}}),
        "must_understand": (True,),
        "codecs": (
            *(None, [], [{"name": "pickle"}], [{"name": "numcodecs.pickle"}], [{}], "x"),
            [{"name": "bytes", "configuration": {"endian": "big"}}],
            [{"name": "bytes", "configuration": {"endian": "little"}}] * 1000,
        ),
    }
    for path in ("a/cases/mean", "a/cases/name", "a/image"):
        for name, some in values.items():
            for i, value in enumerate(some):
                yield Hostile(f"{path} {name}[{i}]", _set(path, name, value), "verify")
        yield Hostile(f"{path} deep", lambda d, p=path: d.put(p, DEEP), "verify")
        yield Hostile(f"{path} no JSON", lambda d, p=path: d.put(p, "x"), "verify")
        text = '{"zarr_format":3,"zarr_format":3}'
        yield Hostile(f"{path} twice", lambda d, p=path, t=text: d.put(p, t), "verify")
    for path in ("a/chunks/image", "a/label"):
        yield Hostile(f"{path} shape", _set(path, "shape", [2**63]), "verify")
    inner = ("configuration", "codecs", 1, "configuration")
    for name, value in (("typesize", 0), ("typesize", 2**40), ("blocksize", 2**40), ("cname", "x")):
        yield Hostile(
            f"metadata of blosc, {name} {value}", _deep("a/image", (*inner, name), value), "verify"
        )
    shape = ("configuration", "chunk_shape")
    yield Hostile("chunks of 2**40", _deep("a/image", shape, [2**40, 8, 7, 1]), "verify")
    start = ("configuration", "index_location")
    yield Hostile("an index at the start", _deep("a/image", start, "start"), "verify")
    yield Hostile("fill 1", _set("a/image", "fill_value", 1), "verify")
    for group in ("a", "a/cases", "b/chunks"):
        for name, value in (("zarr_format", 2), ("x", 1), ("consolidated_metadata", {})):
            yield Hostile(f"group {group} {name}", _set(group, name, value), "verify")


def _set(path: str, name: str, value: Any) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        draft.put(path, {**draft.array(path), name: value})

    return change


def _deep(path: str, steps: tuple[Any, ...], value: Any) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        document = draft.array(path)
        target = document["codecs"][0]
        for step in steps[:-1]:
            target = target[step]
        target[steps[-1]] = value
        draft.put(path, document)

    return change


def frame(size: int, blocks: int = 0) -> bytes:
    """Return a zstd frame that says so many bytes, with blocks of 128 KiB of zeros each."""
    block = (131072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd" + b"\xc0\x60" + struct.pack("<Q", size) + block * blocks + last


def _columns() -> Iterator[Hostile]:
    def raw(path: str, data: bytes) -> Callable[[Draft], None]:
        return lambda draft: draft.files.update({draft.column(path)[0]: data})

    def content(path: str, make: Callable[[bytes], bytes]) -> Callable[[Draft], None]:
        return lambda draft: draft.fill(path, make(draft.column(path)[1]))

    for path in ("a/cases/mean", "a/cases/name", "a/chunks/image"):
        for size in (2**40, 2**63, 0):
            yield Hostile(f"{path} frame of {size}", raw(path, frame(size)), "verify")
        yield Hostile(f"{path} bomb", raw(path, frame(2**32, 2**15)[:3000]), "verify")
        yield Hostile(f"{path} empty", raw(path, b""), "verify")
        yield Hostile(f"{path} of zeros", raw(path, bytes(300)), "verify")
        yield Hostile(f"{path} longer", content(path, lambda old: old + bytes(8)), "verify")
        yield Hostile(f"{path} shorter", content(path, lambda old: old[:-1]), "verify")
        yield Hostile(f"{path} without content", content(path, lambda _: b""), "verify")
    count = struct.pack("<I", 7)
    strings = {
        "2**31 names": struct.pack("<I", 2**31),
        "2**32 - 1 names": struct.pack("<I", 2**32 - 1) + bytes(100),
        "a name of 2**31": count + struct.pack("<I", 2**31) + bytes(100),
        "a name of 2**32 - 1": count + struct.pack("<I", 2**32 - 1) + bytes(100),
        "names not UTF-8": count + (struct.pack("<I", 1) + b"\xff") * 7,
        "names with zero bytes": count
        + b"".join(struct.pack("<I", 2) + bytes([0, i]) for i in range(7)),
        "one name for all": count + (struct.pack("<I", 1) + b"x") * 7,
        "no names": count + bytes(28),
        "a count cut off": b"\7",
    }
    for name, data in strings.items():
        yield Hostile(name, content("a/cases/name", lambda _, data=data: data), "verify")
    numbers: dict[str, tuple[str, Any]] = {
        "no case": ("a/cases/image_size", np.zeros(7, "<i8")),
        "negative sizes": ("a/cases/image_size", np.full(7, -5, "<i8")),
        "a box below": ("a/cases/box_start", np.full((7, 2), -1, "<i8")),
        "a box beyond": ("a/cases/box_stop", np.full((7, 2), 2**40, "<i8")),
        "no voxels": ("a/cases/source_shape", np.zeros((7, 3), "<i8")),
        "huge shapes": ("a/cases/source_shape", np.full((7, 3), 2**62, "<i8")),
        "spacing NaN": ("a/cases/spacing", np.full((7, 2), np.nan)),
        "spacing infinite": ("a/cases/spacing", np.full((7, 2), np.inf)),
        "spacing negative": ("a/cases/spacing", np.full((7, 2), -1.0)),
        "counts overflow": ("a/cases/label_count", np.full((7, 3), 2**62, "<i8")),
        "nonfinite": ("a/cases/nonfinite", np.full((7, 1), 2**62, "<i8")),
    }
    for name, (path, array) in numbers.items():
        yield Hostile(name, content(path, lambda _, array=array: array.tobytes()), "verify")


def _shards() -> Iterator[Hostile]:
    path = "a/image/c/0/0/0/0"
    for codec in ("fast", "none"):
        for name, extents in {
            "overlap": lambda n: [(0, n), (n - 1, n)],
            "the same twice": lambda n: [(0, n), (0, n)],
            "beyond the end": lambda n: [(0, n), (n, 2**20)],
            "far beyond": lambda n: [(0, n), (2**62, n)],
            "wrapping": lambda n: [(0, n), (2**64 - 2, n)],
            "wrapping back": lambda n: [(0, n), (n, 2**64 - n)],
            "the sign": lambda n: [(2**63, n), (2**63 + n, n)],
            "no length": lambda n: [(0, n), (n, 0)],
            "absent": lambda n: [(0, n), (2**64 - 1, 2**64 - 1)],
            "half absent": lambda n: [(0, n), (n, 2**64 - 1)],
            "swapped": lambda n: [(n, n), (0, n)],
        }.items():
            change = lambda d, make=extents: d.index(path, make(len(d.chunks(path)[0])))  # noqa: E731 - a table
            yield Hostile(f"index {name}, {codec}", change, "verify", codec)
        cut = lambda d: d.reshard(path, _cut)  # noqa: E731 - a table
        yield Hostile(f"a chunk cut off, {codec}", cut, "verify", codec)
        longer = lambda d: d.reshard(path, _lengthen)  # noqa: E731 - a table
        yield Hostile(f"a chunk with more, {codec}", longer, "verify", codec)
        wrong = lambda d: d.files.update({path: d.files[path][:-1] + b"\0"})  # noqa: E731 - a table
        yield Hostile(f"an index whose crc fails, {codec}", wrong, "verify", codec)
    header = {
        "version 0": (0, b"\0"),
        "version 255": (0, b"\xff"),
        "flags 255": (2, b"\xff"),
        "typesize 0": (3, b"\0"),
        "nbytes 0": (4, struct.pack("<I", 0)),
        "nbytes 2**32 - 1": (4, struct.pack("<I", 2**32 - 1)),
        "nbytes 2**31": (4, struct.pack("<I", 2**31)),
        "blocksize 0": (8, struct.pack("<I", 0)),
        "blocksize 2**31": (8, struct.pack("<I", 2**31)),
        "cbytes 0": (12, struct.pack("<I", 0)),
        "cbytes 2**32 - 1": (12, struct.pack("<I", 2**32 - 1)),
        "a block at 2**31": (16, struct.pack("<I", 2**31 - 1)),
        "a block before": (16, struct.pack("<I", 2**32 - 4)),
        "a stream of 2**31": (20, struct.pack("<I", 2**31 - 1)),
    }
    for name, (at, new) in header.items():

        def lie(payloads: list[bytes], at: int = at, new: bytes = new) -> None:
            payloads[0] = payloads[0][:at] + new + payloads[0][at + len(new) :]

        yield Hostile(f"blosc {name}", lambda d, lie=lie: d.reshard(path, lie), "verify")


def _cut(payloads: list[bytes]) -> None:
    payloads[0] = payloads[0][:-3]


def _lengthen(payloads: list[bytes]) -> None:
    payloads[0] += bytes(40)


def _links() -> Iterator[Hostile]:
    def linked(path: str) -> Callable[[Path], None]:
        def step(folder: Path) -> None:
            aside = folder.parent / "outside"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            shutil.move(folder / path, aside / "it")
            (folder / path).symlink_to(aside / "it")

        return step

    def piped(path: str) -> Callable[[Path], None]:
        def step(folder: Path) -> None:
            (folder / path).unlink()
            os.mkfifo(folder / path)

        return step

    paths = ("a/image/c/0/0/0/0", "a/image/c/0", "a/image", "a", "a/cases", "a/cases/mean/c/0/0")
    for path in (*paths, "a/image/zarr.json", "a/chunks/image/c/0", "README.txt"):
        change = lambda d, p=path: d.after.append(linked(p))  # noqa: E731 - a table
        yield Hostile(f"{path} is a link", change, "verify")
    for path in ("a/image/c/0/0/0/0", "a/cases/mean/c/0/0", "a/image/zarr.json", "README.txt"):
        change = lambda d, p=path: d.after.append(piped(p))  # noqa: E731 - a table
        yield Hostile(f"{path} is a pipe", change, "verify")
    zero = lambda folder: ((folder / ROOT).unlink(), (folder / ROOT).symlink_to("/dev/zero"))  # noqa: E731
    yield Hostile("the root is /dev/zero", lambda d: d.after.append(zero), "verify")
    yield Hostile("the root is a link", lambda d: d.after.append(linked(ROOT)), "verify")
    yield Hostile("the root is a pipe", lambda d: d.after.append(piped(ROOT)), "open")


PICKLE = {"id": "pickle", "protocol": 5}
ZARRAY = {
    "zarr_format": 2,
    "shape": [7],
    "chunks": [7],
    "dtype": "|O",
    "compressor": None,
    "fill_value": None,
    "filters": [PICKLE],
    "order": "C",
}


def _planted() -> Iterator[Hostile]:
    planted = {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"niicache": {}},
        ".zmetadata": {"zarr_consolidated_format": 1, "metadata": {"a/image/.zarray": ZARRAY}},
        "a/.zgroup": {"zarr_format": 2},
        "a/image/.zarray": ZARRAY,
        "a/cases/name/.zarray": ZARRAY,
        "a/cases/name/0": {},
        "a/cases/mean/c/1/0": {},
        "a/more/zarr.json": {"zarr_format": 3, "node_type": "group"},
    }
    for path, document in planted.items():
        data = json.dumps(document).encode()
        change = lambda d, p=path, t=data: d.files.update({p: t})  # noqa: E731 - a table
        yield Hostile(f"planted {path}", change, "harmless", verified="unexpected")
    yield Hostile("nothing at all", lambda _: None, "harmless")
    yield Hostile("nothing at all, plain", lambda _: None, "harmless", "none")


def _table() -> dict[str, Hostile]:
    parts = (_fields, _paths, _roots, _metadata, _columns, _shards, _links, _planted)
    every = [one for part in parts for one in part()]
    names = [one.name for one in every]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"attacks of one name: {twice}"
    return dict(zip(names, every, strict=True))


TABLE = _table()
"""Name to attack."""
