"""The root zarr.json as bytes: its one canonical text, and a digest of itself.

The manifest vouches for every other file; the digest in it vouches for the manifest. The text is
canonical, so any changed byte is seen: it breaks the digest or is not the text of its own content.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from niicache.errors import FormatError
from niicache.format.manifest import Manifest, canonical
from niicache.format.manifest_checks import manifest_problems
from niicache.format.members import member_problems, shown
from niicache.format.names import ATTRIBUTE, FORMAT_VERSION
from niicache.format.unpack import from_json

MOST_ROOT_BYTES = 2**28
"""A cache of a million shards and more has less; JSON takes ten times its length in memory."""

SHOWN_PROBLEMS = 20

_UNKNOWN = "a file that is not the root of a niicache cache"
_UNSEALED = "a manifest whose digest does not hold"
REBUILD = "delete the cache and build it again from its sources"
_ELSEWHERE = f"name another folder; if a cache was here, {REBUILD}"


def pack_root(document: dict[str, Any], manifest: Manifest) -> bytes:
    """Return the text of the root zarr.json.

    Args:
        document: A Zarr v3 group's metadata as zarr-python made it; its attributes are replaced.
        manifest: What the cache is.
    """
    attributes = {ATTRIBUTE: {**manifest.to_json(), "digest": ""}}
    whole = {**document, "attributes": attributes}
    attributes[ATTRIBUTE]["digest"] = hashlib.sha256(canonical(whole)).hexdigest()
    return _text(whole)


def unpack_root(data: bytes) -> Manifest:
    """Return the manifest in the text of a root zarr.json.

    Raises:
        FormatError: The text is damaged, not ours, or of a version that this release cannot read.
    """
    if len(data) > MOST_ROOT_BYTES:
        raise FormatError(f"{_UNKNOWN}: more than {MOST_ROOT_BYTES:,} bytes", _ELSEWHERE)
    try:
        whole = json.loads(data.decode())  # else JSON guesses an encoding
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{_UNKNOWN}: no JSON text ({error})", _ELSEWHERE) from error
    try:
        attribute = whole["attributes"][ATTRIBUTE]
        version = attribute["format_version"]
        digest = attribute["digest"]
        attribute["digest"] = digest  # raises TypeError where it is no object
    except (KeyError, TypeError, IndexError) as error:
        raise FormatError(f"{_UNKNOWN}: {_said(error)}", _ELSEWHERE) from error
    if type(version) is not int or version != FORMAT_VERSION:
        raise FormatError(
            f"format version {shown(version)}, this niicache reads {FORMAT_VERSION}",
            "install a newer niicache, or build the cache again",
        )
    attribute["digest"] = ""
    try:
        sealed = hashlib.sha256(canonical(whole)).hexdigest()
        attribute["digest"] = digest
        sound = digest == sealed and _text(whole) == data
    except (ValueError, RecursionError) as error:  # one byte can make a number infinite: 1e999
        raise FormatError(f"{_UNSEALED}: {error}", REBUILD) from error
    if not sound:
        raise FormatError(f"{_UNSEALED}: {sealed[:16]} in place of {shown(digest)}", REBUILD)
    del attribute["digest"]
    problems = group_problems(whole) + manifest_problems(attribute)
    if problems:
        raise FormatError(f"{_UNKNOWN}: {some(problems)}", REBUILD)
    return from_json(attribute)


def group_problems(document: dict[str, Any]) -> list[str]:
    """Return what is wrong with the metadata of the root group, its attributes left out."""
    kept = {key: value for key, value in document.items() if key != "consolidated_metadata"}
    problems = member_problems("the root group", kept, ("attributes", "node_type", "zarr_format"))
    problems += member_problems("its attributes", document["attributes"], (ATTRIBUTE,))
    if document.get("node_type") != "group" or canonical(document.get("zarr_format")) != b"3":
        problems.append("the root is no group of Zarr v3")
    if document.get("consolidated_metadata") is not None:
        problems.append("consolidated metadata, which no part of niicache writes")
    return problems


def some(problems: list[str]) -> str:
    """Return the first of many problems, and how many more there are."""
    more = (
        f", and {len(problems) - SHOWN_PROBLEMS:,} more" if len(problems) > SHOWN_PROBLEMS else ""
    )
    return "; ".join(problems[:SHOWN_PROBLEMS]) + more


def _said(error: Exception) -> str:
    return f"no member {error}" if isinstance(error, KeyError) else str(error)


def _text(whole: dict[str, Any]) -> bytes:
    body = json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return body.encode() + b"\n"
