"""The words among which a user chooses; nothing heavy is loaded to know them."""

from __future__ import annotations

from typing import Literal

from niicache.format.names import DTYPES, Crop, Interpolation

Labels = Literal["auto", "mask", "vector", "folder"]
CodecName = Literal["fast", "balanced", "small", "none"]
OnError = Literal["stop", "skip"]
OnDuplicates = Literal["stop", "warn"]

__all__ = ["DTYPES", "CodecName", "Crop", "Interpolation", "Labels", "OnError"]
