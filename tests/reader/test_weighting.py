"""``sample_weight``: every voxel of a mask weighed, as numpy and Keras reckon it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import flip_bit, make_cache, real_voxels
from scipy.ndimage import affine_transform

from niicache import BalancedSequence, OrderedSequence, augment, open_cache
from niicache.errors import DamageWarning, OptionError

CACHES = ["mask_cache", "volume_cache", "patch_cache"]


@pytest.fixture(params=CACHES)
def cache(request):
    return open_cache(request.getfixturevalue(request.param))


def by_hand(mask, inside, table):
    """Return weights from a mask, voxel by voxel."""
    made = np.zeros(mask.shape[:-1])
    for value, weight in table.items():
        made[(mask[..., 0] == value) & inside] = weight
    return made


def test_weights_are_those_of_the_labels_and_padding_weighs_nothing(cache):
    for sequence, key in (
        (BalancedSequence(cache, 5, sample_weight="balanced"), (0, 0)),
        (OrderedSequence(cache, 5, sample_weight="balanced"), (0,)),
    ):
        _, masks, weights = sequence[0]
        assert weights.dtype == np.float32
        assert weights.shape == masks.shape[:-1]
        for mask, weight, name in zip(masks, weights, sequence.cases(*key), strict=True):
            want = by_hand(mask, real_voxels(cache, *name), sequence.label_weights)
            np.testing.assert_allclose(weight, want, rtol=1e-6)


def test_every_label_counts_for_as_much_and_a_voxel_for_1(cache):
    """Over a whole pass, which delivers every case equally often."""
    sequence = OrderedSequence(cache, 4, sample_weight="balanced")
    sums, voxels = {}, 0
    for step, (_, masks, weights) in enumerate(sequence):
        for mask, weight, name in zip(masks, weights, sequence.cases(step), strict=True):
            inside = real_voxels(cache, *name)
            voxels += inside.sum()
            for value in np.unique(mask[inside]):
                chosen = weight[(mask[..., 0] == value) & inside].sum(dtype=float)
                sums[value] = sums.get(value, 0) + chosen
    assert len(sums) == len(sequence.label_weights) == 3
    np.testing.assert_allclose(list(sums.values()), voxels / 3, rtol=1e-5)


def test_classes_count_as_often_as_they_are_drawn(patch_cache):
    """The lesions are in one class: a class that is drawn more often makes them less rare."""
    weights = [
        BalancedSequence(
            patch_cache, 4, sample_weight="balanced", weights={"ill": share, "well": 1}
        ).label_weights
        for share in (1, 3)
    ]
    assert weights[0][2] > weights[1][2] > 1 > weights[1][0]
    alone = BalancedSequence(
        patch_cache, 4, sample_weight="balanced", where={"name": "c1"}
    ).label_weights
    assert alone[1] != weights[0][1]


TURN = augment.Affine(rotation=(33, 33), shift=(1.5, 1.5), fill_mode="constant", fill_label=2)


@pytest.mark.parametrize("fill_mode", ["constant", "nearest"])
def test_real_voxels_are_turned_with_the_image(mask_cache, fill_mode):
    cache = open_cache(mask_cache)
    turn = augment.Affine(rotation=(33, 33), shift=(1.5, 1.5), fill_mode=fill_mode, fill_label=2)
    sequence = BalancedSequence(cache, 6, transform=turn, sample_weight="valid")
    _, _, weights = sequence.batch(2, 0)
    shape = cache.manifest.recipe.image.shape
    matrix = turn.matrix(turn.draw(np.random.default_rng(0), shape), shape)
    for weight, name in zip(weights, sequence.cases(2, 0), strict=True):
        want = affine_transform(
            real_voxels(cache, *name).astype(float),
            matrix[:, :2],
            matrix[:, 2],
            order=0,
            mode=fill_mode,
        )
        assert set(np.unique(weight)) <= {0.0, 1.0}
        assert (weight != want).mean() < 0.02
        assert 0 < weight.mean() < 1


def test_weights_follow_the_final_mask(mask_cache):
    """What fills masks has a label, and no weight; crops, flips and functions change nothing."""

    def other(image, label, rng):
        del rng
        return image, np.where(label == 1, 2, label).astype(label.dtype)

    chain = augment.Compose(TURN, augment.CenterCrop(size=(8, 8)), augment.Flip(p=0.5))
    for transform in (chain, augment.Compose(chain, augment.Lambda(sample=other)), other):
        table = {0: 1.0, 1: 5.0, 2: 7.0}
        options = {"transform": transform, "seed": 3}
        weighed = BalancedSequence(mask_cache, 6, **options, sample_weight=table)
        valid = BalancedSequence(mask_cache, 6, **options, sample_weight="valid")
        images, masks, weights = weighed.batch(0, 0)
        plain = BalancedSequence(mask_cache, 6, **options).batch(0, 0)
        np.testing.assert_array_equal(images, plain[0])
        np.testing.assert_array_equal(masks, plain[1])
        inside = valid.batch(0, 0)[2] == 1
        assert not inside.all()
        np.testing.assert_array_equal(weights, by_hand(masks, inside, table))


@pytest.mark.parametrize("turn", [None, augment.Flip(p=0.5)])
def test_patches_have_their_valid_box(patch_cache, turn):
    size = (12, 10, 24)  # longer than the images along the last axis
    sequence = BalancedSequence(
        patch_cache, 6, patch=size, foreground=0.5, sample_weight="valid", transform=turn, steps=3
    )
    for step in range(3):
        for patch, weight in zip(
            sequence.patches(0, step), sequence.batch(0, step)[2], strict=True
        ):
            inside = np.zeros(size)
            inside[patch.valid.slices] = 1
            if turn is None:
                np.testing.assert_array_equal(weight, inside)
            else:
                assert weight.sum() == inside.sum()
                np.testing.assert_array_equal(
                    np.sort(weight.sum((0, 1))), np.sort(inside.sum((0, 1)))
                )


def test_cutmix_takes_weights_along(mask_cache):
    table = {0: 1.0, 1: 5.0, 2: 7.0}
    options = {"batch_transform": augment.CutMix(), "seed": 1}
    weighed = BalancedSequence(mask_cache, 6, sample_weight=table, **options).batch(0, 0)
    valid = BalancedSequence(mask_cache, 6, sample_weight="valid", **options).batch(0, 0)
    unmixed = BalancedSequence(mask_cache, 6, sample_weight="valid", seed=1).batch(0, 0)
    np.testing.assert_array_equal(weighed[2], by_hand(weighed[1], valid[2] == 1, table))
    assert (unmixed[2] != valid[2]).any()


@pytest.mark.parametrize("still", [None, augment.Flip(p=0.0)])
def test_those_that_stand_in_for_damaged_cases_have_their_own_weights(mask_source, tmp_path, still):
    target = make_cache(mask_source, tmp_path / "cache", shards=1, chunk=(1,), pad_value=-1.5)
    flip_bit(target / "left/image/c/0/0/0/0", 0.3)
    sequence = BalancedSequence(
        target, 6, steps=4, on_damage="skip", sample_weight="valid", transform=still
    )
    with pytest.warns(DamageWarning):
        batches = [sequence.batch(0, step) for step in range(4)]
    assert sequence.damaged
    for step, (images, _, weights) in enumerate(batches):
        for image, weight, name in zip(images, weights, sequence.cases(0, step), strict=True):
            np.testing.assert_array_equal(image, sequence.cache[name[0]][name[1]].image)
            np.testing.assert_array_equal(weight, real_voxels(sequence.cache, *name))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_images_and_masks_are_what_they_are_without_weights(cache, dtype):
    plain = BalancedSequence(cache, 5, dtype=dtype).batch(1, 0)
    weighed = BalancedSequence(cache, 5, dtype=dtype, sample_weight="valid")
    again = pickle.loads(pickle.dumps(weighed))  # noqa: S301 - our own
    for one in (weighed, again):
        for a, b in zip(plain, one.batch(1, 0)[:2], strict=True):
            np.testing.assert_array_equal(a, b)
    assert weighed.peek().ndim == 3


def test_collate_gets_the_weights(mask_cache):
    seen = BalancedSequence(
        mask_cache, 4, sample_weight="valid", collate_fn=lambda *parts: [p.shape for p in parts]
    )[0]
    assert seen == [(4, 14, 10, 1), (4, 14, 10, 1), (4, 14, 10)]


def test_a_run_depends_on_the_weights(mask_cache):
    streams = [
        BalancedSequence(mask_cache, 4, sample_weight=how)._stream()
        for how in ("balanced", "valid", {0: 1, 1: 1, 2: 1})
    ]
    assert len({stream["sample_weight"] for stream in streams}) == 3
    assert "sample_weight" not in BalancedSequence(mask_cache, 4)._stream()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("voxel", "sample_weight: got 'voxel', expected 'balanced', 'valid'"),
        ({}, "sample_weight: got {}"),
        ({0: -1}, "weights of at least 0"),
        ({0: float("inf")}, "weights of at least 0"),
        ({"0": 1}, "weights of at least 0"),
        ({0: 1, 5: 2}, "got no weight of label 1, 2, expected one of each: 0, 1, 2"),
    ],
)
@pytest.mark.parametrize("kind", [BalancedSequence, OrderedSequence])
def test_what_makes_no_sense_is_refused(mask_cache, kind, how, match):
    with pytest.raises(OptionError, match=match):
        kind(mask_cache, 4, sample_weight=how)


@pytest.mark.parametrize("name", ["vector_cache", "folder_cache"])
def test_other_labels_have_no_voxels_to_weigh(request, name):
    with pytest.raises(OptionError, match=r"labels of kind '(vector|folder)', expected masks"):
        BalancedSequence(request.getfixturevalue(name), 4, sample_weight="balanced")


def test_a_label_that_a_function_made_up_is_named(mask_cache):
    def odd(image, label, rng):
        del rng
        return image, label + np.uint8(9)

    sequence = BalancedSequence(mask_cache, 4, sample_weight="balanced", transform=odd)
    with pytest.raises(OptionError, match=r"got label (9|10|11) in a mask, expected some of 0, 1"):
        sequence.batch(0, 0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32"])
def test_masks_of_any_type_are_looked_up(mask_cache, dtype):
    weighs = BalancedSequence(mask_cache, 4, sample_weight={2: 3.0, 0: 0.5, 1: 7.0})._weights
    mask = np.random.default_rng(0).integers(0, 3, (5, 6)).astype(dtype)
    real = np.random.default_rng(1).random((5, 6)) < 0.5
    out = np.empty(mask.shape, np.float32)
    weighs._weigh(mask, real, out)
    np.testing.assert_array_equal(out, np.where(real, np.array([0.5, 7, 3])[mask.astype(int)], 0))
    mask[real] = 4
    with pytest.raises(OptionError, match="got label 4 in a mask"):
        weighs._weigh(mask, real, out)


def test_keras_weighs_the_loss_as_numpy_does(mask_cache):
    import keras

    image = keras.Input((14, 10, 1))
    scaled = keras.layers.Rescaling(1e-3)(image)
    keras.utils.set_random_seed(4)
    model = keras.Model(image, keras.layers.Conv2D(3, 1, activation="softmax")(scaled))
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.SGD(0.0), loss)
    train = BalancedSequence(mask_cache, 6, steps=2, sample_weight="balanced")
    val = OrderedSequence(mask_cache, 6, sample_weight=train.label_weights)
    told = model.fit(train, validation_data=val, epochs=1, shuffle=False, verbose=0).history
    for key, batches in (("loss", [train.batch(0, step) for step in range(2)]), ("val_loss", val)):
        losses, sizes, plain = [], [], []
        for x, y, weight in batches:
            sure = np.take_along_axis(model.predict(x, verbose=0), y.astype(int), axis=-1)[..., 0]
            losses.append((-np.log(sure) * weight).mean())
            plain.append((-np.log(sure)).mean())
            sizes.append(len(x))
        np.testing.assert_allclose(told[key][0], np.average(losses, weights=sizes), rtol=1e-4)
        assert abs(told[key][0] - np.average(plain, weights=sizes)) > 0.01
