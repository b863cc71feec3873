"""What the voxels of cases make one doubt, as far as their columns tell. Pure.

The columns of a case that is not read again are those of the cache, so a rebuild warns of it as the
first build did; only why a label has no counts is not told a second time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from niicache.format.geometry import Box
from niicache_builder.oddity import Oddity
from niicache_builder.statistics import MAX_LABEL_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from niicache.errors import Problem
    from niicache.format.facts import CaseFacts
    from niicache.format.names import LabelKind
    from niicache_builder.record import CaseRecord

SHOWN_VALUES = 4


def voxel_warnings(
    records: Mapping[str, Iterable[CaseRecord]], *, root: Path, label_kind: LabelKind
) -> tuple[Problem, ...]:
    """Return a warning for everything that is odd about the voxels of cases, sorted.

    Args:
        records: Class to its cases.
        root: What the paths of their sources are relative to.
        label_kind: What the labels are.

    Returns:
        Codes ``image-nonfinite``, ``image-constant``, ``label-nonfinite``, ``mask-values``,
        ``mask-empty`` and ``mask-cut``.
    """
    found: list[Problem] = []
    for name, members in records.items():
        for record in members:
            facts = record.facts
            found += [
                odd.warning(str(root / facts.image[0]), name, facts.name) for odd in _image(facts)
            ]
            if label_kind != "folder":
                path = str(root / facts.label)
                odd_label = _label(record, label_kind)
                found += [odd.warning(path, name, facts.name) for odd in odd_label]
    return tuple(sorted(found))


def _image(facts: CaseFacts) -> Iterator[Oddity]:
    count = math.prod(Box(facts.box_start, facts.box_stop).shape)
    total, bad = count * len(facts.nonfinite), sum(facts.nonfinite)
    if bad:
        got = f"{bad:,} of {total:,} voxels NaN or infinite"
        hint = "kept as they are; a loss becomes NaN of one of them, so see to them in a transform"
        yield Oddity("image-nonfinite", got, "finite voxels", hint)
    elif facts.minimum == facts.maximum and count > 1:
        got = f"{facts.minimum[0]:g} in every voxel"
        hint = "see whether the export failed, or leave it out"
        yield Oddity("image-constant", got, "an image of something", hint)


def _label(record: CaseRecord, kind: LabelKind) -> Iterator[Oddity]:
    if record.label_nonfinite:
        got = f"{record.label_nonfinite:,} values NaN or infinite"
        hint = "kept as they are; mend the label, a loss becomes NaN of it"
        yield Oddity("label-nonfinite", got, "finite values", hint)
    if record.label_cut:
        got = f"{record.label_cut:,} labelled voxels cropped away"
        hint = "the image is 0 there and all around; see whether mask and image belong together"
        yield Oddity("mask-cut", got, "labels within the foreground of the image", hint)
    if kind == "mask" and record.counts is not None:
        yield from _mask(record.counts)
    elif kind == "mask" and record.many_values:
        got = f"more than {MAX_LABEL_VALUES} values"
        hint = "kept as they are, and not counted; see whether this is the mask"
        yield Oddity("mask-values", got, "a few whole numbers of at least 0", hint)


def _mask(counts: Mapping[float, int]) -> Iterator[Oddity]:
    odd = sorted(value for value in counts if value < 0 or not value.is_integer())
    if odd:
        shown = ", ".join(f"{value:g}" for value in odd[:SHOWN_VALUES])
        got = shown + (f" and {len(odd) - SHOWN_VALUES:,} more" * (len(odd) > SHOWN_VALUES))
        hint = "kept as they are; draw the mask again if it was resampled or scaled"
        yield Oddity("mask-values", got, "whole numbers of at least 0", hint)
    if not any(counts.keys()):
        hint = "fine where there is nothing to see; else draw it"
        yield Oddity("mask-empty", "a mask of nothing but 0", "something marked", hint)
