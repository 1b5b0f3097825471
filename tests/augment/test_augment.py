"""Changes of images for classifiers and for the discriminator."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gan_augment.augment.classical import small_changes, trivial_augment
from gan_augment.augment.diff_augment import apply, draw_moves
from gan_augment.recipes import AugmentSettings
from gan_augment.rng import rng_for


def pictures(shape: tuple[int, int, int], n: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size=(n, *shape), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 12, 2), (16, 8, 3), (20, 20, 4), (10, 11, 6)])
def test_any_channels_keep_their_shape_and_the_caller_its_pixels(
    shape: tuple[int, int, int],
) -> None:
    pixels = pictures(shape)
    before = pixels.copy()
    changed = small_changes(pixels, np.random.default_rng(0))
    assert changed.shape == pixels.shape
    assert (pixels == before).all()
    assert (changed != pixels).any()


def test_the_generator_handed_in_is_the_only_source_of_chance() -> None:
    pixels = pictures((8, 8, 3))
    state = repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    first, other, again = (small_changes(pixels, np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert state == (repr(np.random.get_state()), random.getstate())  # noqa: NPY002


class Fixed:
    """What `small_changes` draws of one picture: nothing left out, then these, in its order."""

    def __init__(self, *draws: NDArray[np.float64]) -> None:
        self.draws = list(draws)

    def random(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        return np.zeros(shape)

    def uniform(self, low: float, high: float, shape: object) -> NDArray[np.float64]:
        return low + (high - low) * self.draws.pop(0)


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 20, 3)])
def test_a_batch_is_changed_as_albumentations_changes_a_picture_with_the_same_draws(
    shape: tuple[int, int, int],
) -> None:
    trivial_augment(shape)  # imports albumentations without its check for updates
    import albumentations as A

    height, width, channels = shape
    y, x = np.linspace(0, 9, height)[:, None, None], np.linspace(0, 7, width)[None, :, None]
    smooth = np.rint(128 + 100 * np.sin(x + y * np.arange(1, channels + 1))).astype(np.uint8)
    for seed in range(8):
        angle, *rest = np.split(np.random.default_rng(seed).random(7), [1, 3, 5])
        scale, shift, light = rest
        rng = Fixed(angle, scale[None], shift[None], light[:, None, None])
        changed = small_changes(smooth[None], rng)[0]  # type: ignore[arg-type]
        zoom, move = (
            0.9 + 0.2 * scale,
            (np.array([width, height]) * (0.2 * shift - 0.1)).astype(int),
        )
        contrast, brightness = 0.3 * light - 0.15
        steps = [
            A.Affine(
                scale={"x": (zoom[0],) * 2, "y": (zoom[1],) * 2},
                rotate=(20 * angle[0] - 10,) * 2,
                translate_px={"x": (int(move[0]),) * 2, "y": (int(move[1]),) * 2},
                border_mode=1,
                p=1,
            ),
            A.RandomBrightnessContrast((brightness,) * 2, (contrast,) * 2, p=1),
        ]
        theirs = A.Compose(steps)(image=smooth)["image"]
        assert np.abs(changed.astype(int) - theirs).max() <= 3  # it keeps whole numbers in between


@pytest.mark.slow
def test_importing_the_door_loads_no_albumentations_and_opening_it_calls_nobody() -> None:
    script = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from gan_augment.augment.classical import trivial_augment\n"
        "assert 'albumentations' not in sys.modules\n"
        "trivial_augment((8, 8, 1))\n"
        "assert 'albumentations' in sys.modules\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_trivial_augment_makes_one_of_its_changes_a_picture_each_as_likely() -> None:
    pixels = np.zeros((1400, 8, 8, 3), np.uint8)
    pixels[:, 2:6, 2:6] = (40, 90, 200)  # a square on black, which every change but one shows
    changed = trivial_augment((8, 8, 3))(pixels, np.random.default_rng(0))
    moved = changed[:, [0, -1]].any(axis=(1, 2, 3)) | changed[:, :, [0, -1]].any(axis=(1, 2, 3))
    same = (changed == pixels).all(axis=(1, 2, 3)).mean()
    assert 1 / 14 - 0.02 < same < 5 / 14  # identity; and turns, bits or light too small to be seen
    assert 0.02 < moved.mean() < 6 / 14


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
