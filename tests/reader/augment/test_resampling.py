"""One resampling: scipy.ndimage is the judge of what lies between voxels."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from niicache.augment import fit
from niicache.augment.kernels import rows
from niicache.augment.kernels.compiling import compiled
from niicache.augment.resampling import is_whole, resample
from niicache.errors import OptionError

MODES = ["constant", "nearest", "reflect", "wrap"]
# Each pair is compiled for once. Together they meet every way that there is through the loops.
LINEAR = [("uint8", "float32"), ("int16", "float32"), ("int16", "float16"), ("uint16", "float32")]
LINEAR += [("int32", "float64"), ("float32", "float32"), ("float64", "float64")]
NEAREST = [("uint8", "uint8"), ("int16", "float32"), ("uint16", "int64"), ("int32", "int32")]
NEAREST += [("float64", "float32"), ("float32", "float16")]
FILL = -7.0
# What is told apart: float16 has 11 bits, the others are held to the 1e-4 of the range.
CLOSE = {"float16": 1e-3, "float32": 1e-4, "float64": 1e-4}


def noise(rng, shape, dtype):
    low, high = (0, 200) if dtype.startswith("u") else (-1000, 1000)
    values = rng.uniform(low, high, shape)
    return np.ascontiguousarray(values.astype(dtype))


def a_matrix(rng, shape, target):
    """Return a turn, a zoom, a shear and a shift about the middle."""
    axes = len(shape)
    linear = np.eye(axes) * rng.uniform(0.5, 1.6) + rng.normal(0, 0.3, (axes, axes))
    middle = (np.array(shape) - 1) / 2 + rng.normal(0, 2, axes)
    return np.c_[linear, middle - linear @ ((np.array(target) - 1) / 2)]


def places(matrix, target):
    grid = np.indices(target).reshape(len(target), -1).astype(float)
    return (matrix[:, :-1] @ grid + matrix[:, -1:]).reshape(len(target), *target)


def judged(source, matrix, target, *, order, mode, moved=None, fill=FILL):
    """Return what SciPy makes of each channel, as float64."""
    where = places(matrix, target) + (0 if moved is None else moved)
    out = np.empty((*target, source.shape[-1]))
    for channel in range(source.shape[-1]):
        given = source[..., channel].astype(float)
        kwargs = {"order": order, "mode": mode, "cval": fill, "prefilter": False}
        out[..., channel] = (
            ndimage.affine_transform(given, matrix[:, :-1], matrix[:, -1], target, **kwargs)
            if moved is None
            else ndimage.map_coordinates(given, where, **kwargs)
        )
    return out


def settled(where, shape, *, mode, order):
    """Return where rounding of the coordinates decides nothing.

    Values leap where the source ends, where it starts again, and between nearest voxels.
    """
    fine = np.ones(where.shape[1:], bool)
    for place, size in zip(where, shape, strict=True):
        leaps = place / max(size - 1, 1) if mode == "wrap" else np.minimum(place, size - 1 - place)
        fine &= abs(leaps - (np.rint(leaps) if mode == "wrap" else 0)) > 1e-6
        if order == 0:
            fine &= abs(place - np.floor(place) - 0.5) > 1e-6
    return fine


CASES = given(
    axes=st.sampled_from([2, 3]),
    data=st.data(),
    channels=st.integers(1, 4),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 2**32 - 1),
)


def shapes(data, axes):
    sizes = st.lists(st.integers(1, 40 if axes == 2 else 14), min_size=axes, max_size=axes)
    return tuple(data.draw(sizes)), tuple(data.draw(sizes))


@settings(max_examples=150, deadline=None)
@CASES
def test_linear_is_what_scipy_makes_of_it(axes, data, channels, mode, seed):
    shape, target = shapes(data, axes)
    stored, wanted = data.draw(st.sampled_from(LINEAR))
    rng = np.random.default_rng(seed)
    source = noise(rng, (*shape, channels), stored)
    matrix = a_matrix(rng, shape, target)
    out = np.full((*target, channels), 99, wanted)
    resample(source, out, matrix, order="linear", mode=mode, fill=(FILL,))
    judge = judged(source, matrix, target, order=1, mode=mode)
    fine = settled(places(matrix, target), shape, mode=mode, order=1)
    reach = max(np.ptp(source.astype(float)), abs(source.astype(float)).max(), 1.0)
    assert np.abs(out[fine] - judge[fine]).max(initial=0) <= CLOSE[wanted] * reach


@settings(max_examples=100, deadline=None)
@CASES
def test_nearest_is_what_scipy_makes_of_it(axes, data, channels, mode, seed):
    shape, target = shapes(data, axes)
    stored, wanted = data.draw(st.sampled_from(NEAREST))
    rng = np.random.default_rng(seed)
    source = noise(rng, (*shape, channels), stored)
    matrix = a_matrix(rng, shape, target)
    out = np.full((*target, channels), 99, wanted)
    resample(source, out, matrix, order="nearest", mode=mode, fill=(3,))
    judge = judged(source, matrix, target, order=0, mode=mode, fill=3)
    fine = settled(places(matrix, target), shape, mode=mode, order=0)
    np.testing.assert_array_equal(out[fine], judge[fine].astype(wanted))


@settings(max_examples=60, deadline=None)
@CASES
def test_a_displacement_moves_the_coordinates_along_a_spline(axes, data, channels, mode, seed):
    shape, target = shapes(data, axes)
    order = data.draw(st.sampled_from([0, 1]))
    stored = "int16"
    rng = np.random.default_rng(seed)
    source = noise(rng, (*shape, channels), stored)
    matrix = a_matrix(rng, shape, target)
    control = rng.normal(0, 2, (axes, *rng.integers(1, 7, axes))).astype(np.float32)
    out = np.empty((*target, channels), np.float32)
    word = ["nearest", "linear"][order]
    resample(source, out, matrix, order=word, mode=mode, fill=(FILL,), displacement=control)
    at = np.meshgrid(
        *[
            np.linspace(0, points - 1, size)
            for points, size in zip(control.shape[1:], target, strict=True)
        ],
        indexing="ij",
    )
    moved = [
        ndimage.map_coordinates(one.astype(float), at, order=3, mode="nearest", prefilter=False)
        for one in control
    ]
    judge = judged(source, matrix, target, order=order, mode=mode, moved=np.array(moved))
    fine = settled(places(matrix, target) + moved, shape, mode=mode, order=order)
    reach = max(abs(source.astype(float)).max(), 1.0) * 2
    assert np.abs(out[fine] - judge[fine]).max(initial=0) <= 1e-4 * reach


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_outermost_voxels_are_met_exactly(channels, order, sign):
    source = noise(np.random.default_rng(0), (5, 6, 7, channels), "int16")
    matrix, target = np.zeros((3, 4)), np.zeros(3, int)
    for axis, size in enumerate(source.shape[:3]):
        matrix[axis, order[axis]] = sign / 2
        matrix[axis, 3] = 0 if sign > 0 else size - 1
        target[order[axis]] = 2 * size - 1
    out = np.empty((*target, channels), np.float32)
    resample(source, out, matrix, order="linear", mode="constant", fill=(FILL,))
    judge = judged(source, matrix, tuple(target), order=1, mode="constant")
    np.testing.assert_allclose(out, judge, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(9, 8), (1, 9, 8), (7, 9, 8)])
@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_read_of_a_scratch_that_was_not_written(monkeypatch, channels, shape, mode):
    rng = np.random.default_rng(0)
    source = noise(rng, (*shape, channels), "float32")
    matrix = np.hstack([np.eye(len(shape)) * 0.9, np.full((len(shape), 1), 0.3)])
    clean = np.zeros_like(source)
    resample(source, clean, matrix, order="linear", mode=mode)
    made = np.empty

    def soiled(*given: object, **named: object) -> np.ndarray:
        array = made(*given, **named)
        array.reshape(-1).view(np.uint8)[:] = 255  # NaN as a float
        return array

    monkeypatch.setattr(np, "empty", soiled)
    out = np.zeros_like(source)
    resample(source, out, matrix, order="linear", mode=mode)
    np.testing.assert_array_equal(out, clean)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("far", [3e8, -3e8, 2.0**31, -(2.0**40), 1e18])
@pytest.mark.parametrize("axis", range(3))
def test_beyond_all_that_is_counted_lies_the_outermost_voxel(axis, far):
    source = noise(np.random.default_rng(0), (4, 5, 6, 1), "int16")
    out = np.empty((3, 4, 7, 1), np.float32)
    for column in (2, 3):  # in a row's step, so that its first voxel is inside, or in its place
        matrix = np.c_[np.eye(3) * 0.7, [0.5, 0.5, 0.25]]
        matrix[axis, column] = far
        resample(source, out, matrix, order="linear", mode="nearest")
        judge = judged(source, matrix, out.shape[:3], order=1, mode="nearest")
        np.testing.assert_allclose(out, judge, rtol=1e-4, atol=1e-2)


def a_move(rng, axes):
    """Return a flip, a quarter turn or a swap, and a shift by whole voxels."""
    linear = np.zeros((axes, axes))
    linear[np.arange(axes), rng.permutation(axes)] = rng.choice([-1.0, 1.0], axes)
    return np.c_[linear, rng.integers(-5, 20, axes)]


def picked(source, matrix, target, mode, fill):
    """Return the voxels by numpy's own indexing."""
    where = np.rint(places(matrix, target)).astype(int)
    outside, at = np.zeros(target, bool), []
    for place, size in zip(where, source.shape, strict=False):
        beyond = (place < 0) | (place >= size)
        outside |= beyond
        period = max(size - 1, 1)
        again = np.where(place < 0, -((-place) % period) + period, place % period)
        mirror = np.pad(np.arange(size), (40 * size, 40 * size), "symmetric")
        folded = {
            "constant": np.clip(place, 0, size - 1),
            "nearest": np.clip(place, 0, size - 1),
            "reflect": mirror[np.clip(place + 40 * size, 0, mirror.size - 1)],
            "wrap": np.minimum(np.where(beyond, again, place), size - 1),
        }
        at.append(folded[mode])
    out = source[tuple(at)].copy()
    if mode == "constant":
        out[outside] = fill
    return out


def bits(array):
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


@settings(max_examples=100, deadline=None)
@given(
    axes=st.sampled_from([2, 3]),
    data=st.data(),
    channels=st.integers(1, 4),
    mode=st.sampled_from(MODES),
    order=st.sampled_from(["linear", "nearest"]),
    stored=st.sampled_from(["float16", "float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_only_changes_place_keeps_every_bit(axes, data, channels, mode, order, stored, seed):
    shape, target = shapes(data, axes)
    rng = np.random.default_rng(seed)
    # Any pattern of bits is a float: all kinds of NaN, infinities, subnormal numbers, -0.0.
    size = int(np.prod(shape)) * channels * np.dtype(stored).itemsize
    source = rng.integers(0, 256, size, np.uint8).view(stored).reshape(*shape, channels)
    source[rng.random(source.shape) < 0.2] = -0.0
    matrix = a_move(rng, axes)
    out = np.full((*target, channels), 99, stored)
    resample(source, out, matrix, order=order, mode=mode, fill=(-1.5,))
    judge = picked(source, matrix, target, mode, -1.5)
    np.testing.assert_array_equal(bits(out), bits(judge))


def test_the_identity_returns_the_voxels_in_another_type():
    for stored, wanted in (*LINEAR[:3], *NEAREST[-1:]):
        source = noise(np.random.default_rng(0), (5, 6, 7, 1), stored)
        out = np.empty(source.shape, wanted)
        resample(source, out, np.eye(3, 4), order="linear", mode="constant")
        np.testing.assert_array_equal(out, source.astype(wanted))


@pytest.mark.parametrize("order", ["linear", "nearest"])
@pytest.mark.parametrize("shift", [3, 3.2, (3, 3.2, 3.2)])  # whole, in space, in a plane
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_voxels_are_scaled_and_shifted_but_not_what_is_filled(order, shift, channels):
    source = noise(np.random.default_rng(0), (9, 8, 7, channels), "int16")
    matrix = np.eye(3, 4)
    matrix[:, 3] = shift
    plain, out = np.empty(source.shape, np.float32), np.empty(source.shape, np.float32)
    resample(source, plain, matrix, order=order, mode="constant", fill=(np.nan,))
    some = {"fill": (5,), "scale": (0.5,), "offset": (-3,)}
    resample(source, out, matrix, order=order, mode="constant", **some)
    filled = np.isnan(plain)
    assert 0 < filled.sum() < filled.size
    assert (out[filled] == 5).all()
    np.testing.assert_allclose(out[~filled], plain[~filled] * 0.5 - 3, rtol=1e-5, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    axes=st.sampled_from([2, 3]),
    data=st.data(),
    channels=st.integers(1, 9),
    mode=st.sampled_from(MODES),
    order=st.sampled_from(["linear", "nearest"]),
    stored=st.sampled_from(["int16", "float64"]),
    seed=st.integers(0, 2**32 - 1),
    whole=st.booleans(),
)
def test_each_channel_has_numbers_of_its_own(
    axes, data, channels, mode, order, stored, seed, whole
):
    shape, target = shapes(data, axes)
    rng = np.random.default_rng(seed)
    source = noise(rng, (*shape, channels), stored)
    matrix = a_move(rng, axes) if whole else a_matrix(rng, shape, target)
    plain = np.empty((*target, channels), np.float64)
    resample(source, plain, matrix, order=order, mode=mode, fill=(np.nan,))
    fill, scale, offset = (tuple(rng.uniform(-3, 3, channels).tolist()) for _ in range(3))
    out = np.empty(plain.shape, np.float32 if stored == "int16" else np.float64)
    numbers = {"fill": fill, "scale": scale, "offset": offset}
    resample(source, out, matrix, order=order, mode=mode, **numbers)
    judge = np.where(np.isnan(plain), fill, plain * scale + offset)
    np.testing.assert_allclose(out, judge, rtol=1e-4, atol=5e-2 if stored == "int16" else 1e-8)


@pytest.mark.parametrize("order", ["linear", "nearest"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("step", [1.0, 0.5])  # one only changes places
def test_no_channel_is_scaled_by_the_number_of_another(channels, step, order):
    source = np.full((4, 5, channels), 10, np.int16)
    out = np.empty((4, 5, channels), np.float32)
    scale, offset = np.arange(1.0, channels + 1), -np.arange(channels) / 4
    numbers = {"scale": tuple(scale.tolist()), "offset": tuple(offset.tolist())}
    matrix = np.array([[step, 0, 0], [0, step, 0]])
    resample(source, out, matrix, order=order, mode="nearest", **numbers)
    np.testing.assert_array_equal(out, np.broadcast_to(10 * scale + offset, out.shape))


@pytest.mark.parametrize("fill", [(1, 2, 1), (2, 1, 1), (1, 1, 2), (1, 1, 1)])
def test_channels_that_are_filled_alike_are_told_from_others(fill):
    source, out = np.zeros((3, 4, 3), np.float32), np.empty((3, 4, 3), np.float32)
    matrix = np.array([[1.0, 0, 1], [0, 1, 0]])
    resample(source, out, matrix, order="nearest", mode="constant", fill=fill)
    assert out[2].tolist() == [list(fill)] * 4
    assert not out[:2].any()


def test_half_precision_is_filled_with_what_each_channel_is_told():
    source = np.full((3, 4, 2), 5, np.float16)
    out = np.empty((3, 4, 2), np.float16)
    matrix = np.array([[1.0, 0, 1], [0, 1, 0]])
    resample(source, out, matrix, order="linear", mode="constant", fill=(-2, 0.5))
    assert out[2].tolist() == [[-2, 0.5]] * 4
    assert (out[:2] == 5).all()


def test_of_two_voxels_as_near_the_later_is_taken():
    source = np.arange(10, dtype=np.uint8).reshape(1, 10, 1)
    out = np.empty((1, 9, 1), np.uint8)
    matrix = np.array([[1, 0, 0], [0, 1, 0.5]])
    resample(source, out, matrix, order="nearest", mode="constant")
    assert out.ravel().tolist() == list(range(1, 10))


def test_rows_longer_than_a_block_are_whole():
    rng = np.random.default_rng(0)
    for channels in (1, 3, 300):
        source = noise(rng, (3, 700, channels), "int16")
        out = np.empty((2, 900, channels), np.float32)
        matrix = a_matrix(rng, (3, 700), (2, 900))
        resample(source, out, matrix, order="linear", mode="reflect")
        judge = judged(source, matrix, (2, 900), order=1, mode="reflect")
        assert np.abs(out - judge).max() < 0.2


def test_values_beyond_what_float32_counts_are_reckoned_in_float64():
    source = np.array([2**30, 2**30 + 1, 2**30 + 2], np.int32).reshape(1, 3, 1)
    out = np.empty((1, 2, 1))
    matrix = np.array([[1, 0, 0], [0, 1, 0.25]])
    resample(source, out, matrix, order="linear", mode="nearest")
    assert out.ravel().tolist() == [2**30 + 0.25, 2**30 + 1.25]


@compiled
def span(base, step, last, count):
    return rows.span(base, step, last, count)


@settings(max_examples=300, deadline=None)
@given(
    base=st.floats(-1e6, 1e6),
    step=st.floats(-50, 50) | st.sampled_from([1e-300, -1e-300, 1e300, 0.1]),
    last=st.integers(0, 300),
    count=st.integers(0, 300),
)
# Where division rounds: one example for each way to be off by one.
@example(base=26.6, step=-0.12, last=26, count=40)
@example(base=26.6, step=0.35, last=28, count=40)
@example(base=18.240000000000002, step=-0.68, last=6, count=40)
@example(base=-30.400000000000002, step=1.6, last=16, count=40)
def test_a_span_is_exactly_what_is_inside(base, step, last, count):
    with np.errstate(over="ignore"):
        where = np.float64(base) + np.arange(count) * np.float64(step)
    inside = np.flatnonzero((where >= 0) & (where <= last))
    start, stop = span(base, step, float(last), count)
    assert list(range(start, stop)) == inside.tolist()


def test_every_thread_gets_the_same_bits():
    rng = np.random.default_rng(0)
    source = noise(rng, (30, 31, 32, 1), "int16")
    matrix = a_matrix(rng, source.shape[:3], (33, 34, 35))
    outs = [np.empty((33, 34, 35, 1), np.float32) for _ in range(8)]

    def work(out):
        resample(source, out, matrix, order="linear", mode="reflect")

    threads = [threading.Thread(target=work, args=(out,)) for out in outs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({out.tobytes() for out in outs}) == 1


def test_a_source_may_be_read_only_and_an_output_empty():
    source = np.ones((4, 5, 6, 1), np.int16)
    source.flags.writeable = False
    out = np.empty((4, 5, 6, 1), np.float32)
    resample(source, out, np.eye(3, 4) * 0.99, order="linear", mode="nearest")
    assert (out == 1).all()
    empty = np.empty((0, 5, 6, 1), np.float32)
    resample(source, empty, np.eye(3, 4), order="linear", mode="nearest")
    resample(np.empty((0, 5, 6, 1)), empty, np.eye(3, 4), order="linear", mode="nearest")


def test_the_signed_permutations_are_found():

    assert is_whole(np.eye(3, 4))
    assert is_whole(np.array([[0, -1.0, 7], [1, 0, -3]]))
    assert not is_whole(np.array([[0, -1.0, 7.5], [1, 0, -3]]))
    assert not is_whole(np.array([[1, 0.0, 7], [1, 0, -3]]))
    assert not is_whole(np.array([[1, 1e-9, 7], [0, 1, -3]]))
    assert not is_whole(np.array([[2.0, 0, 0], [0, 1, 0]]))


IMAGE = np.zeros((4, 5, 3), np.int16)
OUT = np.zeros((4, 5, 3), np.float32)
MATRIX = np.eye(2, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"order": "cubic"}, "order: got 'cubic', expected one of 'linear', 'nearest'"),
        ({"mode": "mirror"}, "mode: got 'mirror', expected one of 'constant'"),
        ({"source": IMAGE[0]}, r"source: got shape \(5, 3\), expected 2 or 3 spatial axes"),
        ({"source": IMAGE[:, ::2]}, "source: got strides .* np.ascontiguousarray"),
        ({"out": OUT[:, ::2]}, "out: got strides"),
        ({"source": IMAGE.astype(complex)}, "source: got dtype <c16"),
        ({"source": IMAGE.astype(">i2")}, "source: got dtype >i2"),
        ({"out": OUT[None]}, r"out: got shape \(1, 4, 5, 3\), expected 2 spatial axes and 3"),
        ({"out": OUT[..., :1].copy()}, r"out: got shape \(4, 5, 1\), expected 2 spatial axes"),
        ({"matrix": np.eye(3, 4)}, r"matrix: got shape \(3, 4\), expected \(2, 3\)"),
        ({"matrix": MATRIX * np.nan}, "matrix: got .*nan.*, expected finite numbers"),
        ({"source": IMAGE[:0]}, r"source: got shape \(0, 5, 3\), expected at least one voxel"),
        ({"source": OUT}, "out: got memory that is read-only or the source's"),
        ({"out": OUT.astype(int)}, "out: got dtype int64, expected a float dtype"),
        (
            {"source": OUT + 1, "out": OUT.astype(int), "order": "nearest"},
            "out: got dtype int64, expected a float dtype for order 'nearest' and a source of",
        ),
        (
            {"out": OUT.astype(int), "order": "nearest", "scale": (1.0, 2.0, 1.0)},
            r"scale, offset: got \(1.0, 2.0, 1.0\), \(0.0,\), expected 1 and 0",
        ),
        (
            {"out": OUT.astype(np.uint8), "order": "nearest", "fill": (0, -1, 0)},
            r"fill: got \(0, -1, 0\), expected whole numbers from 0 to 255",
        ),
        ({"scale": (1.0, 2.0)}, r"scale: got \(1.0, 2.0\), expected one number .* or 3, one for"),
        ({"offset": ()}, r"offset: got \(\), expected one number for all channels or 3"),
        ({"fill": (0.0,) * 4}, r"fill: got \(0.0, 0.0, 0.0, 0.0\), expected one number"),
        ({"displacement": np.zeros((3, 4, 4))}, r"displacement: got shape \(3, 4, 4\)"),
        ({"displacement": np.full((2, 4, 4), np.nan)}, "displacement: got NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(change, says):
    arguments = {"source": IMAGE, "out": OUT, "matrix": MATRIX, "order": "linear"}
    arguments |= {"mode": "constant"} | change
    with pytest.raises(OptionError, match=says) as refused:
        resample(**arguments)
    assert isinstance(refused.value, ValueError)


def test_the_kernels_know_every_mode():
    assert list(fit._MODES) == MODES
