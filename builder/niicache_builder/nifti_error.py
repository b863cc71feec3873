"""The error for a file that is no sound NIfTI image."""

from __future__ import annotations

from niicache.errors import NiicacheError, Problem


class NiftiError(NiicacheError):
    """A file is not a NIfTI image that can be trusted.

    Attributes:
        kind: Stable kebab-case name of what is wrong.
        got: The fact that was found.
        expected: The fact that disagrees with it.
        hint: What to do next.
    """

    code = "nifti"

    def __init__(self, kind: str, got: str, expected: str, hint: str) -> None:
        self.kind, self.got, self.expected, self.hint = kind, got, expected, hint
        super().__init__(f"[{kind}] got {got}, expected {expected}; {hint}")

    def __reduce__(self) -> tuple[type[NiftiError], tuple[str, str, str, str]]:
        return type(self), (self.kind, self.got, self.expected, self.hint)

    def problem(self, path: str, class_name: str = "", case: str = "") -> Problem:
        """Return this as a problem of the file at ``path`` (as the user would type it)."""
        return Problem(
            code=self.kind,
            path=path,
            got=self.got,
            expected=self.expected,
            hint=self.hint,
            class_name=class_name,
            case=case,
        )


def truncated(got: str, expected: str) -> NiftiError:
    """Return the error for a file that ends too early."""
    return NiftiError("truncated", got, expected, "copy the file again from where it came from")


def too_long(got: str, expected: str) -> NiftiError:
    """Return the error for bytes after the last voxel.

    None is let through, not even a zero: a header that lost a slice, or a vector that lost its last
    entry, looks the same as harmless padding.
    """
    hint = "its dim or datatype does not fit its voxels, or something was appended; write it again"
    return NiftiError("too-long", got, expected, hint)


def too_large(got: str, expected: str) -> NiftiError:
    """Return the error for voxels that no memory of this machine holds."""
    hint = "use a machine with more memory, or check the header's dim"
    return NiftiError("too-large", got, expected, hint)


def changed(now: tuple[int, int], before: tuple[int, int]) -> NiftiError:
    """Return the error for a file that was written to since it was looked at.

    Args:
        now: Bytes and modification time in ns.
        before: The same, earlier.
    """
    return NiftiError(
        "changed",
        f"{now[0]:,} bytes, modified at {now[1]} ns",
        f"{before[0]:,} bytes, modified at {before[1]} ns, as a moment ago",
        "run the build again when nothing writes to the source",
    )
