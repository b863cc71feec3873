"""The root zarr.json as bytes: its one canonical text, and a digest of itself.

The manifest vouches for every other file; the digest in it vouches for the manifest. The text is
canonical, so any changed byte is seen: it breaks the digest or is not the text of its own content.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from niicache.errors import FormatError
from niicache.format.manifest import Manifest, canonical, from_json
from niicache.format.names import ATTRIBUTE, FORMAT_VERSION

_UNKNOWN = "a file that is not the root of a niicache cache"
_UNSEALED = "a manifest whose digest does not hold"
_REBUILD = "delete the cache and build it again from its sources"
_ELSEWHERE = f"name another folder; if a cache was here, {_REBUILD}"


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
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{_UNKNOWN}: no JSON text ({error})", _ELSEWHERE) from error
    try:
        attribute = whole["attributes"][ATTRIBUTE]
        version = attribute["format_version"]
        digest = attribute["digest"]
    except (KeyError, TypeError) as error:
        raise FormatError(f"{_UNKNOWN}: {_said(error)}", _ELSEWHERE) from error
    if version != FORMAT_VERSION:
        raise FormatError(
            f"format version {version!r}, this niicache reads {FORMAT_VERSION}",
            "install a newer niicache, or build the cache again",
        )
    attribute["digest"] = ""
    try:
        sealed = hashlib.sha256(canonical(whole)).hexdigest()
        attribute["digest"] = digest
        text = _text(whole)
    except (ValueError, RecursionError) as error:  # one byte can make a number infinite: 1e999
        raise FormatError(f"{_UNSEALED}: {error}", _REBUILD) from error
    if digest != sealed or text != data:
        raise FormatError(f"{_UNSEALED}: {sealed[:16]} in place of {digest!s:.16}", _REBUILD)
    del attribute["digest"]
    try:
        return from_json(attribute)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{_UNKNOWN}: {_said(error)}", _REBUILD) from error


def _said(error: Exception) -> str:
    return f"no member {error}" if isinstance(error, KeyError) else str(error)


def _text(whole: dict[str, Any]) -> bytes:
    body = json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return body.encode() + b"\n"
