"""What D sees: moves stay in the image, backgrounds stay background, gradients flow."""

from __future__ import annotations

import numpy as np
import torch

from gan_augment.augment.diff_augment import apply, draw_moves
from gan_augment.recipes import AugmentSettings
from gan_augment.rng import rng_for


def moves(settings: AugmentSettings, n: int = 64, probability: float = 1.0, seed: int = 0):
    return draw_moves(settings, (16, 16), n, probability, rng_for(seed, "test"))


def images(n: int = 64) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_translation_moves_the_image_by_at_most_an_eighth_of_its_side():
    only_moves = AugmentSettings(brightness=0, contrast=0)
    x = torch.zeros(200, 1, 16, 16)
    x[:, :, 8, 8] = 1
    places = apply(x, moves(only_moves, n=200)).squeeze(1).flatten(1).argmax(dim=1)
    rows, columns = places // 16 - 8, places % 16 - 8
    assert rows.abs().max() == 2
    assert columns.abs().max() == 2
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 25


def test_images_are_flipped_only_if_flips_keep_the_label():
    x = images()
    still = AugmentSettings(translation=0, brightness=0, contrast=0)
    assert torch.equal(apply(x, moves(still)), x)
    flipped = apply(x, moves(still.model_copy(update={"flips": True})))
    mirrored = (flipped == x.flip(3)).flatten(1).all(dim=1)
    same = (flipped == x).flatten(1).all(dim=1)
    assert (mirrored | same).all()
    assert 10 < mirrored.sum() < 54


def test_brightness_moves_the_mean_and_contrast_keeps_it():
    x = images()
    bright = apply(x, moves(AugmentSettings(translation=0, contrast=0)))
    moved = (bright - x).flatten(1)
    assert moved.std(dim=1).max() < 1e-6
    assert 0.1 < moved.abs().max() <= 0.2 + 1e-6
    contrast = apply(x, moves(AugmentSettings(translation=0, brightness=0)))
    torch.testing.assert_close(contrast.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6, rtol=0)


def test_gradients_reach_the_image():
    x = images(4).requires_grad_()
    apply(x, moves(AugmentSettings(), n=4)).sum().backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.numpy()).all()
    assert x.grad.abs().sum() > 0
