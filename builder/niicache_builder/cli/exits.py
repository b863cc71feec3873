"""Exit codes, and how errors become them.

0  done
1  failed
2  the command was used wrongly
3  done, but some cases were skipped
4  damage was found
5  another build holds the target
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from niicache.errors import (
    DamageError,
    FormatError,
    LockedError,
    NiicacheError,
    NoMemoryError,
    OptionError,
    ProblemsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
SKIPPED: Final = 3
DAMAGED: Final = 4
LOCKED: Final = 5

ERROR_SCHEMA: Final = "niicache.error/1"

_CODES: Final[tuple[tuple[type[NiicacheError], int], ...]] = (
    (OptionError, USAGE),
    (DamageError, DAMAGED),
    (FormatError, DAMAGED),
    (LockedError, LOCKED),
)

ROOM: Final = "run the same command again where there is more of it, or with fewer workers"

HELP: Final = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some cases were skipped, "
    "4 damage found, 5 another build holds the target."
)


def exit_code(error: NiicacheError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def guarded(action: Callable[[], int], *, as_json: bool) -> NoReturn:
    """Run a command and leave the process with its code; a user's mistake shows no traceback.

    Args:
        action: Does the work and returns the exit code.
        as_json: Say an error on stdout as JSON too.
    """
    try:
        code = action()
        sys.stdout.flush()
    except NiicacheError as error:
        code = _failed(error, as_json=as_json)
    except MemoryError as error:
        code = _failed(NoMemoryError(f"memory ran out: {error}; {ROOM}"), as_json=as_json)
    except KeyboardInterrupt:
        click.echo("stopped; run the same command to go on", err=True)
        code = FAILED
    except BrokenPipeError:
        # Whoever read the output went away, as `head` does. Python would try once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    raise SystemExit(code)


def _failed(error: NiicacheError, *, as_json: bool) -> int:
    """Say an error and return its exit code."""
    click.echo(f"error [{error.code}]: {error}", err=True)
    if as_json:
        click.echo(json.dumps(error_json(error), indent=1))
    return exit_code(error)


def error_json(error: NiicacheError) -> dict[str, object]:
    """Return an error as a JSON object."""
    problems = error.problems if isinstance(error, ProblemsError) else ()
    return {
        "schema": ERROR_SCHEMA,
        "code": error.code,
        "message": str(error),
        "problems": [problem.to_json() for problem in problems],
    }
