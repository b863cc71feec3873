"""A zoo of files that are wrong, odd or hostile, each with the verdict of an expert.

Every animal is a real file, mutated: a cut of the MNI152 brain that nilearn brings. ``test_zoo``
builds a source of each and asserts its verdict. Who disagrees with a verdict changes it here,
with the reason.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

MNI152 = (
    Path(nib.__file__).parent.parent
    / "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
)
SHAPE = (13, 11, 9)
CORNER = (90, 110, 80)  # in the brain, where voxels differ
HEADER, SINGLE = 348, 352  # bytes of a NIfTI-1 header, and where the voxels of one file begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Animal:
    """A file and what is to become of it.

    Attributes:
        name: What is done to it.
        codes: Of the one problem, or of every warning; none where it is accepted.
        verdict: ``accept``, ``warn`` or ``reject``.
        why: The reason for the verdict.
        mutate: From the bytes of the sound .nii to those of the file on disk, or to those that are
            gzipped as well where ``file`` is "".
        file: Suffix; "" makes a .nii and a .nii.gz of it.
        same: Whether the voxels are those of the sound file, where nibabel refuses to say.
    """

    name: str
    verdict: str
    codes: tuple[str, ...]
    why: str
    mutate: Callable[[bytes], bytes]
    file: str = ""
    same: bool = False


@cache
def brain() -> Any:
    """Return the cut of the brain as int16, with the header it came with."""
    image = nib.load(MNI152)
    ends = zip(CORNER, SHAPE, strict=True)
    cut = image.slicer[tuple(slice(a, a + n) for a, n in ends)]
    data = np.asanyarray(cut.dataobj).astype("int16") * 64 - 3000
    return nib.Nifti1Image(data, cut.affine, cut.header, dtype="int16")


@cache
def sound() -> bytes:
    """Return the bytes of a sound .nii: sform_code 2, qform_code 0, voxels from byte 352."""
    raw: bytes = brain().to_bytes()
    return raw


def squeezed(raw: bytes) -> bytes:
    """Return bytes gzipped, with no time in them."""
    return gzip.compress(raw, mtime=0)


def fields(**values: Any) -> Callable[[bytes], bytes]:
    """Return a mutation that sets header fields by name."""

    def mutate(raw: bytes) -> bytes:
        header = nib.Nifti1Header(raw[:HEADER], check=False)
        for name, value in values.items():
            header[name] = value
        return bytes(header.binaryblock) + raw[HEADER:]

    return mutate


def sizes(*extents: int, count: int | None = None) -> Callable[[bytes], bytes]:
    """Return a mutation that sets dim."""
    dim = [len(extents) if count is None else count, *extents]
    return fields(dim=[*dim, *[1] * (8 - len(dim))])


def steps(*lengths: float, **codes: int) -> Callable[[bytes], bytes]:
    """Return a mutation that sets pixdim of the three axes, and codes of the forms."""
    return fields(pixdim=[1, *lengths, 1, 1, 1, 1], **codes)


def extension(size: int, *, room: int = 32) -> Callable[[bytes], bytes]:
    """Return a mutation that adds a header extension which says that it has ``size`` bytes."""

    def mutate(raw: bytes) -> bytes:
        content = struct.pack("<ii", size, 6).ljust(room, b"x")[:room]
        head = fields(vox_offset=SINGLE + room)(raw)[:HEADER]
        return head + b"\1\0\0\0" + content + raw[SINGLE:]

    return mutate


def swapped(raw: bytes) -> bytes:
    """Return the same image in the other byte order."""
    image = nib.Nifti1Image.from_bytes(raw)
    header = image.header.as_byteswapped(">")
    other: bytes = nib.Nifti1Image(image.dataobj.get_unscaled(), None, header).to_bytes()
    return other


def cut(stop: int) -> Callable[[bytes], bytes]:
    """Return a mutation that gzips and keeps the first bytes, or all but the last."""
    return lambda raw: squeezed(raw)[:stop]


def then(extra: bytes) -> Callable[[bytes], bytes]:
    """Return a mutation that gzips and appends."""
    return lambda raw: squeezed(raw) + extra


def trailer(crc: int = 0, length: int = 0) -> Callable[[bytes], bytes]:
    """Return a mutation that gzips and is off by so much in the trailer."""

    def mutate(raw: bytes) -> bytes:
        whole = squeezed(raw)
        one, two = struct.unpack("<II", whole[-8:])
        return whole[:-8] + struct.pack("<II", one ^ crc, (two + length) % 2**32)

    return mutate


def bgzip(raw: bytes) -> bytes:
    """Return blocks as bgzip writes them, the empty one at the end too."""
    blocks = [raw[:1000], raw[1000:], b""]
    out = []
    for block in blocks:
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(block) + packer.flush()
        head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack(
            "<H2sHH", 6, b"BC", 2, len(body) + 25
        )
        out.append(head + body + struct.pack("<II", zlib.crc32(block), len(block)))
    return b"".join(out)


def members(*cuts: int) -> Callable[[bytes], bytes]:
    """Return a mutation that gzips in several members."""

    def mutate(raw: bytes) -> bytes:
        ends = [0, *cuts, len(raw)]
        return b"".join(squeezed(raw[a:b]) for a, b in pairwise(ends))

    return mutate


def always(content: bytes) -> Callable[[bytes], bytes]:
    """Return a mutation that leaves nothing of the file."""
    return lambda _: content


def accept(name: str, why: str, mutate: Callable[[bytes], bytes], file: str = "") -> Animal:
    """Return an animal that is taken without a word."""
    return Animal(name=name, verdict="accept", codes=(), why=why, mutate=mutate, file=file)


def warn(
    name: str, codes: str, why: str, mutate: Callable[[bytes], bytes], *, same: bool = False
) -> Animal:
    """Return an animal that is taken with a warning of each code."""
    found = tuple(codes.split())
    return Animal(name=name, verdict="warn", codes=found, why=why, mutate=mutate, same=same)


def reject(
    name: str, code: str, why: str, mutate: Callable[[bytes], bytes], file: str = ""
) -> Animal:
    """Return an animal that stays out."""
    return Animal(name=name, verdict="reject", codes=(code,), why=why, mutate=mutate, file=file)


X, Y, Z = SHAPE
NAN, INF = float("nan"), float("inf")
NO_FORM = {"sform_code": 0, "qform_code": 0}
QFORM = {"sform_code": 0, "qform_code": 1}

DIMS = [
    reject("dim[0] zero", "bad-dims", "no axes", sizes(X, Y, Z, count=0)),
    reject("dim[0] eight", "bad-dims", "NIfTI ends at 7", sizes(X, Y, Z, count=8)),
    reject("dim[0] negative", "bad-dims", "no meaning", sizes(X, Y, Z, count=-3)),
    reject("extent zero", "bad-dims", "nibabel reads nothing, ITK one slice", sizes(X, Y, 0)),
    reject("last axis zero", "bad-dims", "nibabel reads nothing, ITK all", sizes(X, Y, Z, 0)),
    reject("extent negative", "bad-dims", "no meaning", sizes(X, -Y, Z)),
    reject("32767 cubed", "truncated", "70 TB in no file", sizes(32767, 32767, 32767)),
    reject("2**90 voxels", "bad-dims", "overflows 64 bits", sizes(*[32767] * 6)),
    reject("2**70 voxels", "bad-dims", "0 modulo 2**64", sizes(*[16384] * 5)),
    reject("one slice more", "truncated", "its voxels are not there", sizes(X, Y, Z + 1)),
    reject("one slice less", "too-long", "a slice would get lost in silence", sizes(X, Y, Z - 1)),
    reject("ten times as many", "truncated", "others are not padded to a lie", sizes(X, Y, 10 * Z)),
    accept("trailing ones", "nifti1.h allows them", sizes(X, Y, Z, 1, 1, 1, 1)),
    accept("junk after dim[0]", "no reader looks there", sizes(X, Y, Z, -7, 0, 99, 5, count=3)),
]

TYPES = [
    reject("datatype 0", "unsupported-dtype", "unknown", fields(datatype=0)),
    reject("datatype 3", "unsupported-dtype", "no such code", fields(datatype=3)),
    reject("datatype -4", "unsupported-dtype", "no such code", fields(datatype=-4)),
    reject("bool", "unsupported-dtype", "no reader unpacks bits", fields(datatype=1)),
    reject("complex64", "unsupported-dtype", "which part is it?", fields(datatype=32)),
    reject("RGB", "unsupported-dtype", "three channels in one voxel", fields(datatype=128)),
    reject("RGBA", "unsupported-dtype", "four channels in one voxel", fields(datatype=2304)),
    reject("float128", "unsupported-dtype", "differs by machine", fields(datatype=1536)),
    reject("complex128", "unsupported-dtype", "which part is it?", fields(datatype=1792)),
    reject("complex256", "unsupported-dtype", "which part is it?", fields(datatype=2048)),
    reject("a wider datatype", "truncated", "half of the bytes", fields(datatype=16)),
    reject("a narrower datatype", "too-long", "half of the bytes unread", fields(datatype=2)),
    accept("uint16 for int16", "nothing in the file tells", fields(datatype=512)),
    *(
        warn(f"bitpix {bits}", "header-field", "datatype says it all", fields(bitpix=bits))
        for bits in (0, 3, 64, -16)
    ),
]

OFFSETS = [
    *(
        reject(f"vox_offset {at}", "bad-offset", "readers guess differently", fields(vox_offset=at))
        for at in (0, -16, 1, 348, 352.5, 1e20, NAN, INF, -INF)
    ),
    reject("vox_offset 368", "truncated", "16 bytes short", fields(vox_offset=368)),
    reject("vox_offset 1e9", "truncated", "beyond the end", fields(vox_offset=1e9)),
]

SCALING = [
    accept("slope 0", "no scaling, says nifti1.h", fields(scl_slope=0, scl_inter=3)),
    accept("slope 0, inter NaN", "no scaling", fields(scl_slope=0, scl_inter=NAN)),
    accept("slope 2.5", "applied", fields(scl_slope=2.5, scl_inter=-7)),
    accept("slope -2", "applied: inverted images exist", fields(scl_slope=-2, scl_inter=1)),
    accept("slope 1e-9", "applied: diffusivity in m2/s", fields(scl_slope=1e-9, scl_inter=0)),
    warn("slope NaN", "scaling", "no scaling, as nibabel", fields(scl_slope=NAN, scl_inter=5)),
    warn("slope inf", "scaling", "no scaling, as nibabel", fields(scl_slope=INF, scl_inter=5)),
    warn("slope 1e30", "scaling", "applied, as nibabel", fields(scl_slope=1e30, scl_inter=0)),
    warn("slope 1e-30", "scaling", "applied, as nibabel", fields(scl_slope=1e-30, scl_inter=0)),
    warn(
        "inter 1e30",
        "scaling image-constant",
        "swallows the voxels",
        fields(scl_slope=1, scl_inter=1e30),
    ),
    reject("slope 3e38", "dtype-loses", "beyond float32", fields(scl_slope=3e38, scl_inter=0)),
    reject("inter NaN", "bad-scaling", "nibabel refuses too", fields(scl_slope=1, scl_inter=NAN)),
    reject("inter inf", "bad-scaling", "nibabel refuses too", fields(scl_slope=1, scl_inter=INF)),
]

GRIDS = [
    accept("pixdim 0, sform", "an sform needs no pixdim", steps(0, 0, 0)),
    accept("pixdim < 0, sform", "an sform needs no pixdim", steps(-1, -1, -1)),
    accept("pixdim NaN, sform", "an sform needs no pixdim", steps(NAN, NAN, NAN)),
    accept("no form", "old files: pixdim alone", steps(1, 2, 3, **NO_FORM)),
    accept("a qform", "sound", steps(1, 2, 3, **QFORM)),
    warn("pixdim 0, qform", "header-field", "1 mm, as nibabel", steps(0, 2, 3, **QFORM)),
    warn("pixdim < 0, qform", "header-field", "its length, as nibabel", steps(-1, 2, 3, **QFORM)),
    warn("pixdim NaN, qform", "affine no-affine", "voxels are right", steps(NAN, 2, 3, **QFORM)),
    warn(
        "pixdim inf, no form", "affine no-affine", "voxels are right", steps(INF, 2, 3, **NO_FORM)
    ),
    warn("sform NaN", "affine", "pixdim is left", fields(srow_x=[NAN] * 4)),
    warn("sform inf", "affine", "pixdim is left", fields(srow_y=[0, INF, 0, 0])),
    warn(
        "sform singular", "affine", "no inverse", fields(srow_x=[0, 1, 0, 0], srow_y=[0, 1, 0, 0])
    ),
    warn(
        "sform zero",
        "affine",
        "it was never filled in",
        fields(srow_x=[0] * 4, srow_y=[0] * 4, srow_z=[0] * 4),
    ),
    warn(
        "against qform",
        "forms-differ",
        "nibabel and ITK: sform",
        fields(qform_code=1, quatern_c=0.5),
    ),
    warn("sform_code 77", "header-field", "read as 0, as nibabel", fields(sform_code=77)),
    warn("quaternion of 5", "affine", "no rotation", fields(quatern_b=5, **QFORM), same=True),
    warn("no known unit", "header-field", "mm is the rule", fields(xyzt_units=7)),
]

HEADERS = [
    reject("no magic", "not-nifti", "ANALYZE says not which side is left", fields(magic=b"")),
    reject("magic xyz", "not-nifti", "nibabel refuses too", fields(magic=b"xyz")),
    reject("magic of a pair", "pair-mismatch", "voxels lie elsewhere", fields(magic=b"ni1")),
    reject("magic of NIfTI-2", "not-nifti", "what version is it?", fields(magic=b"n+2")),
    reject("sizeof_hdr 0", "not-nifti", "tells version and byte order", fields(sizeof_hdr=0)),
    reject("sizeof_hdr 347", "not-nifti", "tells version and byte order", fields(sizeof_hdr=347)),
    reject("sizeof_hdr 540", "not-nifti", "NIfTI-2 without its magic", fields(sizeof_hdr=540)),
    reject(
        "sizeof_hdr swapped",
        "bad-dims",
        "the rest is in the other order",
        lambda raw: raw[3::-1] + raw[4:],
    ),
    accept("the other byte order", "NIfTI allows both", swapped),
    accept(
        "control characters",
        "text is not looked at",
        fields(descrip=bytes(range(1, 80)), aux_file=b"\x1b[2J=cmd", intent_name=b"\xff" * 16),
    ),
    accept(
        "junk elsewhere",
        "no voxel depends on it",
        fields(cal_max=NAN, cal_min=INF, toffset=NAN, slice_code=99, intent_code=-3, dim_info=255),
    ),
    accept("an extension", "passed over", extension(32)),
    warn("extension of 2 GB", "extension", "ITK passes over it", extension(2**31 - 16), same=True),
    warn("extension of 48", "extension", "reaches into the voxels", extension(48), same=True),
    warn("extension of 0", "extension", "an empty announcement", extension(0), same=True),
    warn("extension of -16", "extension", "no size", extension(-16), same=True),
    warn("extension of 20", "extension", "no multiple of 16", extension(20), same=True),
    warn("no room for one", "extension", "vox_offset counts", extension(32, room=0), same=True),
]

HTML = b"<!DOCTYPE html>\n<html><body>404</body></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
PLAIN, ZIPPED = ".nii", ".nii.gz"

STREAMS = [
    *(
        animal
        for file in (PLAIN, ZIPPED)
        for animal in (
            reject(f"empty {file}", "empty-file", "a failed copy", always(b""), file),
            reject(f"web page {file}", "html-page", "a failed download", always(HTML), file),
            reject(f"git-LFS {file}", "lfs-pointer", "not fetched", always(LFS), file),
        )
    ),
    reject("zip named .nii", "not-nifti", "not unpacked", always(b"PK\3\4" + bytes(400)), PLAIN),
    reject("zeros", "not-nifti", "room was made, nothing written", lambda r: bytes(len(r)), PLAIN),
    reject("plain named .gz", "plain-named-gz", "nibabel refuses too", lambda raw: raw, ZIPPED),
    reject("gz named .nii", "gzip-named-plain", "nibabel refuses too", squeezed, PLAIN),
    reject("gz of a gz", "not-nifti", "nobody means it", lambda r: squeezed(squeezed(r)), ZIPPED),
    *(
        reject(f".nii of {stop}", kind, "cut off", lambda raw, n=stop: raw[:n], PLAIN)
        for stop, kind in ((3, "not-nifti"), (200, "truncated"), (352, "truncated"))
    ),
    reject(".nii less a byte", "truncated", "cut off", lambda raw: raw[:-1], PLAIN),
    reject(".nii and a byte", "too-long", "a header that lost a slice", lambda r: r + b"x", PLAIN),
    reject(".nii and zeros", "too-long", "looks no different", lambda r: r + bytes(512), PLAIN),
    *(
        reject(f".gz of {stop}", "truncated", "cut off", cut(stop), ZIPPED)
        for stop in (11, 40, 500, -9, -8, -4, -1)
    ),
    reject("CRC wrong", "gzip-damaged", "the voxels are others", trailer(crc=1), ZIPPED),
    reject("length wrong", "gzip-damaged", "RFC 1952", trailer(length=1), ZIPPED),
    reject("text after it", "gzip-damaged", "something was appended", then(b"x" * 100), ZIPPED),
    reject("half a member after it", "truncated", "more was meant", then(b"\x1f\x8b\x08"), ZIPPED),
    reject("twice the same", "too-long", "two images", lambda r: squeezed(r) * 2, ZIPPED),
    reject(
        "zeros in the middle",
        "gzip-damaged",
        "a hole of a copy",
        lambda raw: squeezed(raw)[:300] + bytes(200) + squeezed(raw)[500:],
        ZIPPED,
    ),
    accept("two members", "gzip allows them", members(700), ZIPPED),
    accept("members in the header", "gzip allows them", members(1, 300, 350), ZIPPED),
    accept("an empty member last", "gzip allows it", then(squeezed(b"")), ZIPPED),
    accept("zeros after it", "padding of a tape", then(bytes(1000)), ZIPPED),
    accept("bgzip", "blocks of a gzip", bgzip, ZIPPED),
]

ZOO = [*DIMS, *TYPES, *OFFSETS, *SCALING, *GRIDS, *HEADERS, *STREAMS]
