"""A folder that somebody prepared for a build to go wrong in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from building import build0, folders

from niicache_builder.commit import placed

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_said_to_wait_outside_of_the_cache_stays(tmp_path: Path) -> None:
    source, cache = folders(tmp_path / "s", {"a": 2}), tmp_path / "c"
    build0(source, cache)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (cache / ".build").mkdir()
    paths = ["../precious", str(precious), "a/../../precious", "", "a//b", "x\0y", 7, None, "mine"]
    (cache / ".build" / "placed.json").write_text(json.dumps(paths))
    assert placed(cache) == {"mine"}
    folders(tmp_path / "s", {"a": 3})
    build0(source, cache)
    assert precious.read_text() == "mine"
    for text in ("7", "[" * 10_000, '{"a": 1}', "\xff"):
        (cache / ".build").mkdir(exist_ok=True)
        (cache / ".build" / "placed.json").write_text(text)
        assert placed(cache) == frozenset()
