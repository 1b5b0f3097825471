"""The model's size and resizing to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_augment.data.images.resize import checked_resize, checked_size, model_size, resize_image
from gan_augment.errors import UsageError

SIDES = st.integers(4, 3000)


@pytest.mark.parametrize(
    ("originals", "size"),
    [
        ([(28, 28)], (28, 28)),
        ([(8, 8)], (8, 8)),
        ([(32, 32)], (32, 32)),
        ([(50, 50)], (48, 48)),
        ([(33, 33)], (32, 32)),
        ([(480, 640)], (48, 64)),
        ([(640, 480)], (64, 48)),
        ([(5, 5)], (8, 8)),
        ([(4, 100)], (8, 64)),
        ([(28, 28)] * 5 + [(3000, 10)] * 2, (28, 28)),
    ],
)
def test_the_model_size_is_the_median_in_steps_of_four(originals, size):
    assert model_size(originals) == size


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1))
def test_the_model_size_is_within_its_limits(originals):
    height, width = model_size(originals)
    assert 8 <= min(height, width) <= max(height, width) <= 64
    assert height % 4 == width % 4 == 0
    for side in (max, min):
        median = float(np.median([side(pair) for pair in originals]))
        assert side(height, width) <= max(median, 8)


@given(SIDES, SIDES)
def test_the_model_size_turns_with_the_images(height, width):
    assert model_size([(height, width)]) == model_size([(width, height)])[::-1]


@pytest.mark.parametrize("how", ["squeeze", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(8, 8), (40, 9), (9, 40), (5, 5), (64, 48)])
def test_every_way_gives_the_size_and_leaves_a_flat_image_flat(how, channels, shape):
    flat = np.full((*shape, channels), 77, dtype=np.uint8)
    resized = resize_image(flat, (16, 12), how)
    assert resized.shape == (16, 12, channels)
    assert (resized == 77).all()


def test_an_image_of_the_size_comes_back_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    assert np.array_equal(resize_image(image, (16, 12), "crop"), image)


def test_reducing_is_antialiased():
    stripes = np.zeros((64, 64, 1), dtype=np.uint8)
    stripes[:, ::2] = 255
    reduced = resize_image(stripes, (16, 16))
    assert 115 < reduced[4:-4, 4:-4].min() <= reduced[4:-4, 4:-4].max() < 140


def test_crop_takes_the_centre():
    image = np.zeros((16, 48, 1), dtype=np.uint8)
    image[:, 16:32] = 200
    assert resize_image(image, (16, 16), "crop").min() == 200


def test_pad_keeps_everything_on_the_colour_of_the_border():
    image = np.full((10, 40, 3), (10, 20, 30), dtype=np.uint8)
    image[4:6, 10:30] = 255
    padded = resize_image(image, (40, 40), "pad")
    assert padded[0, 0].tolist() == [10, 20, 30]
    assert np.array_equal(padded[15:25], image)


def test_hidden_colours_do_not_bleed_through_transparency():
    image = np.zeros((16, 16, 4), dtype=np.uint8)
    image[:, :8] = (200, 0, 0, 255)
    image[:, 8:] = (0, 255, 0, 0)  # green, and not to be seen
    small = resize_image(image, (8, 8), alpha=True)
    assert small[..., 1].max() == 0


def test_sizes_and_ways_that_do_not_exist_are_usage_errors():
    with pytest.raises(UsageError, match="8 to 1024"):
        checked_size((4, 64))
    with pytest.raises(UsageError, match="squeeze"):
        checked_resize("stretch")
