"""What a user may say about a build, checked as soon as it is said."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from niicache.errors import OptionError
from niicache.format.codec import Blosc
from niicache.format.manifest import SplitRule
from niicache.format.members import is_length
from niicache.format.names import Crop, Interpolation, LabelKind, PadMode
from niicache.format.orientation import is_orientation
from niicache.splits import share_problem
from niicache_builder.choices import DTYPES, CodecName, Labels, OnDuplicates, OnError

if TYPE_CHECKING:
    from collections.abc import Mapping

CODECS: Final[dict[CodecName, Blosc | None]] = {
    "fast": Blosc(cname="lz4", clevel=5, shuffle="shuffle"),
    "balanced": Blosc(cname="lz4hc", clevel=5, shuffle="shuffle"),
    "small": Blosc(cname="zstd", clevel=5, shuffle="shuffle"),
    "none": None,
}
"""``fast`` builds fastest, ``balanced`` reads fastest after ``none``, ``small`` is smallest.

``balanced`` is ``fast`` where cases are large: see :mod:`niicache_builder.codecs`. Beyond level 5
zstd gets less than 1 % smaller and encodes half as fast.
"""

SIZES: Final = "positive whole numbers"
LENGTHS: Final = "lengths above 0 in mm"
ORIENTATION: Final = "one of L and R, one of P and A, one of I and S, in any order, such as RAS"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of a build.

    Attributes:
        shape: Padded spatial shape in voxels; the largest case if None.
        spatial_dims: 2 or 3; guessed from the shapes if None.
        dtype: Of the images; ``auto`` keeps what is stored where nothing is lost.
        codec: A preset of :data:`CODECS`.
        chunk: Cases in a chunk, alone or followed by spatial extents; planned if None.
        patch: Spatial shape of the patches that will be read, in voxels: chunks are planned for
            them, and coordinates of the foreground of masks are kept.
        orient: Where the axes of every image and mask are made to point, such as RAS: to the right,
            the front and the top. Axes are swapped and reversed, nothing is interpolated.
        spacing: Edge lengths in mm that voxels are resampled to, one number a spatial axis as it is
            after ``orient``.
        interpolation: Of images; masks take the nearest voxel.
        crop: ``foreground`` keeps the box of the voxels that are not 0 in some channel.
        labels: What the labels are; ``auto`` finds out from the files.
        pad_value: Value of constant padding around images. Around masks it is 0.
        pad_mode: A mode of ``numpy.pad``, for images and masks.
        split: Name to share of each split, such as train to 0.8 and val to 0.2; none if None.
        split_seed: Another one splits in another way.
        group_by: Regular expression with one group, sought in the path of a case's image: what it
            catches stays together in a split. Cases that a table gives a group keep that.
        on_duplicates: Where the same image lies in two splits or two classes, ``stop`` before
            anything is committed, or ``warn``.
        workers: Processes; 0 works in this one; the CPUs of this process if None.
        on_error: ``stop`` before anything is committed, or ``skip`` the cases with problems.

    Raises:
        OptionError: Something is not allowed; names everything that is not.
    """

    shape: tuple[int, ...] | None = None
    spatial_dims: int | None = None
    dtype: str = "auto"
    codec: CodecName = "balanced"
    chunk: tuple[int, ...] | None = None
    patch: tuple[int, ...] | None = None
    orient: str | None = None
    spacing: tuple[float, ...] | None = None
    interpolation: Interpolation = "linear"
    crop: Crop | None = None
    labels: Labels = "auto"
    pad_value: float = 0
    pad_mode: PadMode = "constant"
    split: Mapping[str, float] | None = None
    split_seed: str = ""
    group_by: str | None = None
    on_duplicates: OnDuplicates = "stop"
    workers: int | None = None
    on_error: OnError = "stop"

    def __post_init__(self) -> None:
        wrong = [
            f"{name}: got {getattr(self, name)!r}, expected {expected}"
            for name, expected, right in self._rules()
            if not right
        ]
        if wrong:
            raise OptionError("\n".join(wrong))
        for name in ("shape", "chunk", "patch"):
            sizes = getattr(self, name)
            if sizes is not None:
                # Plain numbers, because the recipe is written as JSON and numpy's are none.
                object.__setattr__(self, name, tuple(map(int, sizes)))
        if self.spacing is not None:
            object.__setattr__(self, "spacing", tuple(map(float, self.spacing)))

    @property
    def split_rule(self) -> SplitRule | None:
        """How cases are split, as the manifest has it."""
        if self.split is None:
            return None
        shares = tuple((name, float(share)) for name, share in self.split.items())
        return SplitRule(shares=shares, seed=self.split_seed)

    def _rules(self) -> list[tuple[str, str, bool]]:
        """Return the name of an option, what is expected of it, and whether it is so."""

        def one_of(name: str, allowed: tuple[str, ...]) -> tuple[str, str, bool]:
            return name, f"one of {', '.join(allowed)}", getattr(self, name) in allowed

        shape, chunk, patch, spacing = self.shape, self.chunk, self.patch, self.spacing
        dims = (self.spatial_dims,) if self.spatial_dims in {2, 3} else (2, 3)
        axes = f"{' or '.join(map(str, dims))} numbers, one a spatial axis"
        blocks = "one number (cases), or cases and every spatial axis; with spatial axes, 1 case"
        makes = f"no value beside pad_mode {self.pad_mode!r}, which makes its own"
        return [
            ("shape", SIZES, shape is None or _positive(shape)),
            ("shape", axes, shape is None or len(shape) in dims),
            (
                "spatial_dims",
                "2 (channels are the third axis) or 3",
                self.spatial_dims in {None, 2, 3},
            ),
            one_of("dtype", ("auto", *DTYPES)),
            one_of("codec", tuple(CODECS)),
            ("chunk", SIZES, chunk is None or _positive(chunk)),
            (
                "chunk",
                blocks,
                not chunk or len(chunk) == 1 or (chunk[0] == 1 and len(chunk) - 1 in dims),
            ),
            ("patch", SIZES, patch is None or _positive(patch)),
            ("patch", axes, patch is None or len(patch) in dims),
            ("orient", ORIENTATION, self.orient is None or is_orientation(self.orient)),
            ("spacing", LENGTHS, spacing is None or _lengths(spacing)),
            ("spacing", axes, spacing is None or len(spacing) in dims),
            one_of("interpolation", get_args(Interpolation)),
            ("interpolation", "no value without spacing", self._interpolates()),
            ("crop", "foreground", self.crop is None or self.crop in get_args(Crop)),
            one_of("labels", ("auto", *get_args(LabelKind))),
            ("pad_value", "a finite number", math.isfinite(self.pad_value)),
            ("pad_value", makes, not self.pad_value or self.pad_mode == "constant"),
            one_of("pad_mode", get_args(PadMode)),
            ("workers", "0 (this process) or more", self.workers is None or self.workers >= 0),
            one_of("on_error", get_args(OnError)),
            ("split", *_split_rule(self.split)),
            ("split_seed", "a seed for split, which is not given", self._seed_is_used()),
            ("group_by", "a regular expression with one group, sub-(\\w+)", _groups(self.group_by)),
            one_of("on_duplicates", get_args(OnDuplicates)),
        ]

    def _interpolates(self) -> bool:
        return self.interpolation == "linear" or self.spacing is not None

    def _seed_is_used(self) -> bool:
        return not self.split_seed or self.split is not None


def _split_rule(split: Mapping[str, float] | None) -> tuple[str, bool]:
    problem = None if split is None else share_problem(split)
    return problem or "", problem is None


def _groups(pattern: str | None) -> bool:
    try:
        return pattern is None or re.compile(pattern).groups == 1
    except re.error:
        return False


def _positive(values: tuple[int, ...]) -> bool:
    return bool(values) and all(isinstance(n, int | np.integer) and n > 0 for n in values)


def _lengths(values: tuple[float, ...]) -> bool:
    numbers = (int, float, np.integer, np.floating)
    return bool(values) and all(
        isinstance(value, numbers) and not isinstance(value, bool) and is_length(float(value))
        for value in values
    )


def default_workers() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
