"""The committed cache at the target, as the starting point of a build."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.cache import Cache, open_cache
from niicache.errors import CacheError, DamageError, DiskError, NotACacheError, UncommittedError
from niicache.files import retired
from niicache.format.facts import CaseFacts
from niicache.format.names import CACHEDIR_SIGNATURE, CACHEDIR_TAG, LOCK, ROOT, WORK, shard_path
from niicache_builder.lock import begun
from niicache_builder.nifti import NiftiError, hash_files
from niicache_builder.plan import Previous
from niicache_builder.record import as_fact
from niicache_builder.resume import is_file_of
from niicache_builder.work import layouts_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from niicache.view import ClassView
    from niicache_builder.cases import Layout
    from niicache_builder.scan import CaseScan

SHOWN_CASES = 3

NO_FILE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO}
)
"""What is said of a file that is not there, or of something else in its place: that stays."""


def open_target(target: Path) -> Cache | None:
    """Return the committed cache at the target, None where there is none yet.

    Raises:
        NotACacheError: Something else is there, or what is there cannot be read.
        CacheError: A cache is there but its manifest cannot be read.
    """
    try:
        return open_cache(target)
    except UncommittedError:
        if begun(target):
            return None
    except NotACacheError as error:
        if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise  # it is there and the file system refused, which says nothing of what it is
        if not target.exists():
            return None
    ours = {LOCK, WORK}
    if target.is_dir() and all(entry.name in ours for entry in target.iterdir()):
        return None
    if _was_cache(target):
        raise NotACacheError(
            f"{target}: got a cache whose {ROOT} is gone, expected a whole one; put it back, "
            "or delete the folder and run the same command again. Nothing here was touched"
        )
    what = "a folder that holds other things" if target.is_dir() else "a file"
    raise NotACacheError(
        f"{target}: got {what}, expected a cache, an empty folder or a new name; "
        "give another target, nothing here was touched"
    )


def _was_cache(target: Path) -> bool:
    try:
        return (target / CACHEDIR_TAG).read_text(encoding="utf-8") == CACHEDIR_SIGNATURE
    except (OSError, ValueError):
        return False


def read_previous(cache: Cache) -> Previous:
    """Return what the builder needs of a committed cache.

    A class whose columns or checksums are damaged counts as one without any case.

    Raises:
        DiskError: The file system refused to read some, which does not say that they are damaged.
    """
    slots = {}
    for view in cache:
        try:
            slots[view.name] = _slots(view, cache)
            for array in layouts_of(cache.manifest.recipe):
                view.crcs(array)
            if cache.manifest.recipe.spots is not None:
                view.spots()
        except CacheError as error:
            _check_refused(cache, error)
            # Its shards will be written again, which mends the class.
            slots[view.name] = ()
    return Previous(
        recipe_digest=cache.manifest.recipe.digest,
        slots=slots,
        skipped=cache.manifest.skipped,
        columns=cache.manifest.columns,
    )


def _check_refused(cache: Cache, error: CacheError) -> None:
    """Tell damage from a disk, or a process, that cannot read at the moment."""
    cause = error.__cause__
    if isinstance(error, DamageError) and isinstance(cause, OSError) and cause.errno not in NO_FILE:
        raise DiskError(
            f"{cache.path}: the file system refused: {cause.strerror} ({error.problems[0].path}); "
            "nothing was written, mend it and run the same command again, or let `niicache repair` "
            "write the file again"
        ) from error


def check_same_source(cache: Cache, previous: Previous, layout: Layout) -> None:
    """Refuse to put another cache in the place of one that it has nothing to do with.

    Args:
        cache: The committed cache.
        previous: What is known of it.
        layout: The source.

    Raises:
        CacheError: Not one case of the cache is in the source.
    """
    held = {
        (name, facts.name) for name, slots in previous.slots.items() for facts in slots if facts
    }
    if len(held) < sum(entry.cases for entry in cache.manifest.classes):
        return  # the names of some cases are damaged
    held |= {(entry.class_name, entry.case) for entry in previous.skipped}
    now = {(case.class_name, case.name) for case in layout.cases}
    if now and held.isdisjoint(now):
        raise CacheError(
            f"{cache.path}: got a cache of other cases ({_some(held)}), expected one with some "
            f"case of the source ({_some(now)}); give another target, or delete this cache if it "
            "shall go. Nothing was written"
        )


def _some(cases: Iterable[tuple[str, str]]) -> str:
    """Return a few cases, for a message."""
    names = sorted("/".join(case) for case in cases)
    more = f" and {len(names) - SHOWN_CASES:,} more" if len(names) > SHOWN_CASES else ""
    return f"{', '.join(names[:SHOWN_CASES])}{more}"


def _slots(view: ClassView, cache: Cache) -> tuple[CaseFacts | None, ...]:
    columns = {name: view.column(name).tolist() for name in cache.columns}
    slots: list[CaseFacts | None] = [None] * cache.manifest.classes[view.number].slots
    for i, row in enumerate(view.rows.tolist()):
        slots[row] = CaseFacts(
            **{name: as_fact(name, values[i]) for name, values in columns.items()}
        )
    return tuple(slots)


def unchanged_cases(
    cases: tuple[CaseScan, ...], previous: Previous, cache: Cache, root: Path
) -> frozenset[tuple[str, str]]:
    """Return (class, case) of those that the cache holds as their sources are now.

    Size and modification time decide, as for make; a file that was only touched, or that has
    another path now, is hashed. A case whose shard
    is gone or has another length does not count.

    Args:
        cases: The source.
        previous: Facts of the committed cache.
        cache: The same cache.
        root: What the paths of the source are relative to.
    """
    size = cache.manifest.recipe.image.shard_cases
    known: dict[tuple[str, str], CaseFacts] = {}
    for name, slots in previous.slots.items():
        for index in range(-(-len(slots) // size)):
            if _shard_present(cache, name, index):
                held = filter(None, slots[index * size : (index + 1) * size])
                known |= {(name, facts.name): facts for facts in held}
    return frozenset(
        case.identity
        for case in cases
        if case.identity in known and _same(case, known[case.identity], root)
    )


def _shard_present(cache: Cache, class_name: str, index: int) -> bool:
    for array, layout in layouts_of(cache.manifest.recipe).items():
        path = shard_path(class_name, array, index, len(layout.chunk))
        try:
            size = (cache.path / path).stat().st_size
        except OSError:
            return False
        entry = cache.manifest.files[path]
        if size != entry.size:
            return False
        # A retired copy means that a commit was interrupted: another generation's shard may be
        # here, and have the same size.
        if retired(cache.path, entry).exists() and not is_file_of(cache.path / path, entry):
            return False
    return True


def _same(case: CaseScan, facts: CaseFacts, root: Path) -> bool:
    if len(case.images) != len(facts.image):
        return False
    moved = (case.files.images, case.files.label or "") != (facts.image, facts.label)
    held = (facts.image_size, facts.image_mtime_ns)
    pairs = list(zip(case.files.images, case.images, *held, strict=True))
    hashes = [*facts.image_hash]
    if facts.label:
        if case.label is None or case.files.label is None:
            return False
        pairs.append((case.files.label, case.label, facts.label_size, facts.label_mtime_ns))
        hashes.append(facts.label_hash)
    for (path, header, size, mtime_ns), digest in zip(pairs, hashes, strict=True):
        if header.size != size:
            return False
        if moved or header.mtime_ns != mtime_ns:
            try:
                if hash_files(root / path) != digest:
                    return False
            except NiftiError:
                return False
    return True


def refreshed(facts: CaseFacts, case: CaseScan) -> CaseFacts:
    """Return facts of an unchanged case with what may change without its voxels."""
    label = case.label if facts.label else None
    return replace(
        facts,
        group=case.files.group,
        image=case.files.images,
        image_mtime_ns=tuple(header.mtime_ns for header in case.images),
        label=(case.files.label or "") if label else "",
        label_mtime_ns=label.mtime_ns if label else 0,
        # Caches of before have no codes; the headers are read by every scan.
        sform_code=case.image.sform_code,
        qform_code=case.image.qform_code,
    )
