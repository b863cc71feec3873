"""Caches that an attacker wrote, who made every digest agree: refused by name, or read right."""

from __future__ import annotations

import contextlib
import io
import json
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from limits import alarm, limited

from breaks.hostile_table import TABLE, Hostile
from breaks.resealing import PLACES, ROOT, Draft, base, lay, truth
from breaks.watching import nothing_outside
from niicache import BalancedSequence, open_cache
from niicache.errors import FormatError, NiicacheError
from niicache.hot import SHARED
from niicache_builder import stats, verify
from niicache_builder.cli.exits import DAMAGED, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10.0
SPARE_BYTES = 512 * 2**20
"""Memory beyond what the process has; the cache itself is of a few kB."""


LONGEST = 20_000
"""Letters of a message."""


def once(seed: int, folder: Path) -> None:
    """Change a sound cache in one to three places at random, seal it, and read it in every way.

    Raises:
        AssertionError: Something else than a named refusal or the right voxels came of it, or a
            file outside was touched. Names the seed.
    """
    rng = np.random.default_rng(seed)
    codec = ("fast", "none")[seed % 2]
    draft = base(codec).draft()
    try:
        for _ in range(int(rng.integers(1, 4))):
            _mutate(draft, rng)
        check(Hostile("random", lambda _: None, "any", codec), draft, folder)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def check(hostile: Hostile, draft: Draft, folder: Path) -> dict[str, str]:
    """Read a hostile cache in every way and judge what came of each.

    Returns:
        Way to "right", or the name of the error.

    Raises:
        AssertionError: It is not what is to be expected of such a cache.
    """
    warm()
    path = lay(draft, folder / "hostile")
    SHARED.clear()
    found: dict[str, str] = {}
    with limited(SPARE_BYTES), nothing_outside(folder / "hostile"):
        for name, way in WAYS.items():
            with alarm(SECONDS):
                found[name] = _outcome(way, path, hostile)
    if hostile.outcome == "open":
        assert set(found.values()) == {"FormatError"}, found
    elif hostile.outcome == "verify":
        assert found["verify"] not in {"whole", "right"}, found
    elif hostile.outcome == "harmless":
        assert found == {**dict.fromkeys(WAYS, "right"), "verify": hostile.verified}, found
    return found


def _outcome(way: Callable[[Path, Hostile], str], path: Path, hostile: Hostile) -> str:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return way(path, hostile)
    except NiicacheError as error:
        found = error
    assert not isinstance(found, FormatError) or exit_code(found) == DAMAGED
    assert len(str(found)) < LONGEST, "a message without an end"
    return type(found).__name__


def _opened(path: Path, hostile: Hostile) -> str:
    del hostile
    repr(open_cache(path))
    return "right"


def _verified(path: Path, hostile: Hostile) -> str:
    del hostile
    found = verify(path)
    codes = sorted({problem.code for problem in found.problems})
    if codes == ["manifest-damaged"]:
        return "FormatError"
    return ", ".join(codes) or "whole"


def _told(path: Path, hostile: Hostile) -> str:
    del hostile
    json.dumps(stats(path).to_json(), allow_nan=False)
    return "right"


def _cases(path: Path, hostile: Hostile) -> str:
    held = open_cache(path)
    found = {
        (view.name, case): tuple(one.tobytes() for one in view[case])
        for view in held
        for case in view.cases
    }
    assert hostile.outcome == "any" or found == truth(hostile.codec), "other voxels"
    for view in held:
        for column in held.columns:
            view.column(column)
    return "right"


def _batches(path: Path, hostile: Hostile) -> str:
    sequence = BalancedSequence(path, 4, dtype="int16", steps=2, mix="all", workers=1)
    known = truth(hostile.codec)
    try:
        for step in range(2):
            images, labels = sequence[step]
            if hostile.outcome == "any":
                continue
            for i, case in enumerate(sequence.cases(0, step)):
                got = (images[i].tobytes(), labels[i].tobytes())
                assert got == known[case], "other voxels"
    finally:
        sequence.close()
    return "right"


WAYS: dict[str, Callable[[Path, Hostile], str]] = {
    "open": _opened,
    "stats": _told,
    "cases": _cases,
    "batches": _batches,
    "verify": _verified,
}


@cache
def warm() -> None:
    """Read sound caches once a process, so that nothing is imported or compiled later."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "sound"
        for codec in ("fast", "none"):
            sound = Hostile("sound", lambda _: None, "harmless", codec)
            path = lay(base(codec).draft(), folder)
            assert [way(path, sound) for way in WAYS.values()] == ["right"] * 4 + ["whole"]
        broken = lay(replace(base("fast").draft(), root=b"{}"), folder)
        for way in WAYS.values():
            _outcome(way, broken, sound)


VALUES = (None, True, -1, 0, 1, 3, 2**31, 2**63, 2**64, 1.5, 1e300, "", "x", "../x", "\0", [], {})


def _mutate(draft: Draft, rng: np.random.Generator) -> None:
    kind = int(rng.integers(6))
    paths = sorted(draft.files)
    if kind <= 1:
        change_json(draft.document, rng)
        draft.known = bool(rng.integers(2))
        if not _sealable(draft):
            draft.root = b"{}"
        return
    if kind == 2:
        names = [path for path in paths if path.endswith(ROOT)]
        name = names[int(rng.integers(len(names)))]
        document = json.loads(draft.files[name])
        change_json(document, rng)
        draft.files[name] = json.dumps(document).encode()
        return
    columns = [
        path for path in paths if "/c/" in path and path.split("/")[1] in {"cases", "chunks"}
    ]
    shards = [path for path in paths if path.split("/")[1:3] in (["image", "c"], ["label", "c"])]
    if kind == 3:
        path = columns[int(rng.integers(len(columns)))].rpartition("/c/")[0]
        raw = bytearray(draft.column(path)[1])
        _change_bytes(raw, rng)
        draft.fill(path, bytes(raw))
    elif kind == 4:
        path = shards[int(rng.integers(len(shards)))]

        def change(payloads: list[bytes]) -> None:
            i = int(rng.integers(len(payloads)))
            raw = bytearray(payloads[i])
            _change_bytes(raw, rng, reach=48)
            payloads[i] = bytes(raw)

        with contextlib.suppress(Exception):  # an earlier change may have left no chunks there
            draft.reshard(path, change)
    else:
        path = shards[int(rng.integers(len(shards)))]
        choice = (0, 1, 7, 100, 2**31, 2**32, 2**62, 2**63, 2**64 - 2, 2**64 - 1)
        numbers = rng.choice(len(choice), (PLACES, 2)).tolist()
        extents = [(choice[a], choice[b]) for a, b in numbers]
        with contextlib.suppress(Exception):
            draft.index(path, extents)


def _sealable(draft: Draft) -> bool:
    try:
        draft.text()
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def change_json(value: Any, rng: np.random.Generator) -> None:
    """Replace, remove or add something at any depth."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = keys[int(rng.integers(len(keys)))]
        inner = value[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.85:
            value = inner
            continue
        new = copy(VALUES[int(rng.integers(len(VALUES)))])  # sealing fills what is planted
        how = int(rng.integers(8))
        if how == 0:
            del value[key]
        elif how == 1 and isinstance(value, dict):
            value[str(new)] = value.pop(key)
        elif how == 2 and isinstance(inner, int):
            value[key] = inner + int(rng.integers(-2, 3))
        else:
            value[key] = new
        return


def _change_bytes(raw: bytearray, rng: np.random.Generator, reach: int | None = None) -> None:
    """Overwrite, cut or lengthen."""
    if not raw:
        return
    at = int(rng.integers(min(len(raw), reach or len(raw))))
    how = int(rng.integers(5))
    if how == 0:
        raw[at] ^= 1 << int(rng.integers(8))
    elif how == 1:
        raw[at : at + 4] = int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])).to_bytes(
            4, "little"
        )
    elif how == 2:
        raw[at : at + 8] = rng.bytes(8)
    elif how == 3:
        del raw[at:]
    else:
        raw += rng.bytes(int(rng.integers(1, 40)))


__all__ = ["TABLE", "check", "once"]
