"""Patches through BalancedSequence: right, repeatable, and no more read than they touch."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
from helpers import flip_bit, make_cache
from scipy.ndimage import affine_transform

from niicache import BalancedSequence, Foreground, augment, open_cache
from niicache.errors import DamageWarning, OptionError

PATCH = (12, 10, 24)  # longer than the images along the last axis


@pytest.fixture
def cache(patch_cache):
    return open_cache(patch_cache)


def cut(stored, box, fill=0):
    """Return a box of a stored case, padded by numpy where it reaches beyond."""
    widths = [
        (max(0, -a), max(0, b - n))
        for a, b, n in zip(box.start, box.stop, stored.shape, strict=False)
    ]
    padded = np.pad(stored, [*widths, (0, 0)], constant_values=fill)
    at = tuple(
        slice(a + w, b + w) for a, b, (w, _) in zip(box.start, box.stop, widths, strict=True)
    )
    return padded[at]


@pytest.mark.parametrize("dtype", ["float32", "int16", "float16", "int64"])
@pytest.mark.parametrize("foreground", [None, 0.5])
def test_a_patch_is_a_box_of_its_case(cache, dtype, foreground):
    sequence = BalancedSequence(cache, 6, patch=PATCH, foreground=foreground, dtype=dtype, steps=4)
    for step in range(4):
        images, masks = sequence.batch(1, step)
        assert images.dtype == dtype
        assert masks.dtype == np.uint8
        for (case, box, valid), image, mask in zip(
            sequence.patches(1, step), images, masks, strict=True
        ):
            stored = cache[case[0]][case[1]]
            np.testing.assert_array_equal(image, cut(stored.image, box).astype(dtype))
            np.testing.assert_array_equal(mask, cut(stored.label, box))
            real = np.zeros(stored.image.shape[:3], bool)
            view = cache[case[0]]
            at = view.cases.index(case[1])
            ends = zip(view.column("box_start")[at], view.column("box_stop")[at], strict=True)
            real[tuple(slice(*pair) for pair in ends)] = True
            told = np.zeros(PATCH, bool)
            told[valid.slices] = True
            np.testing.assert_array_equal(told, cut(real[..., None], box)[..., 0])


def test_transforms_see_what_lies_around_the_patch(cache):
    """As if the whole case were turned about the middle of the patch, and then cut."""
    turn = augment.Affine(rotation=(30.0, 30.0), fill_mode="nearest")
    sequence = BalancedSequence(cache, 4, patch=(9, 9, 9), transform=turn, steps=3)
    images, masks = sequence.batch(0, 0)
    for (case, box, _), image, mask in zip(sequence.patches(0, 0), images, masks, strict=True):
        stored = cache[case[0]][case[1]]
        matrix = turn.matrix(turn.draw(np.random.default_rng(0), (9, 9, 9, 1)), (9, 9, 9, 1))
        matrix[:, 3] += box.start
        for voxels, got, order in ((stored.image, image, 1), (stored.label, mask, 0)):
            want = affine_transform(
                voxels[..., 0].astype(np.float64),
                matrix[:, :3],
                matrix[:, 3],
                output_shape=(9, 9, 9),
                order=order,
                mode="nearest",
            )
            if order:
                np.testing.assert_allclose(got[..., 0], want, atol=0.05)
            else:
                assert (got[..., 0] != want).mean() < 0.01


def test_a_batch_is_the_same_however_it_is_made(cache):
    """By any thread, in any order, with any memory, after a pickle."""

    def made(**options):
        return BalancedSequence(
            cache,
            5,
            patch=(10, 10, 10),
            foreground=0.4,
            steps=6,
            transform=augment.medical(),
            **options,
        )

    wanted = [made(seed=1, memory=0).batch(2, step)[0] for step in range(6)]
    sequence = pickle.loads(pickle.dumps(made(seed=1, memory="1GiB")))  # noqa: S301 - our own
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda step: sequence.batch(2, step)[0], reversed(range(6))))
    for a, b in zip(wanted, reversed(got), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (made(seed=2).batch(2, 0)[0] != wanted[0]).any()
    assert (made(seed=1).batch(3, 0)[0] != wanted[0]).any()


def test_a_lesion_in_the_corner_is_in_every_forced_patch(cache):
    rule = Foreground(share=0.5, weights={2: 1})
    sequence = BalancedSequence(
        cache, 4, patch=(8, 8, 8), foreground=rule, weights={"ill": 1, "well": 0}, steps=20
    )
    for step in range(20):
        _, masks = sequence.batch(0, step)
        assert (masks[2:] == 2).any(axis=(1, 2, 3, 4)).all()


def test_only_touched_chunks_are_decoded(cache, monkeypatch):
    sequence = BalancedSequence(cache, 2, patch=(8, 8, 8), steps=3, memory=0)
    counted = []
    decode = sequence._loader._filler._decoder._read
    monkeypatch.setattr(
        sequence._loader._filler._decoder,
        "_read",
        lambda chunks, targets, trusted: (
            counted.append(sum(chunks[i][0].nbytes for i in targets))
            or decode(chunks, targets, trusted)
        ),
    )
    for step in range(3):
        counted.clear()
        sequence.batch(0, step)
        reading = sequence.reading(0, step)
        assert sum(counted) == reading.decoded
        assert reading.useful == 2 * 8**3 * (2 + 1)
        assert reading.per_useful_byte == reading.decoded / reading.useful


def test_a_damaged_case_is_replaced_and_its_patch_told(patch_source, tmp_path):
    target = make_cache(
        patch_source, tmp_path / "cache", chunk=(1, 8, 8, 8), patch=(8,) * 3, shards=1
    )
    flip_bit(target / "ill/image/c/0/0/0/0/0", 0.3)
    sequence = BalancedSequence(
        target, 4, patch=(30, 28, 20), steps=2, on_damage="skip", transform=augment.Flip(p=0.5)
    )
    cache = sequence.cache
    with pytest.warns(DamageWarning):
        batches = [sequence.batch(0, step)[0] for step in range(2)]
    assert sequence.damaged == (("ill", cache["ill"].slot_names[0]),)
    for step, images in enumerate(batches):
        for (case, box, _), image in zip(sequence.patches(0, step), images, strict=True):
            assert case not in sequence.damaged
            assert sorted(image.ravel()) == sorted(cut(cache[case[0]][case[1]].image, box).ravel())


def test_folders_and_vectors_keep_their_labels(request):
    for name in ("folder_cache", "vector_cache"):
        cache = open_cache(request.getfixturevalue(name))
        whole = BalancedSequence(cache, 8, steps=1)
        part = BalancedSequence(cache, 8, steps=1, patch=(5, 6))
        np.testing.assert_array_equal(whole.batch(0, 0)[1], part.batch(0, 0)[1])
        assert part.batch(0, 0)[0].shape[1:3] == (5, 6)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"patch": (4, 4)}, "patch: got (4, 4), expected 3 positive whole numbers"),
        ({"patch": True}, "patch: got True, expected 3"),
        ({"patch": 8, "foreground": 0.2}, "expected one that makes a whole sample"),
        ({"patch": (4, 0, 4)}, "patch: got (4, 0, 4)"),
        ({"foreground": 0.3}, "foreground: got 0.3 without patch"),
        ({"patch": (4, 4, 4), "foreground": 2}, "foreground: got 2, expected a number from 0 to 1"),
        (
            {"patch": (4, 4, 4), "foreground": Foreground(share=1, weights={0: 1, 2: 1})},
            "0 is the background",
        ),
        (
            {"patch": (4, 4, 4), "foreground": Foreground(share=1, weights={7: 1})},
            "got label values 7, expected some of 0, 1, 2",
        ),
    ],
)
def test_wrong_options_are_refused(cache, options, text):
    with pytest.raises(OptionError) as caught:
        BalancedSequence(cache, 2, **options)
    assert text in str(caught.value)


def test_a_cache_without_coordinates_says_how_to_get_them(volume_cache):
    with pytest.raises(OptionError, match="build it again with --patch 4,4,4"):
        BalancedSequence(volume_cache, 2, patch=(4, 4, 4), foreground=0.5)


def test_masks_of_many_values_have_no_foreground_to_draw(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        file = tmp_path / "s" / "a" / kind / "c.nii.gz"
        file.parent.mkdir(parents=True)
        voxels = rng.permutation(8**3).reshape(8, 8, 8).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), file)
    target = make_cache(tmp_path / "s", tmp_path / "c", patch=(4, 4, 4))
    with pytest.raises(OptionError, match="at most 256 values"):
        BalancedSequence(target, 2, patch=4, foreground=0.5)


def test_whole_cases_have_no_patches(cache):
    with pytest.raises(OptionError, match="whole cases"):
        BalancedSequence(cache, 2).patches(0, 0)


def test_one_number_is_a_cube(cache):
    one, other = (BalancedSequence(cache, 2, patch=patch).batch(0, 0) for patch in (8, (8, 8, 8)))
    np.testing.assert_array_equal(one[0], other[0])


def test_by_chance_any_share_will_do(cache):
    BalancedSequence(cache, 2, patch=8, foreground=Foreground(share=0.2, exact=False))


def test_resume_compares_patches(cache):
    def stream(**options):
        return BalancedSequence(cache, 2, **options)._stream()

    one = stream(patch=(8, 8, 8), foreground=0.5)
    assert one == stream(patch=(8, 8, 8), foreground=Foreground(share=0.5))
    assert one != stream(patch=(8, 8, 9), foreground=0.5)
    assert one != stream(patch=(8, 8, 8), foreground=0.6)
    assert one != stream()
