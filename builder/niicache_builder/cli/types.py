"""Kinds of options that click does not have."""

from __future__ import annotations

import re

import click

_EXAMPLES = {"shape": "64,64 or 128,128,64", "chunk": "32 or 1,64,64,64"}


def sizes(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Return whole numbers with commas or an x between, ``64,64`` or ``64x64``; a click callback.

    Raises:
        click.BadParameter: The text is something else.
    """
    if value is None:
        return None
    parts = [part.strip() for part in re.split(r"[,x]", value)]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(
            f"got {value!r}, expected whole numbers such as {_EXAMPLES[str(option.name)]}",
            context,
            option,
        )
    return tuple(map(int, parts))
