"""What this process opens and starts, as Python's audit hooks tell."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = ("exec", "compile", "pickle", "marshal", "subprocess", "os.system", "os.exec", "os.fork")
WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate")
WRITES += ("os.chmod", "os.chown", "os.utime", "shutil", "tempfile", "socket")

_seen: list[tuple[str, tuple[Any, ...]]] = []
_on = False


@cache
def _install() -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _on and (event == "open" or event.startswith((*RUNS, *WRITES))):
            _seen.append((event, arguments))

    sys.addaudithook(hook)  # for good: a hook cannot be taken back


@contextlib.contextmanager
def nothing_outside(folder: Path) -> Iterator[None]:
    """Watch what is inside, which may open files below a folder, and do nothing else.

    Raises:
        AssertionError: Something was opened elsewhere, or by way of a link, or written, or run.
    """
    global _on  # noqa: PLW0603 - a hook is for the whole process
    _install()
    _seen.clear()
    _real.cache_clear()
    _on = True
    try:
        yield
    finally:
        _on = False
    top = os.fspath(folder.resolve())
    wrong = [one for one in _seen if not _is_harmless(*one, top)]
    assert not wrong, f"outside of the cache: {wrong[:5]}"


def _is_harmless(event: str, arguments: tuple[Any, ...], folder: str) -> bool:
    if event != "open":
        return False
    path, _, flags = arguments
    if isinstance(path, int):  # a descriptor that is open already
        return True
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return False
    if isinstance(path, str) and not path.startswith("/"):
        return bool(flags & os.O_NOFOLLOW) and "/" not in path and path not in {".", ".."}
    where = Path(os.fsdecode(path))
    return str(where) == folder or (
        _real(where.parent).startswith(folder) and not where.is_symlink()
    )


@cache
def _real(folder: Path) -> str:
    return str(folder.resolve())
