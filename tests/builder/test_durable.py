"""Files become durable also where the system gives no more threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from niicache_builder.durable import write_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("most", [0, 1, 3])
def test_without_threads_it_is_done_one_after_another(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, begun = threading.Thread.start, []

    def refuse(thread: threading.Thread) -> None:
        if len(begun) >= most:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    files = {tmp_path / f"{number}": bytes([number]) * 100_000 for number in range(20)}
    write_files(files, via=tmp_path)
    assert {path: path.read_bytes() for path in files} == files
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}
