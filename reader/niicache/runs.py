"""The record of a run on disk: one small file, replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from niicache.errors import OptionError
from niicache.position import Record, record_from_json

RECORD = "niicache-resume.json"


def open_run(run: str | Path) -> Path:
    """Return the folder of a run, made if there is none.

    Raises:
        OptionError: There is something else, or the folder cannot be made.
    """
    folder = Path(run).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"run: got {str(run)!r}, expected a folder to keep the run's record in: "
            f"{error.strerror}; name another"
        ) from error
    return folder


def read_record(folder: Path) -> Record | None:
    """Return the record of a run, or None where none was begun.

    Raises:
        OptionError: The file is not what :func:`write_record` writes.
    """
    path = folder / RECORD
    try:
        return record_from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OptionError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OptionError(
            f"{path}: got something else, or a part of it, expected the record of a run as this "
            "version of niicache writes it; delete the file to begin the run anew"
        ) from error


def write_record(folder: Path, record: Record) -> None:
    """Replace the record of a run. Whoever is killed in here leaves the old one or the new one.

    Raises:
        OptionError: The file system refused.
    """
    path = folder / RECORD
    spare = path.with_name(f".{RECORD}.{os.getpid()}")
    try:
        # A BackupAndRestore that is given the same folder deletes it at the end of fit.
        folder.mkdir(parents=True, exist_ok=True)
        with spare.open("wb") as file:
            file.write(json.dumps(record.to_json(), indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        spare.replace(path)
        _sync(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            spare.unlink(missing_ok=True)
        raise OptionError(
            f"{path}: cannot be written: {error.strerror}; make room, or name another folder"
        ) from error


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
