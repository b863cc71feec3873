"""skipped.csv: the cases that a cache does not hold, and why."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from niicache.inert import inert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.format.manifest import SkippedCase

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a formula may begin with (owasp.org, CSV Injection)."""

COLUMNS = ("class_name", "case", "path", "code", "got", "expected")


def skipped_csv(skipped: Iterable[SkippedCase]) -> bytes:
    """Return the table as UTF-8 CSV with a header line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("class", *COLUMNS[1:]))
    writer.writerows([_cell(getattr(entry, column)) for column in COLUMNS] for entry in skipped)
    return text.getvalue().encode()


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{inert(text)}" if text.startswith(FORMULA) else inert(text)
