"""Text from outside (names, paths) as it may stand on a terminal or in a spreadsheet. Pure."""

from __future__ import annotations

import re

# Control characters, separators of lines, marks that turn the direction of text, half letters.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def inert(text: str) -> str:
    """Return a text on one line whose every character stands for itself and for nothing else."""
    return _ACTIVE.sub(_escaped, text)


def inert_lines(text: str) -> str:
    """Return a text as :func:`inert` does, but for its line ends."""
    return "\n".join(map(inert, text.split("\n")))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"  # noqa: PLR2004 - what two digits hold
