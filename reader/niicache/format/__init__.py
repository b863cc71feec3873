"""The on-disk contract: pure functions and frozen dataclasses, shared by builder and reader."""
