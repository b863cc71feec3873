"""Damaged cases in training: an error that tells all, or others of their class in their place.

What is damaged is found by reading the cases one by one, which knows nothing of Sequences.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import flip_bit, run_python

from niicache import BalancedSequence, OrderedSequence, open_cache
from niicache.chunks import some
from niicache.errors import DamageError, DamageWarning
from niicache.hot import SHARED

SEED = 4

# A cache, its files that are damaged, and the classes that have damage then.
WOUNDS = {
    "images": ("sharded", ["axial/image/c/1/0/0/0", "oblique/image/c/0/0/0/0"]),
    "images, packed": ("vector", ["axial/image/c/0/0/0/0", "coronal/image/c/0/0/0/0"]),
    "vectors": ("sharded", ["axial/label/c/2/0", "coronal/label/c/0/0"]),
    "masks": ("volume", ["healthy/label/c/0/0/0/0/0"]),
    "both": ("sharded", ["axial/image/c/1/0/0/0", "coronal/label/c/0/0"]),
    "volumes in blocks": ("volume", ["healthy/image/c/0/0/0/0/0"]),
    "no labels": ("folder", ["cat/image/c/0/0/0/0"]),
}


@pytest.fixture(params=WOUNDS)
def wounded(request, copy_of):
    """Return a sound cache, and its damaged copy."""
    kind, files = WOUNDS[request.param]
    sound = request.getfixturevalue(f"{kind}_cache")
    path = copy_of(sound)
    for file in files:
        flip_bit(path / file, 0.02)
    return sound, path


def damaged_cases(path):
    """Return (class, case) of each case that cannot be read."""
    cache = open_cache(path)
    found = []
    for name, case in cache.cases:
        try:
            _ = cache[name][case]
        except DamageError:
            found.append((name, case))
    return found


def skipping(path, **options):
    return BalancedSequence(path, 8, seed=SEED, **{"on_damage": "skip"} | options)


def digest(batch):
    return hashlib.sha256(b"".join(half.tobytes() for half in batch)).hexdigest()


def quietly(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        return function()


def digests(sequence, epochs=2):
    return quietly(lambda: [digest(batch) for batch in sequence.batches(0, epochs=epochs)])


def places(sequence, epochs=2):
    return [(epoch, step) for epoch in range(epochs) for step in range(len(sequence))]


def test_a_case_of_its_class_stands_in_for_a_damaged_one_and_nothing_else_changes(wounded):
    sound, path = wounded
    lost = set(damaged_cases(path))
    assert lost
    plain, sequence = BalancedSequence(sound, 8, seed=SEED), skipping(path)
    want = [plain.batch(*place) for place in places(plain)]
    SHARED.clear()  # a chunk is known by its content, so the sound one would do for the damaged
    plain.close()
    got = quietly(lambda: [sequence.batch(*place) for place in places(sequence)])
    hits = []
    for place, (x, y), (want_x, want_y) in zip(places(sequence), got, want, strict=True):
        names = sequence.cases(*place)
        drawn = plain.cases(*place)
        hit = np.array([name in lost for name in drawn])
        np.testing.assert_array_equal(x[~hit], want_x[~hit])
        np.testing.assert_array_equal(y[~hit], want_y[~hit])
        for i in np.flatnonzero(hit):
            assert names[i] not in lost
            assert is_case(sequence, names[i], x[i], y[i])
            assert names[i][0] == drawn[i][0]
        assert [names[i] for i in np.flatnonzero(~hit)] == [drawn[i] for i in np.flatnonzero(~hit)]
        hits.append(hit.any())
    assert any(hits)
    assert len(hits) <= 4 or not all(hits)


def is_case(sequence, name, image, label):
    view = sequence.cache[name[0]]
    sample = view[name[1]]
    if sequence.cache.manifest.recipe.label is None:
        sample = sample._replace(label=np.eye(len(sequence.cache))[view.number])
    return np.array_equal(sample.image.astype("float32"), image) and np.array_equal(
        sample.label, label
    )


@pytest.mark.parametrize("workers", [1, 4])
def test_each_damaged_case_is_listed_and_the_first_is_warned_of(wounded, workers):
    _, path = wounded
    sequence = skipping(path, workers=workers)
    assert sequence.damaged == ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in sequence.batches(0, epochs=3):
            pass
    assert list(sequence.damaged) == sorted(damaged_cases(path))
    (warning,) = caught
    assert warning.category is DamageWarning
    said = str(warning.message)
    assert str(path) in said
    assert "[damaged]" in said
    assert "niicache verify" in said
    assert "more than 100 are damaged; the Sequence's attribute `damaged` lists them" in said


FRESH = """
import sys
sys.path.insert(0, sys.argv[1])
from test_losses import digests, skipping
for path in sys.argv[2:]:
    print(*digests(skipping(path, workers=3)))
"""


def test_a_batch_with_stand_ins_is_the_same_whoever_makes_it(wounded):
    _, path = wounded
    want = digests(skipping(path, workers=1))
    for workers, memory in [(2, 0), (8, 2**26)]:
        assert digests(skipping(path, workers=workers, memory=memory)) == want
    sequence = skipping(path)
    backwards = reversed(places(sequence))
    back = quietly(lambda: [digest(sequence.batch(*place)) for place in backwards])
    assert back[::-1] == want


def test_a_batch_with_stand_ins_is_the_same_in_a_fresh_process(
    copy_of, sharded_cache, volume_cache
):
    paths = [copy_of(sharded_cache), copy_of(volume_cache)]
    for kind, path in zip(("both", "masks"), paths, strict=True):
        for file in WOUNDS[kind][1]:
            flip_bit(path / file, 0.02)
    said = run_python(FRESH, Path(__file__).parent, *paths)
    assert [line.split() for line in said.splitlines()] == [
        digests(skipping(path, workers=1)) for path in paths
    ]


def test_a_sound_cache_gives_the_same_batches_either_way(vector_cache):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sequence = skipping(vector_cache)
        got = [digest(batch) for batch in sequence.batches(0, epochs=2)]
    assert got == digests(BalancedSequence(vector_cache, 8, seed=SEED))
    assert sequence.damaged == ()


@pytest.fixture
def torn(copy_of, sharded_cache):
    """Return a copy with 16 cases gone: 8 images of axial and 8 labels of coronal."""
    path = copy_of(sharded_cache)
    (path / "axial/image/c/1/0/0/0").unlink()
    (path / "coronal/label/c/0/0").unlink()
    assert len(damaged_cases(path)) == 16
    return path


def test_as_many_as_the_limit_are_put_up_with(torn):
    sequence = skipping(torn, damage_limit=16)
    assert len(digests(sequence, 3)) == 3 * len(sequence)
    assert len(sequence.damaged) == 16


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("limit", [0, 1, 15])
def test_past_the_limit_an_error_tells_every_problem(torn, limit, workers):
    sequence = skipping(torn, damage_limit=limit, workers=workers)
    with pytest.raises(DamageError) as caught:
        digests(sequence, 3)
    said = {(name, case) for one in caught.value.problems for name, case in named(one)}
    assert len(sequence.damaged) > limit
    assert len(said) > limit
    if workers == 1:  # else other threads may have met more since
        assert said >= set(sequence.damaged)
    if limit == 15:
        assert {name for name, _ in said} == {"axial", "coronal"}


def named(problem):
    return [(problem.class_name, case) for case in problem.case.split(", ")]


def test_past_the_limit_it_stays_an_error_and_sound_batches_still_come(torn, sharded_cache):
    want = digests(BalancedSequence(sharded_cache, 8, seed=SEED), 1)
    SHARED.clear()
    lost = set(damaged_cases(torn))
    sequence, drawn = skipping(torn, damage_limit=0), BalancedSequence(torn, 8, seed=SEED)
    ended = set()
    for _ in range(2):
        for step in range(len(sequence)):
            hit = bool(lost & set(drawn.cases(0, step)))
            ended.add(hit)
            if hit:
                with pytest.raises(DamageError):
                    sequence.batch(0, step)
            else:
                assert digest(sequence.batch(0, step)) == want[step]
    assert ended == {False, True}


@pytest.mark.parametrize("file", ["image/c/0/0/0/0", "label/c/0/0"])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_class_without_a_sound_case_is_an_error(copy_of, sharded_cache, file, workers):
    path = copy_of(sharded_cache)
    (path / "sagittal" / file).unlink()
    sequence = skipping(path, workers=workers, damage_limit=10**6)
    with pytest.raises(DamageError, match="in every case of class 'sagittal' that was tried"):
        digests(sequence)
    assert {name for name, _ in sequence.damaged} == {"sagittal"}


def test_a_class_of_weight_0_may_be_damaged(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    (path / "sagittal/image/c/0/0/0/0").unlink()
    options = {"weights": {"axial": 1, "coronal": 2, "oblique": 1, "sagittal": 0}, "seed": SEED}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = [digest(one) for one in BalancedSequence(path, 8, on_damage="skip", **options)]
    assert got == digests(BalancedSequence(sharded_cache, 8, **options), 1)


def test_the_transform_gets_stand_ins_with_the_generator_of_the_place(torn):
    words = []

    def look(image, label, rng):
        words.append(rng.bit_generator.random_raw())
        return image + 1, label

    plain = digests(skipping(torn, collate_fn=lambda x, y: (x + 1, y)))
    assert digests(skipping(torn, transform=look, workers=1)) == plain
    assert len(set(words)) == len(words) == 8 * len(plain)


@pytest.mark.parametrize("on_damage", ["raise", "skip"])
def test_an_error_carries_all_that_is_wrong_with_a_batch(torn, on_damage):
    sequence = BalancedSequence(torn, 4 * 37, on_damage=on_damage, damage_limit=0)
    lost = set(damaged_cases(torn))
    with pytest.raises(DamageError) as caught:
        sequence.batch(0, 0)
    problems = caught.value.problems
    if on_damage == "skip":
        assert problems[-1].code == "damage-limit"
        assert "at most 0, as damage_limit says" in str(problems[-1])
        problems = problems[:-1]
    said = {pair for one in problems for pair in named(one)}
    drawn = set(BalancedSequence(torn, 4 * 37).cases(0, 0))
    met = lost & drawn
    assert {name for name, _ in met} == {"axial", "coronal"}
    assert met <= said <= lost
    assert len({str(one) for one in problems}) == len(problems)
    for one in problems:
        assert str(one) in str(caught.value)
        assert one.path.startswith(str(torn))
        assert "niicache verify" in one.hint
        needed = sorted(case for _, case in set(named(one)) & drawn)
        told = f", needed for {some(needed)}" if on_damage == "raise" else ""
        assert one.got == f"No such file or directory{told}"


def test_image_and_label_of_a_case_are_told_together(copy_of, mask_cache):
    path = copy_of(mask_cache)
    files = [
        path / f"{name}/{half}/c/0/0/0/0"
        for name in ("left", "right")
        for half in ("image", "label")
    ]
    for file in files:
        flip_bit(file, 0.02)
    with pytest.raises(DamageError) as caught:
        BalancedSequence(path, 64).batch(0, 0)
    assert {one.path for one in caught.value.problems} == set(map(str, files))


def test_a_sequence_of_every_case_always_raises(torn):
    sequence = OrderedSequence(torn, 64)
    with pytest.raises(DamageError) as caught:
        list(sequence)
    assert {one.class_name for one in caught.value.problems} >= {"axial"}
    with pytest.raises(TypeError, match="on_damage"):
        OrderedSequence(torn, 64, on_damage="skip")


def test_a_pickled_sequence_skips_too(torn):
    sequence = skipping(torn)
    want = digests(sequence)
    other = pickle.loads(pickle.dumps(sequence))  # noqa: S301 - our own bytes
    assert digests(other) == want
    assert other.damaged == sequence.damaged


def test_each_damaged_place_of_a_batch_gets_a_case_of_its_own_drawing(copy_of, vector_cache):
    path = copy_of(vector_cache)
    flip_bit(path / "axial/image/c/0/0/0/0", 0.02)
    lost = set(damaged_cases(path))
    options = {"weights": [1, 0, 0, 0], "on_damage": "skip", "seed": SEED, "steps": 1}
    sequence = BalancedSequence(path, 64, replacement=True, **options)
    drawn = BalancedSequence(vector_cache, 64, replacement=True, **options).cases(0, 0)
    quietly(lambda: sequence.batch(0, 0))
    instead = [new for old, new in zip(drawn, sequence.cases(0, 0), strict=True) if old in lost]
    assert len(instead) > 4
    assert len(set(instead)) > len(instead) // 4


def test_every_damaged_block_of_a_case_is_told(copy_of, volume_cache):
    path = copy_of(volume_cache)
    reader = open_cache(path)["healthy"].image
    assert reader.layout.blocks > 1
    case = open_cache(path)["healthy"].slot_names[0]
    shard = path / "healthy/image/c/0/0/0/0/0"
    for block in range(2):
        _, offset, stored = reader.locate(block)
        data = bytearray(shard.read_bytes())
        data[offset + stored // 2] ^= 1
        shard.write_bytes(data)
    with pytest.raises(DamageError) as caught:
        list(BalancedSequence(path, 16, steps=4))
    of_case = [one for one in caught.value.problems if case in one.case.split(", ")]
    assert len(of_case) == 2
