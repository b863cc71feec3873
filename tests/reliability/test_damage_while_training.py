"""Damage that comes while batches are read gives errors, never other voxels."""

from __future__ import annotations

import numpy as np
import pytest
from breaks import damage_while_training
from breaks.damage_while_training import once


@pytest.mark.parametrize("seed", [0, 5])
def test_every_batch_is_right_or_an_error(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(damage_while_training, "BREAKS", 100)
    tally = once(seed, tmp_path)
    assert tally["right"] > 0
    assert tally["damaged"] > 0


def test_a_wrong_voxel_is_told(tmp_path, monkeypatch):
    def decode(data, codec, out, *, crc=None):
        del data, codec, crc
        out[...] = np.arange(out.size, dtype=out.dtype).reshape(out.shape)

    monkeypatch.setattr("niicache.chunks.decode", decode)
    monkeypatch.setattr(
        "niicache.decoding.read_chunks", lambda jobs, *_, **__: np.zeros(len(jobs), bool)
    )
    with pytest.raises(AssertionError, match="seed 0: AssertionError: voxels of several cases"):
        once(0, tmp_path)
