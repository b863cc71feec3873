"""Every transform of niicache.augment on a slice of a real brain, its mask outlined.

Run it by ``scripts/gallery``. It writes docs/augmentations.png, or the path that is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from mni_slices import load_head
from PIL import Image, ImageDraw

from niicache import augment
from niicache.montage import arrange, draw
from niicache.sampling import sample_generator

TARGET = Path(__file__).resolve().parent.parent / "docs" / "augmentations.png"
LEVELS = (75, 60)  # slices above the lowest: with the ventricles; another one to mix with
WHITE = 255  # the template is of 8 bits
SEED = 5
COLUMNS = 7
TITLE = 14  # pixels above a tile
SHIFTED = ((60.0, 60.0), (0.0, 0.0))  # voxels, far enough to see what fills

SHOWN: dict[str, augment.Transform | augment.BatchTransform] = {
    "as it is": augment.Compose(),
    "Flip": augment.Flip(axes=(1,), p=1),
    "Rotate90": augment.Compose(augment.CenterCrop(size=130), augment.Rotate90(axes=(0, 1))),
    "Affine rotation": augment.Affine(rotation=(25, 25)),
    "Affine shift": augment.Affine(shift=((20, 20), (-30, -30))),
    "Affine zoom": augment.Affine(zoom=((1.4, 1.4), (0.8, 0.8))),
    "Affine shear": augment.Affine(shear=((20, 20), (0, 0))),
    "fill constant": augment.Affine(shift=SHIFTED, fill=60),
    "fill nearest": augment.Affine(shift=SHIFTED, fill_mode="nearest"),
    "fill reflect": augment.Affine(shift=SHIFTED, fill_mode="reflect"),
    "fill wrap": augment.Affine(shift=SHIFTED, fill_mode="wrap"),
    "Elastic": augment.Elastic(magnitude=25, p=1),
    "RandomCrop": augment.RandomCrop(size=90),
    "CenterCrop": augment.CenterCrop(size=90),
    "Gamma": augment.Gamma(gamma=(2.5, 2.5), p=1),
    "Gamma inverted": augment.Gamma(gamma=(2.5, 2.5), inverted=True, p=1),
    "Brightness": augment.Brightness(multiply=(1.4, 1.4), p=1),
    "Contrast": augment.Contrast(factor=(0.4, 0.4), p=1),
    "GaussianNoise": augment.GaussianNoise(sigma=(25, 25), p=1),
    "RicianNoise": augment.RicianNoise(sigma=(35, 35), p=1),
    "GaussianBlur": augment.GaussianBlur(sigma=(2.5, 2.5), p=1),
    "LowResolution": augment.LowResolution(scale=(0.2, 0.2), p=1),
    "BiasField": augment.BiasField(coefficients=0.6, p=1),
    "Cutout": augment.Cutout(count=3, size=(0.1, 0.3), p=1),
    "MixUp": augment.MixUp(alpha=50),
    "CutMix": augment.CutMix(alpha=50),
    "light": augment.light(),
    "medical": augment.medical(),
}


def load_slices() -> tuple[np.ndarray, np.ndarray]:
    """Return axial slices (2, x, y, 1) float32 and their masks (2, x, y, 1) uint8."""
    head = load_head()
    cuts = [head.image[..., level, None].astype(np.float32) for level in LEVELS]
    masks = [head.mask[..., level, None] for level in LEVELS]
    return np.stack(cuts), np.stack(masks)


def transformed(
    transform: augment.Transform | augment.BatchTransform,
    images: np.ndarray,
    masks: np.ndarray,
    number: int,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the first image and its mask, or None where no mask is left.

    Args:
        transform: What is done.
        images: (2, x, y, 1) float32.
        masks: (2, x, y, 1) uint8.
        number: Of the tile; gives it a generator of its own.
    """
    rng = sample_generator(SEED, 0, 0, number)
    if isinstance(transform, augment.MixUp):  # which blends images, and labels that are no masks
        swapped = np.array([1, 0])
        params = type(transform.draw(rng, images.shape))(
            partner=swapped, share=np.array([0.5, 0.5])
        )
        return transform.apply(images, np.eye(2), params)[0][0], None
    if isinstance(transform, augment.BatchTransform):
        mixed, marks = transform(images, masks, rng)
        return mixed[0], marks[0]
    return transform(images[0].copy(), masks[0].copy(), rng)


def tile(
    title: str, image: np.ndarray, mask: np.ndarray | None, size: tuple[int, int]
) -> np.ndarray:
    """Return a tile with its title above, the image in the middle of ``size`` (width, height)."""
    drawn = draw(image, None if mask is None else mask[..., 0], 0, WHITE)
    whole = Image.new("RGB", (size[0], size[1] + TITLE))
    left, top = (size[0] - drawn.shape[1]) // 2, (size[1] - drawn.shape[0]) // 2
    whole.paste(Image.fromarray(drawn), (left, TITLE + top))
    ImageDraw.Draw(whole).text((3, 1), title, fill=(255, 255, 255))
    return np.asarray(whole)


def main(target: Path) -> None:
    """Draw the gallery."""
    images, masks = load_slices()
    size = images.shape[1], images.shape[2]
    tiles = [
        tile(title, *transformed(one, images, masks, number), size)
        for number, (title, one) in enumerate(SHOWN.items())
    ]
    Image.fromarray(arrange(tiles, columns=COLUMNS)).save(target, optimize=True)
    print(f"{target}: {len(tiles)} transforms")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
