"""Slices of a real brain as three class folders: axial, coronal, sagittal.

The volumes are the MNI152 T1 template with its grey and white matter maps (ICBM 2009a, 1 mm,
brain-extracted), as nilearn's wheel carries them. One brain is all there is, so two things keep
validation apart from training:

- Neighbouring slices are nearly equal. Slices therefore go by blocks along the plane's normal: 8
  for training, a gap of 2 that nobody sees, 4 for validation, a gap of 2, and so on. A validation
  slice is never nearer than 3 mm to a training slice.
- The left and right hemispheres mirror each other, so a sagittal slice on the right would have its
  twin on the left. Sagittal slices come from the left hemisphere alone. That also makes the classes
  unequal, as real ones are.

The background of the template is 0, as is padding, so the padded border is nothing to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import nibabel
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]
Part = Literal["train", "val"]

BLOCK: tuple[Part | None, ...] = (
    *("train",) * 8,
    *(None,) * 2,
    *("val",) * 4,
    *(None,) * 2,
)
LEAST_TISSUE = 0.1  # share of a slice that is brain; below it there is no plane to tell

# The volume's axes as they lie in a slice, (first, second, normal). The volumes are RAS: x runs to
# the right, y to the front, z up.
PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
BACKGROUND, GREY, WHITE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A volume and its tissue mask, on one grid.

    Attributes:
        image: int16 ``(x, y, z)``, intensities 0 to 255.
        mask: uint8 ``(x, y, z)``: 0 background, 1 grey matter, 2 white matter.
        affine: Voxel to world, 4x4, mm.
    """

    image: Array
    mask: Array
    affine: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One 2D case.

    Attributes:
        plane: The class: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        index: Where it lies along the plane's normal, in voxels of the head.
        part: ``"train"`` or ``"val"``.
        image: int16, 2D.
        mask: uint8, 2D, same shape.
        affine: Voxel ``(i, j, 0)`` of the slice to world, 4x4, mm; its third column is the normal.
    """

    plane: str
    index: int
    part: Part
    image: Array
    mask: Array
    affine: Array


def load_head() -> Head:
    """Read the MNI152 volumes from nilearn's wheel and cut them to the brain.

    Raises:
        ModuleNotFoundError: If nilearn is not installed.
        FileNotFoundError: If this nilearn no longer carries the volumes.
    """
    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("nilearn is not installed; its wheel carries the MNI152 volumes")
    folder = Path(spec.origin).parent / "datasets" / "data"
    t1, grey, white = (
        nibabel.load(folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")
        for kind in ("t1", "gm", "wm")
    )
    head = Head(
        image=np.asanyarray(t1.dataobj).astype(np.int16),
        mask=tissue(np.asanyarray(grey.dataobj), np.asanyarray(white.dataobj)),
        affine=t1.affine,
    )
    return cut_to_brain(head)


def tissue(grey: Array, white: Array) -> Array:
    """Return the likeliest tissue of each voxel.

    Args:
        grey: uint8, 255 times the probability of grey matter.
        white: The same for white matter.

    Returns:
        uint8: 0 background, 1 grey, 2 white.
    """
    odds = np.empty((3, *grey.shape), np.int16)
    odds[GREY], odds[WHITE] = grey, white
    odds[BACKGROUND] = 255 - odds[GREY] - odds[WHITE]
    likeliest: Array = odds.argmax(axis=0)
    return likeliest.astype(np.uint8)


def cut_to_brain(head: Head) -> Head:
    """Return the smallest box that holds every voxel above zero, its affine moved along."""
    occupied = np.nonzero(head.image)
    first = np.array([axis.min() for axis in occupied])
    box = tuple(slice(axis.min(), axis.max() + 1) for axis in occupied)
    affine = head.affine.copy()
    affine[:3, 3] += head.affine[:3, :3] @ first
    return Head(image=head.image[box], mask=head.mask[box], affine=affine)


def slices(head: Head) -> Iterator[Slice]:
    """Yield every slice that is used, plane by plane, each at its place in the world."""
    for plane, axes in PLANES.items():
        first, second, normal = axes
        for index in range(head.image.shape[normal]):
            place = np.zeros(4)
            place[normal], place[3] = index, 1
            affine = head.affine[:, [first, second, normal, 3]]
            affine[:, 3] = head.affine @ place
            image = head.image.take(index, axis=normal)
            part = BLOCK[index % len(BLOCK)]
            right = plane == "sagittal" and affine[0, 3] > 0  # world x, mm; 0 is the midline
            if part is None or right or np.count_nonzero(image) < LEAST_TISSUE * image.size:
                continue
            mask = head.mask.take(index, axis=normal)
            yield Slice(plane=plane, index=index, part=part, image=image, mask=mask, affine=affine)


def write_slices(head: Head, root: Path) -> None:
    """Write ``root/<part>/<class>/images`` and ``.../labels`` as 2D .nii.gz, spacing in mm."""
    for cut in slices(head):
        folder = root / cut.part / cut.plane
        for kind, voxels in (("images", cut.image), ("labels", cut.mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            file = nibabel.Nifti1Image(voxels, cut.affine)
            file.header.set_xyzt_units("mm")
            nibabel.save(file, folder / kind / f"{cut.plane}_{cut.index:03}.nii.gz")
