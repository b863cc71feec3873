"""A batch as a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache import BalancedSequence, OrderedSequence
from niicache.errors import OptionError
from niicache.montage import COLOURS, GAP, arrange, draw, montage, outline, plane


def test_axis_0_runs_to_the_right_and_axis_1_up():
    image = np.zeros((200, 100, 1), np.float32)
    image[190:, 90:] = 1  # right, top
    tile = draw(image, None, 0, 1)
    assert tile.shape == (100, 200, 3)
    assert (tile[:10, 190:] == 255).all()
    assert tile.sum() == 10 * 10 * 3 * 255


def test_black_and_white_are_the_limits():
    image = np.array([[-5.0, 0.0, 1.0, 2.0, 9.0, np.nan]])[..., None].repeat(100, 0)
    levels = draw(image, None, 0, 2)[::-1, 0, 0]
    assert levels[:: len(levels) // 6][:6].tolist() == [0, 0, 128, 255, 255, 0]


def test_small_images_are_drawn_larger_voxel_by_voxel():
    image = np.arange(20, dtype=np.float32).reshape(4, 5, 1)
    tile = draw(image, None, 0, 19)
    times = tile.shape[0] // 5
    assert tile.shape == (5 * times, 4 * times, 3)
    assert max(tile.shape) >= 96
    assert len(np.unique(tile)) == 20


@given(st.integers(0, 2**32 - 1))
def test_an_outline_is_every_voxel_of_a_label_that_touches_another_value(seed):
    mask = np.random.default_rng(seed).integers(0, 3, (6, 7))
    edge = outline(mask)
    padded = np.pad(mask, 1)
    for x in range(6):
        for y in range(7):
            around = {
                padded[x, y + 1],
                padded[x + 2, y + 1],
                padded[x + 1, y],
                padded[x + 1, y + 2],
            }
            assert edge[x, y] == (mask[x, y] != 0 and around != {mask[x, y]})


def test_outlines_have_the_colour_of_their_value():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:20, 10:20], mask[50:60, 50:60] = 1, 2
    tile = draw(np.zeros((100, 100, 1)), mask, 0, 1)
    shown = {tuple(pixel) for pixel in tile.reshape(-1, 3).tolist()}
    assert shown == {(0, 0, 0), tuple(COLOURS[0].tolist()), tuple(COLOURS[1].tolist())}


def test_of_a_volume_the_plane_with_most_of_the_mask_is_drawn():
    image = np.broadcast_to(np.arange(9.0)[None, None, :, None], (4, 5, 9, 2))
    mask = np.zeros((4, 5, 9, 1), np.int16)
    grey, mark = plane(image, mask)
    assert np.unique(grey).tolist() == [4]
    mask[1, 1, 2], mask[1, 1:3, 7] = 1, 1
    grey, mark = plane(image, mask)
    assert np.unique(grey).tolist() == [7]
    assert mark.sum() == 2
    assert grey.shape == (4, 5, 1)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("columns", [None, 1, 3, 100])
def test_every_tile_is_in_the_picture_once(count, columns):
    tiles = [np.full((10, 14, 3), n + 1, np.uint8) for n in range(count)]
    whole = arrange(tiles, columns=columns)
    values, pixels = np.unique(whole, return_counts=True)
    found = dict(zip(values.tolist(), pixels.tolist(), strict=True))
    found.pop(0, None)
    assert found == dict.fromkeys(range(1, count + 1), 10 * 14 * 3)
    if columns:
        assert whole.shape[1] == min(columns, count) * (14 + GAP) - GAP


def test_one_scale_of_grey_for_the_whole_batch():
    images = np.stack([np.full((100, 100, 1), level, np.float32) for level in (0, 50, 100)])
    whole = montage(images, np.zeros((3, 2)), columns=3)
    assert [int(whole[50, x, 0]) for x in (50, 152, 254)] == [0, 128, 255]


def test_a_batch_of_nothing_finite_is_drawn_too():
    assert montage(np.full((2, 100, 100, 1), np.nan), np.zeros((2, 1))).max() == 0


@pytest.mark.parametrize("cache", ["mask_cache", "vector_cache", "folder_cache", "volume_cache"])
@pytest.mark.parametrize("kind", [BalancedSequence, OrderedSequence])
def test_a_sequence_shows_its_batches(cache, kind, request):
    sequence = kind(
        request.getfixturevalue(cache), 4, collate_fn=lambda images, labels: (images * 0, labels)
    )
    picture = sequence.peek()
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.max() == 255
    np.testing.assert_array_equal(picture, sequence.peek(step=0, epoch=0))
    wide = sequence.peek(columns=4)
    assert wide.shape[1] > wide.shape[0]


@pytest.mark.parametrize(("name", "value"), [("columns", 0), ("step", 1.5), ("epoch", -1)])
def test_what_peek_cannot_show_is_refused(mask_cache, name, value):
    with pytest.raises(OptionError, match=f"{name}: got {value}"):
        BalancedSequence(mask_cache, 4).peek(**{name: value})


def test_peek_at_a_step_that_is_not_there(mask_cache):
    with pytest.raises(IndexError):
        BalancedSequence(mask_cache, 4).peek(step=10**6)
