"""Exit codes, and how errors become them.

0  done
1  failed
2  the command was used wrongly
3  done, but some cases were skipped
4  damage was found
5  another build holds the target
143  a build was stopped by SIGTERM; other commands do not survive it
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from niicache.errors import (
    DamageError,
    DiskError,
    FormatError,
    LockedError,
    NiicacheError,
    NoMemoryError,
    OptionError,
    ProblemsError,
)
from niicache.inert import inert_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from niicache_builder.interrupts import Sigterm

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
SKIPPED: Final = 3
DAMAGED: Final = 4
LOCKED: Final = 5
TERMINATED: Final = 128 + signal.SIGTERM

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
    "4 damage found, 5 another build holds the target, 143 a build was stopped by SIGTERM."
)


def exit_code(error: NiicacheError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def guarded(
    action: Callable[[], int], *, as_json: bool, sigterm: Sigterm | None = None
) -> NoReturn:
    """Run a command and leave the process with its code; a user's mistake shows no traceback.

    Args:
        action: Does the work and returns the exit code.
        as_json: Say an error on stdout as JSON too.
        sigterm: Tells whether it was this that stopped the command.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a name that stdout has no letters for
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
        code = FAILED  # whoever read the output went away, as `head` does
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        text = f"the file system refused: {error.strerror or error}{where}"
        code = _failed(DiskError(text), as_json=as_json)
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(TERMINATED if sigterm is not None and sigterm.came else code)


def _failed(error: NiicacheError, *, as_json: bool) -> int:
    """Say an error and return its exit code."""
    click.echo(inert_lines(f"error [{error.code}]: {error}"), err=True)
    if as_json:
        with contextlib.suppress(OSError):  # stdout may be what failed
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
