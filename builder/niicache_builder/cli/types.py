"""Kinds of options that click does not have."""

from __future__ import annotations

import re

import click

_EXAMPLES = {
    "shape": "64,64 or 128,128,64",
    "chunk": "32 or 1,64,64,64",
    "patch": "64,64 or 128,128,128",
}


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


def lengths(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """Return numbers with commas or an x between, ``1,1,2.5``; a click callback.

    Raises:
        click.BadParameter: The text is something else.
    """
    if value is None:
        return None
    try:
        return tuple(map(float, re.split(r"[,x]", value)))
    except ValueError:
        raise click.BadParameter(
            f"got {value!r}, expected lengths in mm such as 1,1,1 or 0.8,0.8,3", context, option
        ) from None


def subset(context: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int]:
    """Return ``3/10`` as (3, 10), and (1, 1) for nothing; a click callback.

    Raises:
        click.BadParameter: The text is something else.
    """
    if value is None:
        return 1, 1
    found = re.fullmatch(r"(\d+)/(\d+)", value)
    numbers = (0, 0) if found is None else (int(found[1]), int(found[2]))
    if not 1 <= numbers[0] <= numbers[1]:
        raise click.BadParameter(
            f"got {value!r}, expected k/n with k from 1 to n, such as 1/10", context, option
        )
    return numbers


def shares(
    context: click.Context, option: click.Parameter, value: str | None
) -> dict[str, float] | None:
    """Return names and shares, ``train=0.8,val=0.2``; a click callback.

    Raises:
        click.BadParameter: The text is something else.
    """
    if value is None:
        return None
    from niicache.splits import share_problem

    found: dict[str, float] = {}
    for part in value.split(","):
        name, _, share = (text.strip() for text in part.partition("="))
        if name in found:
            raise click.BadParameter(
                f"got {name!r} twice in {value!r}, expected every name once", context, option
            )
        try:
            found[name] = float(share)
        except ValueError:
            found[name] = 0.0
    problem = share_problem(found)
    if problem is not None:
        raise click.BadParameter(f"got {value!r}, expected {problem}", context, option)
    return found
