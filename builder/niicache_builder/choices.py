"""The words among which a user chooses; nothing heavy is loaded to know them."""

from __future__ import annotations

from typing import Final, Literal

Labels = Literal["auto", "mask", "vector", "folder"]
CodecName = Literal["fast", "balanced", "small", "none"]
OnError = Literal["stop", "skip"]

DTYPES: Final = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)
