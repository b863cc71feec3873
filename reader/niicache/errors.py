"""Every error that niicache raises on purpose, as one tree.

    NiicacheError                 code, message
    |-- OptionError               (also ValueError) an argument is outside what is allowed
    |-- BackendError              (also ImportError) Keras has no backend to run on
    |-- CacheError                a cache cannot be read
    |   |-- NotACacheError        nothing there, or something else
    |   |-- UncommittedError      a build was begun and never finished
    |   |-- FormatError           written by a newer niicache, or the manifest contradicts itself
    |   `-- DamageError           (also ProblemsError) bytes are not what the manifest says
    |-- ProblemsError             carries every problem found
    |   `-- SourceError           the sources have problems
    |-- NiftiError                one file cannot be read (niicache_builder.nifti_error)
    |-- ForkedError               (also RuntimeError) forked while threads prepared batches
    |-- DiskError                 too little room, or the file system refused
    |-- NoMemoryError             too little memory for a case, or for what is being done
    |-- LockedError               another build holds the target
    |-- WorkerDiedError           a worker process was killed, or could not start
    `-- InterruptedBuildError     stopped by the user; says how to go on

A code is stable across versions; scripts may match on it. A message may be reworded.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from niicache.inert import inert

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong, complete enough to act on without reading code.

    Attributes:
        code: Stable kebab-case name of the kind of problem.
        path: What it is about, as the user typed it or would type it.
        got: The fact that was found.
        expected: The fact that disagrees with it.
        hint: What to do next.
        class_name: The class concerned, or "" where none is.
        case: The case concerned, or "" where none is.
    """

    code: str
    path: str
    got: str
    expected: str
    hint: str
    class_name: str = ""
    case: str = ""

    def __str__(self) -> str:
        """Return ``path: [code] got X, expected Y; hint``."""
        text = f"{self.path}: [{self.code}] got {self.got}, expected {self.expected}; {self.hint}"
        return inert(text)

    def to_json(self) -> dict[str, str]:
        """Return the fields as a JSON object."""
        return asdict(self)


class NiicacheError(Exception):
    """Base of every error here.

    Attributes:
        code: Stable kebab-case name.
    """

    code: ClassVar[str] = "niicache"


class OptionError(NiicacheError, ValueError):
    """An argument is outside what is allowed; the message says what is."""

    code = "option"


class BackendError(NiicacheError, ImportError):
    """Keras, or a backend for it, is not installed."""

    code = "no-keras-backend"


class CacheError(NiicacheError):
    """A cache cannot be read."""

    code = "cache"


class NotACacheError(CacheError):
    """There is nothing at the path, or it is not a niicache cache."""

    code = "not-a-cache"


class UncommittedError(CacheError):
    """A build was begun here and never finished."""

    code = "uncommitted"


class FormatError(CacheError):
    """The manifest is of an unknown version or contradicts itself.

    Attributes:
        reason: What is wrong with it.
        hint: What to do next, or "".
    """

    code = "format"

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason, self.hint = reason, hint
        super().__init__(f"{reason}; {hint}" if hint else reason)


class ProblemsError(NiicacheError):
    """Something has problems; base of the errors that carry every one of them.

    Attributes:
        problems: Every problem found, at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(listing(self.problems))

    def __reduce__(self) -> tuple[type[ProblemsError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class DamageError(ProblemsError, CacheError):
    """Bytes of the cache are missing, or are not those that the manifest promises."""

    code = "damage"


class SourceError(ProblemsError):
    """The sources have problems."""

    code = "source"


class ForkedError(NiicacheError, RuntimeError):
    """The process was forked while threads of the parent prepared batches."""

    code = "forked"


class DamageWarning(UserWarning):
    """Damaged cases are replaced by others, as ``on_damage="skip"`` asks for."""


class LeakWarning(UserWarning):
    """The same image is learned from and evaluated on."""


class DiskError(NiicacheError):
    """Too little room for what is planned, or the file system refused a write."""

    code = "disk"


class NoMemoryError(NiicacheError):
    """A case takes more memory than there is, or memory ran out."""

    code = "memory"


class LockedError(NiicacheError):
    """Another build holds the target."""

    code = "locked"


class WorkerDiedError(NiicacheError):
    """A worker process was killed from outside, for want of memory most often, or never started."""

    code = "worker-died"


class InterruptedBuildError(NiicacheError):
    """The user stopped a build; what is finished is kept and the same command goes on."""

    code = "interrupted"


def listing(problems: Sequence[Problem]) -> str:
    """Return one line a problem, under a line that counts them."""
    count = f"{len(problems)} problem" + ("" if len(problems) == 1 else "s")
    return "\n".join([count, *(f"  {problem}" for problem in problems)])
