"""skipped.csv: the cases that a cache does not hold, and why."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.format.manifest import SkippedCase

COLUMNS = ("class_name", "case", "path", "code", "got", "expected")


def skipped_csv(skipped: Iterable[SkippedCase]) -> bytes:
    """Return the table as UTF-8 CSV with a header line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("class", *COLUMNS[1:]))
    writer.writerows([getattr(entry, column) for column in COLUMNS] for entry in skipped)
    return text.getvalue().encode()
