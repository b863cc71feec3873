"""What is odd about a file and does not keep it out of the cache."""

from __future__ import annotations

from dataclasses import dataclass

from niicache.errors import Problem


@dataclass(frozen=True, slots=True, order=True)
class Oddity:
    """Something to know about a file that is taken all the same.

    Attributes:
        code: Stable kebab-case name of what is odd.
        got: The fact that was found.
        expected: The fact that disagrees with it.
        hint: What is made of it, or what to do.
    """

    code: str
    got: str
    expected: str
    hint: str

    def __str__(self) -> str:
        """Return ``got X, expected Y; hint``."""
        return f"got {self.got}, expected {self.expected}; {self.hint}"

    def warning(self, path: str, class_name: str, case: str) -> Problem:
        """Return this as a warning about the file at ``path`` (as the user would type it)."""
        return Problem(
            code=self.code,
            path=path,
            got=self.got,
            expected=self.expected,
            hint=self.hint,
            class_name=class_name,
            case=case,
        )
