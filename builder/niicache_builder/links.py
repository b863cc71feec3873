"""Links in a cache, which may lead out of it: nothing is written or removed through one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.errors import DamageError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def refuse_links(root: Path, names: Iterable[str]) -> None:
    """Refuse to go on where a name that is to be the cache's own is a link.

    Args:
        root: Folder of the cache; it may itself be reached by a link, for the user named it.
        names: Below the root.

    Raises:
        DamageError: Names every link.
    """
    links = [root / name for name in sorted(set(names)) if (root / name).is_symlink()]
    if links:
        raise DamageError([_problem(link) for link in links])


def _problem(link: Path) -> Problem:
    return Problem(
        code="link",
        path=str(link),
        got="a symbolic link",
        expected="one of the cache's own, because what is written goes where a link leads",
        hint="remove the link and run the same command again",
    )
