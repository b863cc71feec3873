"""Patches: boxes of volumes, drawn, read from the chunks that they touch, and resampled."""
