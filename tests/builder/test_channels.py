"""Several files of one case as its channels: built from every layout and delivered in order."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from building import build0, opened, same, stamps, voxels
from channel_layouts import LAYOUTS, SHAPES, check, nnunet

from niicache import open_cache
from niicache_builder import stats, verify
from niicache_builder.report.statistics import stats_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _two_cases_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)


NAMES = {
    **dict.fromkeys(("nnunet_v1", "nnunet_v2", "decathlon"), ("T2", "ADC")),
    "nnunet_mapping": ("ADC", "T2"),
    "table": ("t2", "adc"),
}
"""Of the channels, in the layouts that tell them."""


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a file was read")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_channels_in_order_and_is_built_once(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, truth = LAYOUTS[layout](tmp_path / "s")
    built = build0(source, tmp_path / "c")
    assert built.warnings == ()
    assert built.manifest.recipe.image_files == (1 if layout == "decathlon" else 2)
    check(tmp_path / "c", truth)
    names_are(tmp_path / "c", NAMES.get(layout, ()))
    assert verify(tmp_path / "c", source=source).problems == ()
    before = stamps(tmp_path / "c")
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    monkeypatch.setattr("niicache_builder.previous.hash_files", never)
    assert not build0(source, tmp_path / "c").changed
    assert stamps(tmp_path / "c") == before


def names_are(cache: Path, names: tuple[str, ...]) -> None:
    """Hold the names of the channels against what the source tells."""
    found = open_cache(cache)
    assert found.channels == names
    assert stats(cache).to_json()["channels"] == names
    assert (", ".join(names) in repr(found)) if names else ("channel " not in repr(found))
    told = stats_text(stats(cache))
    assert all(f"│ {name} " in told for name in names or ("0", "1"))


def test_slopes_are_applied_and_kept_a_file_each(tmp_path: Path) -> None:
    source, truth = nnunet(tmp_path / "s")
    path = truth["all", "p1"][1]
    image = nib.Nifti1Image(voxels(3, SHAPES["p1"]), np.diag([1.5, 2.0, 2.5, 1.0]))
    image.header.set_slope_inter(0.5, 3)
    image.to_filename(path)
    build0(source, tmp_path / "c")
    view = open_cache(tmp_path / "c")["all"]
    slope, inter = view.column("slope"), view.column("inter")
    assert slope.tolist() == [[1, nib.load(path).dataobj.slope], *[[1, 1]] * 4]
    assert inter.tolist() == [[0, nib.load(path).dataobj.inter], *[[0, 0]] * 4]
    start, stop = (view.column(f"box_{end}")[0] for end in ("start", "stop"))
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    np.testing.assert_allclose(view["p1"].image[box][..., 1], nib.load(path).get_fdata())


def test_a_build_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, truth = nnunet(tmp_path / "s")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["niicache_builder.build"], "assemble", never)
        with pytest.raises(AssertionError):
            build0(source, tmp_path / "c")
    monkeypatch.setattr("niicache_builder.case.read_voxels", never)
    assert build0(source, tmp_path / "c").resumed == 3
    check(tmp_path / "c", truth)
    monkeypatch.undo()
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
    build0(source, tmp_path / "d")
    assert same(opened(tmp_path / "c"), opened(tmp_path / "d"))
