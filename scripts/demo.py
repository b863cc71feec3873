"""The whole of niicache on a real brain: build, verify, stats, train, and the clock.

Run it by ``scripts/demo``. It writes demo-data/ in the checkout, uses the public commands and
imports only, and ends with status 1 if the network learns too little.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from hush import import_keras
from mni_slices import load_head, write_slices
from timing import epoch_seconds

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("demo-data")
SHAPE = (192, 192)  # voxels; the largest slices are 181 along either axis
PER_CLASS = 16  # samples of each class in a training batch
EPOCHS = 15
WANTED = 0.95  # validation accuracy
TIMED_PER_CLASS = 32  # as the baseline has it


def say(title: str) -> None:
    """Print a heading."""
    print(f"\n=== {title}", flush=True)


def niicache(*words: str) -> None:
    """Run the public command, shown as one would type it; a failure ends the demo."""
    print("$", shlex.join(["niicache", *words]), flush=True)
    subprocess.run([Path(sys.executable).with_name("niicache"), *words], cwd=ROOT, check=True)


def write_sources() -> None:
    """Write the train and val sources anew, and say how many cases they hold."""
    data = ROOT / DATA
    shutil.rmtree(data, ignore_errors=True)
    write_slices(load_head(), data)
    for part in ("train", "val"):
        for folder in sorted((data / part).iterdir()):
            count = len(list((folder / "images").iterdir()))
            print(f"{DATA / part / folder.name}: {count} images, {count} masks")


def build_caches() -> None:
    """Build a cache whose labels are the masks, and two whose label is the class folder."""
    shape = ",".join(map(str, SHAPE))
    for part, labels in (("train", "mask"), ("train", "folder"), ("val", "folder")):
        source, cache = DATA / part, DATA / f"{part}-{labels}.cache"
        niicache("build", str(source), str(cache), "--shape", shape, "--labels", labels)
        niicache("verify", str(cache))
    niicache("stats", str(DATA / "train-mask.cache"))


def show_masks() -> None:
    """Print what one batch of images with masks looks like."""
    import numpy as np

    import niicache as reader

    cache = reader.open_cache(ROOT / DATA / "train-mask.cache")
    print(cache)
    batches = reader.BalancedSequence(cache, PER_CLASS * len(cache.classes))
    images, masks = batches[0]
    values, counts = np.unique(masks, return_counts=True)
    print(f"images {images.shape} {images.dtype}, masks {masks.shape} {masks.dtype}")
    names = ("background", "grey", "white")
    for value, count in zip(values, counts, strict=True):
        print(f"mask {value:g} ({names[int(value)]}): {count / masks.size:.1%} of the voxels")


def plane_network(classes: int) -> Any:
    """Return a small CNN, compiled, that tells the plane of a slice."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((*SHAPE, 1)),
            layers.Rescaling(1 / 255),  # the template's intensities are 0 to 255
            layers.Conv2D(16, 5, strides=4, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", metrics=["accuracy"])
    return model


def train() -> float:
    """Train on the planes, and return the accuracy on slices that training never saw.

    Validation is balanced too, so that the accuracy is the mean over the classes: in stored
    order, with steps enough to show every case.
    """
    import keras

    from niicache import BalancedSequence, open_cache

    keras.utils.set_random_seed(0)
    cache = open_cache(ROOT / DATA / "train-folder.cache")
    unseen = open_cache(ROOT / DATA / "val-folder.cache")
    batch_size = PER_CLASS * len(cache.classes)
    steps = -(-max(len(unseen[name]) for name in unseen.classes) // PER_CLASS)
    validation = BalancedSequence(unseen, batch_size, shuffle=False, steps=steps)
    model = plane_network(len(cache.classes))
    model.fit(
        BalancedSequence(cache, batch_size),
        validation_data=validation,
        epochs=EPOCHS,
        verbose=2,
    )
    return float(model.evaluate(validation, verbose=0, return_dict=True)["accuracy"])


def compare_reading() -> None:
    """Time an epoch of reading both ways, on the same files and the same balance of classes."""
    from baseline import Baseline

    from niicache import BalancedSequence

    old = Baseline(ROOT / DATA / "train", shape=SHAPE, labels="folder", per_class=TIMED_PER_CLASS)
    steps = len(old)
    new = BalancedSequence(ROOT / DATA / "train-folder.cache", old.batch_size, steps=steps)
    first = epoch_seconds(partial(new.batch, 0), steps)
    rounds = range(1, 6)
    before = median(epoch_seconds(old.__getitem__, steps) for _ in rounds)
    after = median(epoch_seconds(partial(new.batch, epoch), steps) for epoch in rounds)
    print(f"an epoch is {steps} steps of {old.batch_size} samples, {SHAPE[0]}x{SHAPE[1]} voxels")
    print(f"baseline: nibabel, np.pad, ImageDataGenerator  {before * 1e3:8.1f} ms")
    for name, seconds in (("first epoch", first), ("later epochs", after)):
        text = f"BalancedSequence, {name}"
        print(f"{text:45}  {seconds * 1e3:8.1f} ms, {before / seconds:.0f} times as fast")


def main() -> int:
    """Run the demo; return the exit status."""
    say("Slices of the MNI152 brain: 2D images with tissue masks, three classes of unequal size")
    write_sources()
    say("Build, verify, stats")
    build_caches()
    import_keras()
    say("A batch of images with masks")
    show_masks()
    say("A small CNN learns the plane from balanced batches")
    accuracy = train()
    say("An epoch of reading")
    compare_reading()
    print(f"\nvalidation accuracy {accuracy:.1%}, wanted more than {WANTED:.0%}")
    return 0 if accuracy > WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
