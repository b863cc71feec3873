"""``normalize``: images scaled by what the cache knows of each case, without another pass."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from helpers import make_cache, source_files

from niicache import BalancedSequence, OrderedSequence, augment, open_cache
from niicache.errors import OptionError

WAYS = [
    "zscore",
    "minmax",
    ("window", -1000, 400),
    ("percentile", 0.5, 99.5),
    ("percentile", 5, 50),
    ("zscore", "nonzero"),
    ("minmax", "nonzero"),
    ("percentile", 0.5, 99.5, "nonzero"),
]
CACHES = ["mask", "vector", "folder", "volume"]


@pytest.fixture(params=CACHES)
def both(request):
    """Return a cache, and (class, case) to the voxels of its source."""
    files = source_files(request.getfixturevalue(f"{request.param}_source"))
    voxels = {key: nibabel.load(image).get_fdata() for key, (image, _) in files.items()}
    return open_cache(request.getfixturevalue(f"{request.param}_cache")), voxels


def scaled(stored, real, way):
    """Return a stored channel scaled by what numpy knows of the real voxels of its source."""
    if way[-1] == "nonzero":
        return scaled(stored, real[real != 0], way[0] if len(way) == 2 else way[:-1])
    if way == "zscore":
        return (stored - real.mean()) / real.std()
    if way == "minmax":
        return (stored - real.min()) / (real.max() - real.min())
    kind, low, high = way
    if kind == "percentile":
        low, high = np.percentile(real, [low, high])
    return np.clip((stored - low) / (high - low), 0, 1)


def wanted(cache, voxels, owner, case, way):
    """Return a whole case, padding included: it is scaled along."""
    stored = cache[owner][case].image.astype(np.float64)
    real = voxels[owner, case].reshape(-1, stored.shape[-1])
    return np.stack([scaled(stored[..., c], real[:, c], way) for c in range(stored.shape[-1])], -1)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_images_are_scaled_as_numpy_scales_their_sources(both, way):
    cache, voxels = both
    sequence = OrderedSequence(cache, 4, normalize=way)
    for step in (0, len(sequence) - 1):
        images, _ = sequence[step]
        for image, (owner, case) in zip(images, sequence.cases(step), strict=True):
            want = wanted(cache, voxels, owner, case, way)
            # the builder's percentiles are numpy's to a thousandth of the range
            atol = 5e-3 if way[0] == "percentile" else 1e-5
            np.testing.assert_allclose(image, want, atol=atol, rtol=1e-4)


def test_padding_is_scaled_along(mask_cache):
    cache = open_cache(mask_cache)  # padded with -1.5
    sequence = OrderedSequence(cache, 14, normalize="zscore")
    images, _ = sequence[0]
    for image, (owner, case) in zip(images, sequence.cases(0), strict=True):
        view = cache[owner]
        at = view.cases.index(case)
        box = tuple(map(slice, view.column("box_start")[at], view.column("box_stop")[at]))
        outside = np.ones(image.shape, bool)
        outside[box] = False
        pad = (-1.5 - view.column("mean")[at]) / view.column("std")[at]
        np.testing.assert_allclose(image[outside], pad[0], rtol=1e-4)
        assert abs(image[box].mean()) < 1e-4
        assert abs(image[box].std() - 1) < 1e-4


def test_zeros_do_not_count_where_that_is_asked(tmp_path):
    """A head in air: mean and deviation are those of the head."""
    rng = np.random.default_rng(0)
    head = np.zeros((9, 8, 7), np.int16)
    head[2:7, 2:6, 1:5] = rng.integers(1, 900, (5, 4, 4))
    source = tmp_path / "source" / "only"
    source.mkdir(parents=True)
    nibabel.save(nibabel.Nifti1Image(head, np.eye(4)), source / "head.nii.gz")
    cache = open_cache(make_cache(tmp_path / "source", tmp_path / "cache"))
    (images, _), *_ = OrderedSequence(cache, 1, normalize=("zscore", "nonzero"))
    real = head[head != 0]
    want = (head - real.mean()) / real.std()
    np.testing.assert_allclose(images[0, ..., 0], want, atol=1e-5)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_function_gets_the_scaled_image(vector_cache, way):
    seen = []

    def look(image, label, rng):
        del rng
        seen.append(image.copy())
        return image * 2, label

    plain = BalancedSequence(vector_cache, 6, normalize=way).batch(1, 0)[0]
    got = BalancedSequence(vector_cache, 6, normalize=way, transform=look).batch(1, 0)[0]
    np.testing.assert_array_equal(np.stack(seen), plain)
    np.testing.assert_array_equal(got, plain * 2)


def made_by_hand(way):
    names = {"zscore": augment.ZScore, "minmax": augment.MinMax}
    kind, *ends = (way,) if isinstance(way, str) else way
    nonzero = ends[-1:] == ["nonzero"]
    if kind in names:
        return [names[kind](nonzero=nonzero)]
    low, high = ends[:2]
    if kind == "window":
        return [augment.Window(low=low, high=high)]
    scale = augment.Percentile(low=low, high=high, nonzero=nonzero)
    return [scale, augment.Clip(low=0, high=1)]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("fill_mode", ["constant", "nearest"])
@pytest.mark.parametrize("fixture", ["mask_cache", "vector_cache"])  # one channel, three
def test_it_stands_before_the_transform(request, fixture, way, fill_mode):
    """What fills is in the units after it: 0 stays 0."""
    cache = request.getfixturevalue(fixture)
    turn = augment.Affine(rotation=(40, 40), shift=(2, 2), fill_mode=fill_mode)
    one = BalancedSequence(cache, 6, normalize=way, transform=turn)
    other = BalancedSequence(cache, 6, transform=augment.Compose(*made_by_hand(way), turn))
    for a, b in zip(one.batch(0, 0), other.batch(0, 0), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one._stream() == other._stream()
    if fill_mode == "constant":
        np.testing.assert_allclose(one.batch(0, 0)[0][:, 0, 0], 0, atol=1e-6)


def test_patches_are_scaled_by_their_whole_case(patch_cache):
    options = {"patch": (8, 8, 8), "steps": 2}
    plain = BalancedSequence(patch_cache, 4, **options)
    scaled = BalancedSequence(patch_cache, 4, **options, normalize="zscore")
    for image, raw, (owner, case) in zip(
        scaled.batch(0, 1)[0], plain.batch(0, 1)[0], plain.cases(0, 1), strict=True
    ):
        view = plain.cache[owner]
        at = view.cases.index(case)
        mean, std = view.column("mean")[at], view.column("std")[at]
        np.testing.assert_allclose(image, (raw - mean) / std, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "way",
    [
        *("z-score", "window", ("zscore", 1, 2), ("window", 1), ("window", 1, 2, 3), 3, True, []),
        *(("window", 1, 2, "nonzero"), ("zscore", "zero"), ("nonzero",)),
        *(("window", 5, 1), ("window", "a", "b"), ("percentile", 2, 99.5), ("percentile", 99, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [BalancedSequence, OrderedSequence])
def test_what_makes_no_sense_is_refused(mask_cache, kind, way):
    with pytest.raises(OptionError, match=r"normalize: got|Window\.|Percentile\."):
        kind(mask_cache, 4, normalize=way)


def test_integers_are_not_scaled(vector_cache):
    with pytest.raises(OptionError, match="dtype: got 'int16' with normalize"):
        BalancedSequence(vector_cache, 4, normalize="zscore", dtype="int16")


def test_a_scale_of_the_case_beside_it_is_refused(mask_cache):
    with pytest.raises(OptionError, match=r"MinMax\(.*got it after ZScore.*known of its stored"):
        BalancedSequence(mask_cache, 4, normalize="zscore", transform=augment.MinMax())
