"""Pixels change scale in one place: the round trip is exact, at every size and value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment.data.pixels import to_network, to_pixels


@pytest.mark.parametrize(("size", "padded"), [((16, 16), (16, 16)), ((13, 18), (16, 20))])
@pytest.mark.parametrize("dtype", [torch.float32])
def test_every_grey_value_survives_the_round_trip(size, padded, dtype):
    values = np.arange(size[0] * size[1] * 2, dtype=np.int64) % 256
    pixels = values.astype(np.uint8).reshape(2, *size, 1)
    x = to_network(pixels, padded)
    assert tuple(x.shape) == (2, 1, *padded)
    assert np.array_equal(to_pixels(x.to(dtype), size), pixels)


def test_the_scale_is_minus_1_to_1():
    x = to_network(np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1), (1, 1))
    assert x.flatten().tolist() == [-1, 1]


def test_values_are_rounded_and_clipped_never_wrapped():
    x = torch.tensor([-3.0, 3.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1]).view(4, 1, 1, 1)
    assert to_pixels(x, (1, 1)).flatten().tolist() == [0, 255, 1, 0]


def test_padding_repeats_the_edge():
    pixels = np.full((1, 3, 3, 1), 7, dtype=np.uint8)
    pixels[0, 0, 0] = 9
    padded = to_pixels(to_network(pixels, (5, 5)), (5, 5))[0, ..., 0]
    assert padded[0, 0] == padded[1, 1] == 9
    assert padded[4, 4] == 7


def test_the_callers_array_is_not_changed():
    pixels = np.full((2, 8, 8, 1), 100, dtype=np.uint8)
    to_network(pixels, (8, 8)).zero_()
    assert (pixels == 100).all()
