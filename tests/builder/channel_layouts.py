"""Sources whose cases have two channels, in every layout, and what a cache of them must deliver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from building import voxels, write

from niicache import BalancedSequence, open_cache

if TYPE_CHECKING:
    from collections.abc import Mapping

Case = tuple[str, str]
SHAPES = {"p1": (6, 5, 7), "p2": (7, 5, 7), "p3": (6, 4, 7), "p4": (7, 5, 6), "p5": (6, 5, 6)}


def put_case(name: str, images: tuple[Path, ...], label: Path) -> None:
    """Write channels that differ in values and in type, and a mask of the first."""
    number = int(name[1:])
    for channel, path in enumerate(images):
        dtype = ("int16", "uint8")[channel % 2]
        write(path, voxels(10 * number + channel, SHAPES[name], dtype))
    write(label, (voxels(10 * number, SHAPES[name]) % 3).astype("uint8"))


def nnunet(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    """Write the raw data of nnU-Net, without dataset.json."""
    found = {}
    for name in SHAPES:
        images = tuple(root / "imagesTr" / f"{name}_{c:04}.nii.gz" for c in (0, 1))
        put_case(name, images, root / "labelsTr" / f"{name}.nii.gz")
        found["all", name] = images
    return root, found


def nnunet_v2(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    document = {"channel_names": {"0": "T2", "1": "ADC"}, "file_ending": ".nii.gz"}
    root, found = nnunet(root)
    document |= {"numTraining": 5, "labels": {"background": 0, "PZ": 1, "TZ": 2}}
    (root / "dataset.json").write_text(json.dumps(document))
    return root, found


def nnunet_v1(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    root, found = nnunet(root)
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in SHAPES
    ]
    document = {"modality": {"0": "T2", "1": "ADC"}, "training": training, "numTraining": 5}
    (root / "dataset.json").write_text(json.dumps(document))
    return root, found


def nnunet_mapping(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    """Write files in folders of their own, which dataset.json lists: the second channel first."""
    found: dict[Case, tuple[Path, ...]] = {}
    listed = {}
    for name in SHAPES:
        paths = (root / "adc" / f"{name}.nii.gz", root / "t2" / f"{name}.nii.gz")
        put_case(name, paths, root / "masks" / f"{name}.nii.gz")
        found["all", name] = paths
        images = [path.relative_to(root).as_posix() for path in paths]
        listed[name] = {"images": images, "label": f"masks/{name}.nii.gz"}
    document = {"channel_names": {"0": "ADC", "1": "T2"}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps({**document, "dataset": listed}))
    return root, found


def decathlon(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    """Write one file of four axes a case."""
    found: dict[Case, tuple[Path, ...]] = {}
    for name, shape in SHAPES.items():
        path = write(root / "imagesTr" / f"{name}.nii.gz", voxels(int(name[1:]), (*shape, 2)))
        mask = np.asanyarray(nib.load(path).dataobj)[..., 0] % 3
        write(root / "labelsTr" / f"{name}.nii.gz", mask.astype("uint8"))
        (root / "imagesTr" / f"._{name}.nii.gz").write_bytes(b"of a Mac")
        found["all", name] = (path,)
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in SHAPES
    ]
    document = {"modality": {"0": "T2", "1": "ADC"}, "training": training, "tensorImageSize": "4D"}
    (root / "dataset.json").write_text(json.dumps(document))
    return root, found


def class_halves(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    found = {}
    for name in SHAPES:
        folder = root / ("ill" if name < "p3" else "well")
        images = tuple(folder / "images" / f"{name}_{c:04}.nii.gz" for c in (0, 1))
        put_case(name, images, folder / "labels" / f"{name}.nii.gz")
        found[folder.name, name] = images
    return root, found


def case_folders(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    found = {}
    for name in SHAPES:
        folder = root / ("ill" if name < "p3" else "well")
        images = tuple(folder / name / f"image_{c:04}.nii.gz" for c in (0, 1))
        put_case(name, images, folder / name / "label.nii.gz")
        found[folder.name, name] = images
    return root, found


def table(root: Path) -> tuple[Path, dict[Case, tuple[Path, ...]]]:
    found: dict[Case, tuple[Path, ...]] = {}
    rows = ["image_t2,label,image_adc"]
    for name in SHAPES:
        paths = (root / "t2" / f"{name}.nii.gz", root / "adc" / f"{name}.nii.gz")
        put_case(name, paths, root / "m" / f"{name}.nii.gz")
        found["all", name] = paths
        rows.append(f"t2/{name}.nii.gz,m/{name}.nii.gz,adc/{name}.nii.gz")
    (root / "cases.csv").write_text("\n".join(rows) + "\n")
    return root / "cases.csv", found


LAYOUTS = {
    one.__name__: one
    for one in (
        *(nnunet, nnunet_v1, nnunet_v2, nnunet_mapping, decathlon),
        *(class_halves, case_folders, table),
    )
}


def read(paths: tuple[Path, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return nibabel's reading of the files of a case, stacked and padded by numpy."""
    files = [np.asanyarray(nib.load(path).dataobj) for path in paths]
    image = np.concatenate([one if one.ndim > 3 else one[..., None] for one in files], axis=-1)
    totals = [n - m for n, m in zip(shape, image.shape, strict=True)]
    return np.pad(image, [(total // 2, total - total // 2) for total in totals])


def check(cache: Path, truth: Mapping[Case, tuple[Path, ...]]) -> None:
    """Hold what a Sequence delivers, and the columns, against the files."""
    sequence = BalancedSequence(cache, 2 * len(open_cache(cache)), dtype="int16", seed=1)
    seen = set()
    for step in range(len(sequence)):
        images, _ = sequence.batch(0, step)
        for case, image in zip(sequence.cases(0, step), images, strict=True):
            np.testing.assert_array_equal(image, read(truth[case], image.shape))
            seen.add(case)
    assert seen == set(truth)
    for view in open_cache(cache):
        for row, name in enumerate(view.cases):
            paths = truth[view.name, name]
            held = view.column("image")[row]
            held = [held] if len(paths) == 1 else held.tolist()
            assert [Path(one).name for one in held] == [path.name for path in paths]
            sizes = np.atleast_1d(view.column("image_size")[row])
            assert sizes.tolist() == [path.stat().st_size for path in paths]
            image = read(paths, (*SHAPES[name], 2)).astype(float)
            np.testing.assert_allclose(view.column("mean")[row], image.mean((0, 1, 2)))
