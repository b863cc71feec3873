"""Transforms in a Sequence: on the way from chunk to batch, and on whole batches."""

from __future__ import annotations

import hashlib
import os
import pickle

import numpy as np
import pytest
from helpers import flip_bit, run_python

from niicache import BalancedSequence, OrderedSequence, augment, open_cache
from niicache.errors import DamageError, DamageWarning, OptionError
from niicache.hot import SHARED
from niicache.sampling import sample_generator

CACHES = ["mask_cache", "vector_cache", "folder_cache", "volume_cache", "sharded_cache"]


@pytest.fixture(params=CACHES)
def cache(request):
    return open_cache(request.getfixturevalue(request.param))


def brighter(image, label, rng):
    return image + np.float32(rng.random()), label


def everything(shape):
    """Return a transform of every kind: moved, cut out, changed in place, by a function."""
    box = tuple(n - 2 for n in shape[:-1])
    return augment.Compose(
        augment.Affine(rotation=20, shift=1.5, fill_mode="nearest"),
        augment.Flip(p=0.5),
        augment.RandomCrop(size=box),
        augment.ZScore(),
        augment.Gamma(gamma=(0.7, 1.5), p=0.5),
        augment.GaussianNoise(sigma=(0.0, 0.1)),
        augment.Lambda(sample=brighter),
    )


def expected(cache, sequence, transform, epoch, step):
    """Return a batch made of stored cases, one sample after another, as the definition says."""
    images, labels = [], []
    for slot, (name, case) in enumerate(sequence.cases(epoch, step)):
        view = cache[name]
        at = view.cases.index(case)
        image, label = view[at]
        facts = augment.Facts(
            **{
                column: tuple(view.column(column)[at].tolist())
                for column in ("spacing", "mean", "std")
            }
        )
        one, mark = transform(
            image.astype(np.float32), label, sample_generator(0, epoch, step, slot), facts
        )
        images.append(one)
        labels.append(np.eye(len(cache))[label] if label.ndim == 0 else mark)
    return np.stack(images), np.stack(labels)


@pytest.mark.parametrize("memory", [0, 2**30])
def test_a_batch_is_what_the_transform_makes_of_stored_cases(cache, memory):
    transform = everything(cache.manifest.recipe.image.shape)
    sequence = BalancedSequence(cache, 6, transform=transform, memory=memory, workers=1)
    for epoch, step in ((0, 0), (3, 0), (0, 0)):
        images, labels = sequence.batch(epoch, step)
        wanted, marks = expected(cache, sequence, transform, epoch, step)
        assert images.dtype == np.float32
        np.testing.assert_allclose(images, wanted, rtol=1e-4, atol=1e-3 * np.abs(wanted).max())
        np.testing.assert_array_equal(labels, marks)


def test_a_batch_is_the_same_from_any_number_of_threads(cache):
    transform = everything(cache.manifest.recipe.image.shape)
    one, four = (
        BalancedSequence(cache, 5, transform=transform, workers=workers, steps=3)
        for workers in (1, 4)
    )
    pairs = zip(one.batches(0, epochs=2), four.batches(0, epochs=2), strict=True)
    for (x, y), (a, b) in pairs:
        np.testing.assert_array_equal(x, a)
        np.testing.assert_array_equal(y, b)


def test_a_transform_that_does_nothing_leaves_every_bit(cache):
    image = cache.manifest.recipe.image
    plain = BalancedSequence(cache, 6)
    for transform in (augment.Compose(), augment.Flip(p=0), augment.Affine(rotation=0)):
        same = BalancedSequence(cache, 6, transform=transform)
        for a, b in zip(plain[0], same[0], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        assert same[0][0].shape[1:] == image.shape


def test_a_mask_moves_with_its_image_and_gets_no_new_value(mask_cache):
    cache = open_cache(mask_cache)
    turned = BalancedSequence(
        cache, 8, transform=augment.Affine(rotation=(90, 90), fill_label=0), seed=2
    )
    plain = BalancedSequence(cache, 8, seed=2)
    values = set(np.unique(plain[0][1])) | {0}
    assert set(np.unique(turned[0][1])) <= values


def test_quarter_turns_are_exact_for_image_and_mask(mask_cache):
    crop = augment.CenterCrop(size=8)
    turned = BalancedSequence(
        mask_cache, 8, transform=augment.Compose(crop, augment.Rotate90(axes=(0, 1)))
    )
    plain = BalancedSequence(mask_cache, 8, transform=crop)
    for step in range(len(turned)):
        for x, y, image, mask in zip(*turned[step], *plain[step], strict=True):
            turns = [
                k
                for k in range(4)
                if np.array_equal(np.rot90(image, k), x) and np.array_equal(np.rot90(mask, k), y)
            ]
            assert len(turns) == 1


def test_crops_decide_the_shape_of_a_batch(volume_cache):
    cache = open_cache(volume_cache)
    sequence = BalancedSequence(cache, 3, transform=augment.RandomCrop(size=(4, 5, 6)))
    x, y = sequence[0]
    channels = cache.manifest.recipe.label.shape[-1]
    assert x.shape == (3, 4, 5, 6, 1)
    assert y.shape == (3, 4, 5, 6, channels)


def test_a_crop_larger_than_the_cases_is_refused_at_once(mask_cache):
    with pytest.raises(OptionError, match="CenterCrop"):
        BalancedSequence(mask_cache, 4, transform=augment.CenterCrop(size=4000))


def test_options_for_volumes_are_refused_for_planes_at_once(mask_cache):
    with pytest.raises(OptionError, match=r"Affine\.rotation"):
        BalancedSequence(
            mask_cache, 4, transform=augment.Affine(rotation=((0, 1), (0, 1), (0, 1)), p=0.5)
        )


@pytest.mark.parametrize("dtype", ["int16", "float16"])
def test_a_dtype_that_transforms_cannot_work_on_is_refused_at_once(vector_cache, dtype):
    with pytest.raises(OptionError, match=f"dtype: got '{dtype}' with a transform.*'float32'"):
        BalancedSequence(vector_cache, 4, dtype=dtype, transform=augment.light())


def test_double_precision_is_kept(mask_cache):
    x, _ = BalancedSequence(mask_cache, 4, dtype="float64", transform=augment.light())[0]
    assert x.dtype == np.float64


def test_evaluation_scales_and_cuts_as_training_does(vector_cache):
    cache = open_cache(vector_cache)
    transform = augment.Compose(augment.CenterCrop(size=6), augment.ZScore())
    sequence = OrderedSequence(cache, 7, transform=transform)
    x = np.concatenate([sequence[k][0] for k in range(len(sequence))])
    plain = np.concatenate([image for image, _ in OrderedSequence(cache, 7)])
    mean, std = (
        np.concatenate([view.column(name) for view in cache])[:, None, None]
        for name in ("mean", "std")
    )
    first = [(n - 6) // 2 for n in plain.shape[1:3]]
    cut = plain[:, first[0] : first[0] + 6, first[1] : first[1] + 6]
    np.testing.assert_allclose(x, (cut - mean) / std, rtol=1e-4, atol=1e-4)


def test_evaluation_draws_the_same_in_every_pass(vector_cache):
    sequence = OrderedSequence(vector_cache, 7, transform=augment.GaussianNoise(sigma=(1, 1)))
    np.testing.assert_array_equal(sequence[1][0], sequence[1][0])
    np.testing.assert_array_equal(sequence.batch(0, 1)[0], sequence.batch(5, 1)[0])


def test_batches_are_mixed(vector_cache):
    plain = BalancedSequence(vector_cache, 12, seed=4)
    mixed = BalancedSequence(vector_cache, 12, seed=4, batch_transform=augment.MixUp(alpha=1))
    (x, y), (a, b) = plain[0], mixed[0]
    rng = sample_generator(4, 0, 0, 12)
    params = augment.MixUp(alpha=1).draw(rng, x.shape)
    share = params.share[:, None, None, None]
    np.testing.assert_allclose(a, x * share + x[params.partner] * (1 - share), rtol=1e-5, atol=1e-3)
    share = params.share[:, None]
    np.testing.assert_allclose(b, y * share + y[params.partner] * (1 - share), rtol=1e-5)
    assert len(np.unique(params.share)) > 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": augment.MixUp()}, "transform: got MixUp.*give it as batch_transform"),
        ({"batch_transform": augment.Flip()}, "batch_transform: got Flip.*augment.MixUp"),
        ({"batch_transform": brighter}, "batch_transform: got <function brighter.*collate_fn"),
    ],
)
def test_a_transform_in_the_wrong_place_is_refused(mask_cache, options, message):
    with pytest.raises(OptionError, match=message):
        BalancedSequence(mask_cache, 4, **options)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (augment.ZScore, r"got <class .*make one: ZScore\(\.\.\.\)"),
        (augment.medical, r"got <function medical.*call it: augment\.medical\(\)"),
        ([augment.Flip()], r"put them together: augment\.Compose\(\*transforms\)"),
        ("medical", "got 'medical', expected a transform of niicache.augment"),
        (augment.Affine(fill_label=300), "fill_label: got 300, expected what masks of .* hold"),
        (augment.Rotate90(p=0.001), r"Rotate90\.axes: got \(0, 1\) for an image of shape"),
        (augment.LowResolution(axes=(2,)), r"LowResolution\.axes: got \(2,\)"),
    ],
)
def test_what_fits_no_case_is_refused_at_once(mask_cache, transform, message):
    with pytest.raises(OptionError, match=message):
        BalancedSequence(mask_cache, 4, transform=transform)


@pytest.mark.parametrize(
    ("cache", "options", "message"),
    [
        ("mask_cache", {}, "MixUp: got labels of shape"),
        ("vector_cache", {"dtype": "int16"}, "MixUp: got images of int16"),
    ],
)
def test_batches_that_cannot_be_mixed_are_refused_at_once(cache, options, message, request):
    path = request.getfixturevalue(cache)
    with pytest.raises(OptionError, match=message):
        BalancedSequence(path, 4, batch_transform=augment.MixUp(), **options)


def test_a_mask_is_filled_with_the_very_label(mask_cache):
    cache = open_cache(mask_cache)
    largest = int(np.iinfo(cache.manifest.recipe.label.dtype).max)
    moved = augment.Affine(shift=((100, 100), (100, 100)), fill_label=largest)
    _, y = BalancedSequence(cache, 4, transform=moved)[0]
    assert (y == largest).all()


def test_where_a_scale_acts_seldom_bits_do_not_depend_on_memory(vector_cache):
    transform = augment.Compose(augment.Flip(), augment.Rescale(scale=-2.0, p=0.3))
    batches = [
        BalancedSequence(vector_cache, 16, transform=transform, memory=memory, workers=1)[0][0]
        for memory in (0, 4000, 2**20)
    ]
    for one in batches[1:]:
        assert one.tobytes() == batches[0].tobytes()


def test_an_error_says_on_which_sample(mask_cache):
    def broken(image):
        return image / image.shape["channel"]

    sequence = BalancedSequence(mask_cache, 4, transform=augment.Lambda(image=broken))
    with pytest.raises(TypeError) as caught:
        sequence.batch(2, 0)
    assert "sample 0 of batch 0 of epoch 2" in caught.value.__notes__[0]


def test_what_a_function_makes_of_another_shape_is_refused(mask_cache):
    sequence = BalancedSequence(
        mask_cache, 4, transform=augment.Lambda(image=lambda image: image[:2])
    )
    with pytest.raises(OptionError, match=r"Lambda\.image: .*got shape \(2, 10, 1\)"):
        sequence[0]


def test_sequences_with_transforms_pickle(mask_cache):
    sequence = BalancedSequence(
        mask_cache, 4, transform=augment.medical(), batch_transform=augment.CutMix()
    )
    again = pickle.loads(pickle.dumps(sequence))  # noqa: S301  # made one line above
    for a, b in zip(sequence[0], again[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_cases_that_stand_in_are_augmented_with_their_own_facts(copy_of, vector_cache):
    path = copy_of(vector_cache)
    shard = next(one for one in path.glob("axial/image/c/**/*") if one.is_file())
    for place in (0.1, 0.2, 0.3):
        flip_bit(shard, place)
    transform = augment.Compose(augment.Affine(rotation=5), augment.ZScore())
    sequence = BalancedSequence(path, 16, transform=transform, on_damage="skip")
    with pytest.warns(DamageWarning, match="replaced by others"):
        batches = [sequence.batch(0, step) for step in range(len(sequence))]
    assert sequence.damaged
    good = open_cache(vector_cache)
    for step, (x, _) in enumerate(batches):
        wanted, _ = expected(good, sequence, transform, 0, step)
        np.testing.assert_allclose(x, wanted, atol=1e-3)


def test_a_batch_is_the_same_in_another_process(mask_cache):
    code = f"""
import hashlib
import os
from niicache import BalancedSequence, augment
x, y = BalancedSequence({str(mask_cache)!r}, 4, transform=augment.medical()).batch(1, 0)
print(hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest())
"""
    x, y = BalancedSequence(mask_cache, 4, transform=augment.medical()).batch(1, 0)
    here = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()
    assert run_python(code).strip() == here


def shards_of(path):
    return [one for one in path.glob("*/image/c/**/*") if one.is_file()]


@pytest.mark.parametrize("cache", ["sharded_cache", "volume_cache"])
def test_a_case_that_cannot_be_read_is_never_augmented(copy_of, cache, request):
    path = copy_of(request.getfixturevalue(cache))
    sequence = BalancedSequence(path, 6, transform=augment.light(), memory=0, workers=1)
    sequence[0]
    for shard in shards_of(path):  # which are open, and proven where they are not compressed
        os.truncate(shard, 8)
    SHARED.clear()  # what other Sequences of this process have memory for
    with pytest.raises(DamageError):
        sequence[0]


def test_cases_from_the_page_cache_come_a_few_at_a_time(sharded_cache, monkeypatch):
    transform = augment.Compose(augment.Flip(), augment.ZScore())
    whole, few = (
        BalancedSequence(sharded_cache, 9, transform=transform, memory=0, workers=1)
        for _ in range(2)
    )
    whole[0]
    SHARED.clear()
    wanted = whole[0][0]
    few[0]
    SHARED.clear()
    case = open_cache(sharded_cache).manifest.recipe.image.case_nbytes
    monkeypatch.setattr("niicache.batch.GROUP_BYTES", 2 * case)
    np.testing.assert_array_equal(few[0][0], wanted)
