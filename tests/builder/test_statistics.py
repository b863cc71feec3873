"""Statistics of voxels; numpy is the judge."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from niicache.format.facts import PERCENTILES
from niicache_builder import statistics
from niicache_builder.statistics import MAX_LABEL_VALUES, channel_statistics, label_counts

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def compare(voxels: np.ndarray, *, rel: float = 1e-9) -> None:
    judge_both(voxels, rel=rel)
    # As many voxels are counted, though there are few: in blocks of 5.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "FEW_VOXELS", 0)
        patch.setattr(statistics, "HISTOGRAM_BLOCK", 5)
        judge_both(voxels, rel=rel)


def judge_both(voxels: np.ndarray, *, rel: float) -> None:
    every, others = channel_statistics(voxels)
    judge(every, voxels, rel=rel)
    finite = voxels[np.isfinite(voxels)]
    if finite.size and not finite.any():
        said = (others.minimum, others.maximum, others.mean, others.std, *others.percentiles)
        assert said == (0,) * (4 + len(PERCENTILES))
        assert others.nonfinite == every.nonfinite
    else:
        judge(others, voxels[voxels != 0], rel=rel)


def judge(found: statistics.ChannelStatistics, voxels: np.ndarray, *, rel: float) -> None:
    flat = voxels.ravel().astype(np.float64)
    finite = flat[np.isfinite(flat)]
    assert found.nonfinite == flat.size - finite.size
    if not finite.size:
        assert np.isnan([found.minimum, found.maximum, found.mean, found.std]).all()
        assert np.isnan(found.percentiles).all()
        assert len(found.percentiles) == len(PERCENTILES)
        return
    scale = float(np.abs(finite).max())
    assert found.minimum == finite.min()
    assert found.maximum == finite.max()
    assert found.mean == pytest.approx(finite.mean(), rel=rel, abs=rel * scale)
    assert found.std == pytest.approx(finite.std(), rel=rel, abs=rel * scale)
    expected = np.percentile(finite, PERCENTILES).tolist()
    assert found.percentiles == pytest.approx(expected, rel=rel, abs=rel * scale)


@given(arrays.arrays(st.sampled_from(INTEGERS), SHAPES))
def test_integers(voxels: np.ndarray) -> None:
    compare(voxels)


@given(arrays.arrays(st.sampled_from(["int8", "uint8", "int16", "uint16"]), st.integers(50, 300)))
def test_many_small_integers(voxels: np.ndarray) -> None:
    compare(voxels)


@given(arrays.arrays("int16", st.integers(1, 300), elements=st.integers(-2, 2)))
def test_many_zeros(voxels: np.ndarray) -> None:
    compare(voxels)
    compare(voxels.astype("float64"))


@given(arrays.arrays("float32", SHAPES, elements=st.floats(width=32)))
def test_singles(voxels: np.ndarray) -> None:
    # numpy interpolates percentiles of float32 in float32.
    compare(voxels, rel=1e-6)


@given(
    arrays.arrays("float64", SHAPES, elements=st.floats(min_value=-1e100, max_value=1e100)),
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.floats(0, 1),
)
def test_nan_and_infinities_count_for_nothing(voxels: np.ndarray, odd: float, share: float) -> None:
    spoilt = voxels.copy()
    spoilt.reshape(-1)[: int(share * spoilt.size)] = odd
    compare(spoilt)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_nothing_finite(odd: float) -> None:
    compare(np.full((3, 4), odd, "float32"))


@given(arrays.arrays("int16", (4, 5, 3)), st.sampled_from("CF"), st.integers(0, 2))
def test_the_order_in_memory_means_nothing(voxels: np.ndarray, order: str, channel: int) -> None:
    view = np.asarray(voxels, order=order)[..., channel]
    assert channel_statistics(view) == channel_statistics(view.copy())
    assert channel_statistics(view[::-1]) == channel_statistics(view.copy())


@given(arrays.arrays(st.sampled_from(["int8", "uint16"]), st.integers(1, 60)), st.booleans())
def test_many_voxels_in_any_order(voxels: np.ndarray, background: bool) -> None:
    many = np.concatenate([np.full(9000 * background, voxels[0]), np.tile(voxels, 5000)])
    judge_both(many, rel=1e-9)
    assert channel_statistics(many[::-1]) == channel_statistics(many)


def test_big_endian_voxels() -> None:
    voxels = np.arange(-300, 300, dtype=">i2")
    compare(voxels)
    compare(voxels.astype(">f4"), rel=1e-6)


def test_extremes_of_sixteen_bits() -> None:
    compare(np.array([-32768, 32767], "int16"))
    compare(np.array([0, 65535] * 3, "uint16"))
    compare(np.full(7, -32768, "int16"))


def test_half_precision_does_not_overflow() -> None:
    compare(np.full(1000, 60000, "float16"), rel=1e-3)


@pytest.mark.parametrize("top", [1e300, float(np.finfo("float64").max)])
def test_voxels_whose_squares_float64_does_not_hold(top: float) -> None:
    half = np.random.default_rng(0).random(500)
    voxels = np.concatenate([half * top, -half * top, [top, -top]])
    with np.errstate(over="raise", invalid="raise"):
        found, _ = channel_statistics(voxels)
        one, _ = channel_statistics(np.append(half, top))
    assert channel_statistics(np.array([top, -top]))[0].percentiles[3] == 0
    small = voxels / 2.0**700
    scale = 2.0**700
    assert (found.minimum, found.maximum) == (-top, top)
    assert found.std == pytest.approx(small.std() * scale)
    expected = [p * scale for p in np.percentile(small, PERCENTILES)]
    assert found.percentiles == pytest.approx(expected)
    assert one.percentiles[:4] == pytest.approx(np.percentile(half, [0.5, 1, 5, 50]), rel=1e-2)
    assert one.mean == pytest.approx(top / 501)


@given(
    arrays.arrays(
        st.sampled_from(["uint8", "int16", "int32", "float32", "float64"]),
        SHAPES,
        elements=st.integers(0, 5),
    ),
    st.sampled_from("CF"),
)
def test_each_label_value_is_counted(label: np.ndarray, order: str) -> None:
    label = np.asarray(label, order=order)
    assert label_counts(label) == dict(Counter(map(float, label.ravel().tolist())))
    assert label_counts(label[::-1]) == label_counts(label)


def test_labels_of_either_sign_are_counted_in_every_block() -> None:
    label = np.tile(np.array([-3, 0, 0, 127], "int8"), statistics.HISTOGRAM_BLOCK)
    quarter = label.size // 4
    assert label_counts(label) == {-3.0: quarter, 0.0: 2 * quarter, 127.0: quarter}


@pytest.mark.parametrize(("values", "known"), [(MAX_LABEL_VALUES, True), (257, False)])
def test_too_many_values_are_no_labels(values: int, known: bool) -> None:
    label = np.arange(values, dtype="int16")
    assert (label_counts(label) is not None) == known
    assert (label_counts(np.tile(label, 1000)) is not None) == known


def test_rare_values_are_counted_too() -> None:
    label = np.zeros(1_000_000, "uint8")
    label[123_457] = 9
    assert label_counts(label) == {0.0: 999_999, 9.0: 1}


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_labels_that_are_no_numbers(odd: float) -> None:
    assert label_counts(np.array([0, odd])) is None


def test_labels_that_float64_cannot_tell_apart_are_not_counted_as_one() -> None:
    assert label_counts(np.array([2**53, 2**53 + 1], "int64")) is None
