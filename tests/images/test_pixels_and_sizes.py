"""The model's size, resizing to it, and the scale of pixels in networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment.data.images.resize import checked_resize, checked_size, model_size, resize_image
from gan_augment.data.pixels import to_network, to_pixels
from gan_augment.errors import UsageError


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


@pytest.mark.parametrize("how", ["squeeze", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(8, 8), (40, 9), (9, 40), (5, 5), (64, 48)])
def test_every_way_gives_the_size_and_leaves_a_flat_image_flat(how, channels, shape):
    flat = np.full((*shape, channels), 77, dtype=np.uint8)
    resized = resize_image(flat, (16, 12), how)
    assert resized.shape == (16, 12, channels)
    assert (resized == 77).all()
    assert resize_image(resized, (16, 12), how) is resized


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


@pytest.mark.parametrize(("size", "padded"), [((16, 16), (16, 16)), ((13, 18), (16, 20))])
def test_every_grey_value_survives_the_round_trip(size, padded):
    values = np.arange(size[0] * size[1] * 2, dtype=np.int64) % 256
    pixels = values.astype(np.uint8).reshape(2, *size, 1)
    x = to_network(pixels, padded)
    assert tuple(x.shape) == (2, 1, *padded)
    assert np.array_equal(to_pixels(x, size), pixels)


def test_values_are_rounded_and_clipped_never_wrapped():
    x = torch.tensor([-3.0, 3.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1]).view(1, 1, 2, 2)
    assert to_pixels(x, (2, 2)).flatten().tolist() == [0, 255, 1, 0]


def test_the_scale_is_minus_1_to_1_and_the_callers_array_is_not_changed():
    pixels = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
    x = to_network(pixels, (1, 1))
    assert x.flatten().tolist() == [-1, 1]
    x.zero_()
    assert pixels.flatten().tolist() == [0, 255]
