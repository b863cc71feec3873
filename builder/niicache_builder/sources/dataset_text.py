"""What a ``dataset.json`` says, and everything wrong with it as text. Pure.

That of nnU-Net, in both of its versions, and that of the Medical Segmentation Decathlon (MSD),
which nnU-Net's comes from. Whoever wrote it may mean ill: paths lead nowhere but below the source.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from niicache.format.members import is_whole, parse, shown
from niicache_builder.nifti_names import stem
from niicache_builder.sources.found import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = "dataset.json"
OURS: Final = ("training", "dataset", "channel_names", "modality", "file_ending")
"""Members of which one at least tells that it is of this kind."""

MOST_CHANNELS: Final = 10_000
LONGEST_NAME: Final = 200
MOST_FAULTS: Final = 100
"""So many are told one by one; a broken file may hold millions."""

_PATH_HINT = "paths count from dataset.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A case that the file lists.

    Attributes:
        where: Which member it is, for messages.
        name: Of the case, "" where nothing says it.
        images: Paths below the source.
        label: Likewise.
    """

    where: str
    name: str
    images: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A ``dataset.json`` as read.

    Attributes:
        channels: Names of the channels, in order; empty where it does not say.
        ending: Of the names of all files, "" where it does not say.
        entries: The cases that it lists, None where the folders say which there are.
        count: How many cases there are to be, if it says so.
        aside: Lists of other cases, with their lengths.
        faults: What is wrong, each as (got, expected).
    """

    channels: tuple[str, ...] = ()
    ending: str = ""
    entries: tuple[Entry, ...] | None = None
    count: int | None = None
    aside: tuple[tuple[str, int], ...] = ()
    faults: tuple[tuple[str, str], ...] = ()


def read_dataset(data: bytes) -> Dataset | None:
    """Return what the bytes of a ``dataset.json`` say; None if it is of another kind."""
    try:
        document = parse(data.removeprefix(codecs.BOM_UTF8))
    except ValueError as error:
        return unusable(f"no JSON text ({error})", "JSON")
    if not isinstance(document, dict):
        return unusable(shown(document), "an object")
    if not any(name in document for name in OURS):
        return None
    faults: list[tuple[str, str]] = []
    channels = _channels(document, faults)
    ending = document.get("file_ending", "")
    if "file_ending" in document and not (isinstance(ending, str) and stem(f"x{ending}") == "x"):
        expected = ".nii.gz, .nii or .hdr: convert the images to NIfTI"
        faults.append((f"file_ending {shown(ending)}", expected))
        ending = ""
    count = document.get("numTraining")
    if count is not None and not is_whole(count):
        faults.append((f"numTraining {shown(count)}", "a whole number"))
        count = None
    aside = ((name, document.get(name)) for name in ("validation", "test"))
    return Dataset(
        channels=channels,
        ending=ending,
        entries=_entries(document, faults),
        count=count,
        aside=tuple((name, len(value)) for name, value in aside if isinstance(value, list)),
        faults=tuple(faults),
    )


def unusable(got: str, expected: str) -> Dataset:
    """Return what a file says that says nothing: no case, lest one is guessed from the folders."""
    return Dataset(entries=(), faults=((got, expected),))


def _channels(document: dict[str, Any], faults: list[tuple[str, str]]) -> tuple[str, ...]:
    member = "channel_names" if "channel_names" in document else "modality"
    names = document.get(member, {})
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    sound = isinstance(names, dict) and all(
        isinstance(name, str) and len(name) <= LONGEST_NAME for name in names.values()
    )
    if not sound or len(names) > MOST_CHANNELS:
        faults.append(
            (
                f"{member} {shown(names)}",
                f"the name of each channel by its number, at most {LONGEST_NAME} letters",
            )
        )
        return ()
    found = [names.get(str(number)) for number in range(len(names))]
    if None in found:
        got = f"{member} numbered {', '.join(map(shown, list(names)[:5]))}"
        faults.append((got, "numbers from 0 on"))
        return ()
    return tuple(clean(name) for name in found)


def _entries(document: dict[str, Any], faults: list[tuple[str, str]]) -> tuple[Entry, ...] | None:
    """Return the cases that a document lists. One of nnU-Net's second version need not."""
    member = "dataset" if "dataset" in document else "training"
    if member not in document or (member == "training" and "file_ending" in document):
        return None
    listed = document[member]
    if not isinstance(listed, dict if member == "dataset" else list):
        faults.append((f"{member} {shown(listed)}", "every case with its image and label"))
        return ()
    found = []
    wrong = 0
    pairs = listed.items() if isinstance(listed, dict) else enumerate(listed)
    for key, value in pairs:
        where = f"{member}[{shown(key)}]"
        name = key if isinstance(key, str) else ""
        told = list(_entry_faults(where, name, value))
        if not told:
            files = _files(value)
            found.append(Entry(where=where, name=name, images=files[:-1], label=files[-1]))
        wrong += len(told)
        faults += told[: max(0, MOST_FAULTS - wrong + len(told))]
    if wrong > MOST_FAULTS:
        faults.append((f"{wrong - MOST_FAULTS:,} more of this kind", "none"))
    return tuple(found)


def _entry_faults(where: str, name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a case."""
    if "\0" in name or clean(name) != name:
        yield f"{where} as the name of a case", "text that a file can be called"
    if not isinstance(value, dict):
        yield f"{where} {shown(value)}", "an object with image and label"
        return
    member = "images" if "images" in value else "image"
    images, label = value.get(member), value.get("label")
    if not isinstance(images, list):
        images = [images]
    if not 0 < len(images) <= MOST_CHANNELS:
        yield f"{where}.{member} of {len(images):,} files", f"1 to {MOST_CHANNELS:,}"
        return
    for part, path in (*((member, image) for image in images), ("label", label)):
        if not isinstance(path, str):
            yield f"{where}.{part} {shown(path)}", f"a path; {_PATH_HINT}"
        elif fault := _path_fault(path):
            yield f"{where}.{part} {shown(path)}", f"{fault}; {_PATH_HINT}"


def _path_fault(text: str) -> str:
    """Return what a path has to be and is not, or ""."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        return "a path below the folder of dataset.json"
    if "\0" in text or clean(text) != text:
        return "a name in UTF-8"
    if not stem(path.name):
        return "a NIfTI file: .nii, .nii.gz, .hdr or .img"
    return ""


def _files(value: dict[str, Any]) -> tuple[str, ...]:
    """Return the paths of the images and of the label of a sound case."""
    images = value["images"] if "images" in value else value["image"]
    paths = [*(images if isinstance(images, list) else [images]), value["label"]]
    return tuple(PurePosixPath(path).as_posix() for path in paths)
