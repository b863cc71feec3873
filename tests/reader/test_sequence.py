"""The Sequence by itself: batches are the drawn cases, and nothing but a function of the step."""

from __future__ import annotations

import gc
import hashlib
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers import flip_bit, make_cache, run_python

import niicache
from niicache import BalancedSequence, open_cache
from niicache.errors import DamageError, NotACacheError, OptionError
from niicache.hot import SHARED
from niicache.sampling import sample_generator

KINDS = ["vector", "mask", "folder", "volume"]


@pytest.fixture(params=KINDS)
def cache(request):
    return open_cache(request.getfixturevalue(f"{request.param}_cache"))


def noisy(image, label, rng):
    """Draw much and change both in place."""
    image += rng.normal(size=image.shape).astype(image.dtype)
    label[...] = label[::-1].copy()
    return image, label


def digest(batch):
    x, y = batch
    return hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()


def digests(sequence, epoch=0):
    return [digest(sequence.batch(epoch, step)) for step in range(len(sequence))]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_holds_the_cases_that_the_sampler_names(cache, shuffle):
    sequence = BalancedSequence(cache, 6, shuffle=shuffle, steps=3)
    views = list(cache)
    for epoch, step in [(0, 0), (0, 2), (5, 1)]:
        x, y = sequence.batch(epoch, step)
        draw = sequence._sampler.draw(epoch, step)
        assert x.dtype == np.float32
        assert x.shape == (6, *cache.manifest.recipe.image.shape)
        for place, (number, row) in enumerate(zip(draw.classes, draw.rows, strict=True)):
            sample = views[number][views[number].slot_names[row]]
            np.testing.assert_array_equal(x[place], sample.image.astype("float32"))
            if cache.manifest.recipe.label_kind == "folder":
                np.testing.assert_array_equal(y[place], np.eye(len(cache))[number])
            else:
                np.testing.assert_array_equal(y[place], sample.label)


@pytest.mark.parametrize(
    ("kind", "dtype", "labels"),
    [
        *(("vector", dtype, dtype) for dtype in ("float32", "float64")),
        *(("vector", dtype, "float32") for dtype in ("float16", "int16", "int32")),
        *(("mask", dtype, "uint8") for dtype in ("float16", "float32")),
        *(("folder", dtype, dtype) for dtype in ("float16", "float32", "int32", "uint16")),
        *(("volume", dtype, "uint8") for dtype in ("float32", "int16")),
    ],
)
def test_images_and_labels_have_the_type_that_was_asked_for(request, kind, dtype, labels):
    cache = open_cache(request.getfixturevalue(f"{kind}_cache"))
    x, y = BalancedSequence(cache, 4, dtype=dtype)[0]
    assert (x.dtype, y.dtype) == (dtype, labels)
    full = BalancedSequence(cache, 4, dtype="float64")[0]
    np.testing.assert_array_equal(x, full[0].astype(dtype))
    np.testing.assert_array_equal(y, full[1].astype(labels))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "bool", "complex64", "int3"])
def test_a_type_that_would_lose_voxels_is_refused(vector_cache, dtype):
    with pytest.raises(OptionError, match=f"dtype: got '{dtype}'.*int16"):
        BalancedSequence(vector_cache, 4, dtype=dtype)


def counts(sequence, epoch, step):
    return np.bincount(sequence._sampler.draw(epoch, step).classes, minlength=len(sequence.cache))


def test_every_batch_holds_the_same_share_of_each_class(vector_cache):
    sequence = BalancedSequence(vector_cache, 32)
    assert len(sequence) == 5  # 37 cases of the largest class, 8 a batch
    for step in range(5):
        assert counts(sequence, 1, step).tolist() == [8, 8, 8, 8]


def test_labels_show_the_shares(folder_cache):
    for weights in ({"cat": 3, "dog": 1, "bird": 2}, [2, 3, 1]):
        _, y = BalancedSequence(folder_cache, 12, weights=weights)[0]
        assert y.sum(0).tolist() == [4, 6, 2]


def test_a_remainder_evens_out(vector_cache):
    sequence = BalancedSequence(vector_cache, 7, weights=[1, 2, 0, 1], steps=8)
    every = [counts(sequence, epoch, step) for epoch in range(2) for step in range(8)]
    for number, share in enumerate((Fraction(7, 4), Fraction(7, 2), 0, Fraction(7, 4))):
        assert sum(row[number] for row in every) == 16 * share
        assert all(abs(row[number] - share) < 1 for row in every)


def test_an_epoch_shows_every_case(vector_cache):
    sequence = BalancedSequence(vector_cache, 16)
    draws = [sequence._sampler.draw(0, step) for step in range(len(sequence))]
    for view in sequence.cache:
        seen = np.concatenate([draw.rows[draw.classes == view.number] for draw in draws])
        np.testing.assert_array_equal(np.unique(seen), np.sort(view.rows))


def test_steps_are_as_many_as_were_asked_for(vector_cache):
    sequence = BalancedSequence(vector_cache, 4, steps=11)
    assert len(sequence) == 11
    assert len(list(sequence)) == 11
    for step in (11, -1):
        with pytest.raises(IndexError, match=r"expected 0 to 10"):
            sequence[step]


def test_replacement_draws_a_case_twice_before_another_once(vector_cache):
    sequence = BalancedSequence(vector_cache, 40, weights=[1, 0, 0, 0], steps=1, replacement=True)
    rows = sequence._sampler.draw(0, 0).rows
    assert len(set(rows.tolist())) < 37
    x, _ = sequence[0]
    view = sequence.cache["axial"]
    want = np.stack([view[view.slot_names[row]].image for row in rows])
    np.testing.assert_array_equal(x, want)


def test_epochs_and_seeds_differ_and_stored_order_does_not(vector_cache):
    one, other = (BalancedSequence(vector_cache, 16, seed=seed) for seed in (0, 1))
    still = BalancedSequence(vector_cache, 16, shuffle=False)
    assert not set(digests(one)) & (set(digests(one, 1)) | set(digests(other)))
    assert digests(still) == digests(still, 1)


@pytest.mark.parametrize("transform", [None, noisy])
def test_a_batch_is_the_same_in_any_order_and_any_number_of_threads(cache, transform):
    options = {"transform": transform, "steps": 6, "seed": 3}
    want = digests(BalancedSequence(cache, 8, workers=1, memory=0, **options), 2)
    steps = [*range(6)] * 3
    random.Random(0).shuffle(steps)  # noqa: S311 - any order will do
    for workers in (1, 2, 8):
        for memory in (2**12, 2**26):
            sequence = BalancedSequence(cache, 8, workers=workers, memory=memory, **options)
            sequence.epoch = 2
            with ThreadPoolExecutor(workers) as pool:
                got = list(pool.map(lambda step, of=sequence: digest(of[step]), steps))
            assert got == [want[step] for step in steps]
            sequence.close()
            assert digest(sequence[1]) == want[1]


def test_no_global_state_is_read_or_changed(vector_cache):
    sequence = BalancedSequence(vector_cache, 16, transform=noisy)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is looked at
    before = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002 - as above
    want = digests(sequence)
    assert before == (random.getstate(), np.random.get_state()[1].tobytes())  # noqa: NPY002
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002 - as above
    assert digests(BalancedSequence(vector_cache, 16, transform=noisy)) == want


def test_a_pickled_sequence_goes_on_where_it_was(cache):
    sequence = BalancedSequence(cache, 5, transform=noisy, steps=3, seed=8, workers=2)
    sequence.epoch = 4
    _ = sequence[0]
    other = pickle.loads(pickle.dumps(sequence))  # noqa: S301 - our own bytes
    assert (other.epoch, len(other), other.workers) == (4, 3, 2)
    assert digests(other, 4) == digests(sequence, 4)
    other.epoch = 5
    assert sequence.epoch == 4


def test_a_pickled_sequence_keeps_its_generation(copy_of, vector_source):
    source = copy_of(vector_source)
    path = make_cache(source, source.parent / "cache", chunk=(4,))
    sequence = BalancedSequence(path, 16)
    want, frozen = digests(sequence), pickle.dumps(sequence)
    for half in ("images", "labels"):
        for case in range(0, 30, 3):
            (source / f"axial/{half}/case_{case:03}.nii.gz").unlink()
    make_cache(source, path, chunk=(4,))
    assert digests(pickle.loads(frozen)) == want  # noqa: S301 - our own bytes
    assert digests(BalancedSequence(path, 16)) != want


FRESH = """
import sys
sys.path.insert(0, sys.argv[2])
from test_sequence import BalancedSequence, digests, noisy
print(*digests(BalancedSequence(sys.argv[1], 8, transform=noisy, seed=5, workers=2), 3))
"""


def test_a_fresh_process_gives_the_same_batches(vector_cache):
    said = run_python(FRESH, vector_cache, Path(__file__).parent)
    want = digests(BalancedSequence(vector_cache, 8, transform=noisy, seed=5, workers=1), 3)
    assert said.split() == want


def test_a_transform_gets_each_sample_with_a_generator_of_its_own(vector_cache):
    seen = {}

    def look(image, label, rng):
        word = rng.bit_generator.random_raw()
        seen[word] = (image.copy(), label.copy(), threading.get_ident())
        return image, label

    plain = BalancedSequence(vector_cache, 16, seed=9)
    x, y = plain.batch(2, 1)
    BalancedSequence(vector_cache, 16, seed=9, transform=look, workers=3).batch(2, 1)
    assert len(seen) == 16
    for place in range(16):
        word = sample_generator(9, 2, 1, place).bit_generator.random_raw()
        image, label, _ = seen[word]
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, x[place])
        np.testing.assert_array_equal(label, y[place])


def test_batches_are_prepared_in_several_threads(vector_cache):
    meeting = threading.Barrier(3)

    def meet(images, labels):
        meeting.wait(timeout=20)
        return images, labels

    sequence = BalancedSequence(vector_cache, 6, collate_fn=meet, workers=3, steps=6)
    assert len(list(sequence)) == 6


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_loop_gets_every_batch_in_order(vector_cache, workers):
    sequence = BalancedSequence(vector_cache, 16, transform=noisy, workers=workers)
    sequence.epoch = 2
    want = [digests(sequence, epoch) for epoch in (2, 3, 4)]
    assert [digest(batch) for batch in sequence] == want[0]
    assert [digest(batch) for batch in sequence.batches(3, epochs=2)] == want[1] + want[2]
    assert list(sequence.batches(epochs=0)) == []
    assert sequence.epoch == 2


def new_arrays(image, label, _):
    return (image * 2).astype("float64"), label + 1


def in_place(image, label, _):
    image *= 2
    label += 1
    return image, label


@pytest.mark.parametrize("transform", [new_arrays, in_place])
def test_a_transform_may_give_new_arrays_or_change_its_own(cache, transform):
    x, y = BalancedSequence(cache, 6)[0]
    new_x, new_y = BalancedSequence(cache, 6, transform=transform)[0]
    np.testing.assert_array_equal(new_x, x * 2)
    np.testing.assert_array_equal(new_y, y + 1)
    assert (new_x.dtype, new_y.dtype) == (x.dtype, y.dtype)


def test_what_a_transform_changes_is_gone_with_its_batch(vector_cache):
    sequence = BalancedSequence(vector_cache, 8, transform=noisy)
    assert len({digest(sequence[1]) for _ in range(4)}) == 1


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda image, label, _: (image[:-1], label), r"image of shape \(15, 15, 3\), expected"),
        (lambda image, label, _: (image, label[:1]), r"label of shape \(1,\), expected \(4,\)"),
        (lambda *given: (0.0, given[1]), r"image of shape \(\), expected \(16, 15, 3\)"),
        (lambda *_: None, "got NoneType, expected the tuple"),
        (lambda image, *_: image, "got ndarray, expected the tuple"),
        (lambda *given: given, "got tuple, expected the tuple"),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_transform_that_gives_something_else_is_refused(
    vector_cache, transform, message, workers
):
    with pytest.raises(OptionError, match="transform: .*" + message):
        BalancedSequence(vector_cache, 8, transform=transform, workers=workers)[0]


def test_an_error_of_a_transform_comes_out_as_it_is(vector_cache):
    def fail(image, _label, _rng):
        if image.max() > 0:
            raise ZeroDivisionError("mine")
        return image, _label

    sequence = BalancedSequence(vector_cache, 8, transform=fail)
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        sequence.batch(2, 1)
    (note,) = caught.value.__notes__
    first = int(np.flatnonzero(BalancedSequence(vector_cache, 8).batch(2, 1)[0].any((1, 2, 3)))[0])
    assert f"on sample {first} of batch 1 of epoch 2; the Sequence's cases() says" in note


def test_collate_shapes_the_batch_after_the_transform(vector_cache):
    def collate(images, labels):
        return {"a": images[:, ::2], "b": images}, labels.sum(1), np.ones(len(images))

    x, y = BalancedSequence(vector_cache, 8, transform=new_arrays)[0]
    both, sums, weights = BalancedSequence(
        vector_cache, 8, transform=new_arrays, collate_fn=collate
    )[0]
    np.testing.assert_array_equal(both["a"], x[:, ::2])
    np.testing.assert_array_equal(both["b"], x)
    np.testing.assert_array_equal(sums, y.sum(1))
    assert weights.tolist() == [1] * 8


def test_an_input_name_makes_x_a_table(vector_cache):
    x, _ = BalancedSequence(vector_cache, 4, input_name="scan")[0]
    assert list(x) == ["scan"]
    np.testing.assert_array_equal(x["scan"], BalancedSequence(vector_cache, 4)[0][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers: got 0"),
        ({"workers": 2.0}, "workers: got 2.0"),
        ({"memory": -1}, "memory: got -1"),
        ({"steps": 0}, "steps: got 0"),
        ({"seed": -1}, "seed: got -1"),
        ({"mix": 0}, "mix: got 0"),
        ({"mix": "some"}, "mix: got 'some'"),
        ({"weights": [1, 2]}, "weights: got 2, expected one for each of the 4 classes"),
        ({"weights": {"axial": 1}}, "weights: got axial, expected exactly axial, coronal"),
        ({"weights": [0, 0, 0, 0]}, "weights"),
        ({"weights": "even"}, "weights: got 'even', expected one number for each of the classes"),
        ({"replacement": True, "shuffle": False}, "replacement: got True with shuffle=False"),
        ({"shuffle": "yes"}, "shuffle: got 'yes'"),
        ({"replacement": 1}, "replacement: got 1"),
        ({"transform": 3}, "transform: got 3, expected a transform.*or a function"),
        (
            {"transform": lambda image: image},
            r"transform: got .* takes \(image\), expected .* takes \(image, label, rng\)",
        ),
        ({"collate_fn": 3}, "collate_fn: got 3, expected a function"),
        (
            {"collate_fn": lambda batch: batch},
            r"collate_fn: got .* takes \(batch\), expected .* takes \(images, labels, weights\)",
        ),
    ],
)
def test_options_are_refused_at_once(vector_cache, options, message):
    with pytest.raises(OptionError, match=message):
        BalancedSequence(vector_cache, 8, **options)


@pytest.mark.parametrize("size", [0, -1, 2.5, "8", None])
def test_a_batch_size_is_a_whole_number(vector_cache, size):
    with pytest.raises(OptionError, match="batch_size: got"):
        BalancedSequence(vector_cache, size)


@pytest.mark.parametrize("epoch", [-1, 1.0, True, "2"])
def test_an_epoch_is_a_whole_number(vector_cache, epoch):
    sequence = BalancedSequence(vector_cache, 8)
    with pytest.raises(OptionError, match="epoch: got"):
        sequence.epoch = epoch
    assert sequence.epoch == 0


def test_a_cache_may_be_a_path_or_an_open_one(vector_cache, tmp_path):
    each = [vector_cache, str(vector_cache), open_cache(vector_cache)]
    assert len({digest(BalancedSequence(one, 8)[0]) for one in each}) == 1
    with pytest.raises(NotACacheError):
        BalancedSequence(tmp_path, 8)


def test_a_repr_says_what_is_drawn_from(vector_cache):
    text = repr(niicache.BalancedSequence(vector_cache, 8, seed=3))
    assert str(vector_cache) in text
    assert "batch_size=8, steps=19, seed=3" in text


def test_damage_comes_out_of_the_batch_that_needs_it_and_of_no_other(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    want = digests(BalancedSequence(sharded_cache, 8))
    SHARED.clear()  # what the sound cache left there would stand in for the damaged one
    flip_bit(path / "oblique/image/c/1/0/0/0", 0.001)
    sequence = BalancedSequence(path, 8)
    broken, named = 0, set()
    for step, good in enumerate(want):
        try:
            assert digest(sequence[step]) == good
        except DamageError as error:
            broken += 1
            named.add(error.problems[0].class_name)
    assert 0 < broken < len(want)
    assert named == {"oblique"}


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("niicache")]


@pytest.mark.parametrize("taken", [0, 1, 7, 10])
def test_threads_end_with_their_loop(vector_cache, taken):
    gc.collect()
    before = len(threads())
    loop = iter(BalancedSequence(vector_cache, 8, transform=noisy, workers=3, steps=10))
    for _ in range(taken):
        next(loop)
    assert len(threads()) == before + (3 if taken else 0)
    loop.close()
    assert len(threads()) == before


def test_a_batch_by_itself_starts_no_thread(vector_cache):
    before = threading.active_count()
    _ = BalancedSequence(vector_cache, 64, workers=4)[0]
    assert threading.active_count() == before


def test_cases_names_what_is_in_a_batch(vector_cache):
    cache = open_cache(vector_cache)
    sequence = BalancedSequence(cache, 8)
    x, y = sequence.batch(2, 1)
    for image, label, (name, case) in zip(x, y, sequence.cases(2, 1), strict=True):
        np.testing.assert_array_equal(image, cache[name][case].image)
        np.testing.assert_array_equal(label, cache[name][case].label)


def test_a_half_that_does_not_reach_is_refused(tmp_path):
    (tmp_path / "s" / "a").mkdir(parents=True)
    white = nib.Nifti1Image(np.full((6, 6), 65535, np.uint16), np.eye(4))
    nib.save(white, tmp_path / "s" / "a" / "white.nii")
    cache = make_cache(tmp_path / "s", tmp_path / "c")
    with pytest.raises(OptionError, match=r"float16, which reaches 65504.*65535; give float32"):
        BalancedSequence(cache, 2, dtype="float16")


def test_a_half_that_does_not_reach_is_refused_beside_a_case_without_a_number(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "s" / name).mkdir(parents=True)
        nothing = nib.Nifti1Image(np.full((6, 6), np.nan, np.float32), np.eye(4))
        nib.save(nothing, tmp_path / "s" / name / "nothing.nii")
    white = nib.Nifti1Image(np.full((6, 6), 1e6, np.float32), np.eye(4))
    nib.save(white, tmp_path / "s" / "b" / "white.nii")
    cache = make_cache(tmp_path / "s", tmp_path / "c", on_duplicates="warn")
    with pytest.raises(OptionError, match=r"images of class 'b', from 1e\+06 to 1e\+06"):
        BalancedSequence(cache, 2, dtype="float16")


def test_a_transform_may_not_return_what_would_wrap(volume_cache):
    sequence = BalancedSequence(
        volume_cache, 2, dtype="int16", transform=lambda image, label, _: (image * 2.0, label)
    )
    with pytest.raises(OptionError, match=r"image of float64, expected .* or ask the Sequence"):
        sequence[0]
    sequence = BalancedSequence(
        volume_cache, 2, transform=lambda image, label, _: (image, label * 1.5)
    )
    with pytest.raises(OptionError, match=r"label of float64.*convert it in the transform$"):
        sequence[0]


def test_input_name_beside_collate_fn_is_refused(vector_cache):
    with pytest.raises(OptionError, match="input_name: got 'x' beside collate_fn"):
        BalancedSequence(vector_cache, 2, input_name="x", collate_fn=lambda x, y: (x, y))


def test_a_forked_child_reads_on(vector_cache):
    code = """
import os, sys
from niicache import BalancedSequence
sequence = BalancedSequence(sys.argv[1], 256, workers=3)
here = [a.tobytes() for a in sequence[0]]
pid = os.fork()
if pid == 0:
    same = [a.tobytes() for a in sequence[0]] == here
    os._exit(0 if same else 3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert run_python(code, str(vector_cache)).split()[-1] == "0"
