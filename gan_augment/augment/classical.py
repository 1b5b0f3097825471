"""Classical augmentation of a batch of images or signals.

albumentations is imported by `trivial_augment`, since the import takes a second. Signals are
jittered, scaled, warped in time and shifted as in Um et al. 2017, "Data Augmentation of Wearable
Sensor Data for Parkinson's Disease Monitoring using Convolutional Neural Networks".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from gan_augment.rng import rng_for

JITTER = 0.02
"""Standard deviation of the noise, relative to that of the channel in its window."""
SCALE = 0.1
WARP = 0.1
"""Largest relative change of the pace of time."""
KNOTS = 4
"""Places between which the pace of time changes linearly."""
SHIFT = 0.05
"""Largest shift, relative to the length."""
PROBABILITY = 0.8

Pixels = NDArray[np.uint8]
Windows = NDArray[np.float32]
Rng = np.random.Generator


def small_changes(pixels: Pixels, rng: Rng) -> Pixels:
    """Rotate, scale, shift and light images slightly, which keeps the class of most.

    Shapes: pixels uint8 (N, H, W, C) -> uint8 (N, H, W, C), a new array. With p = .8 each: up to 10
    degrees, 10 % of scale and of shift per side; brightness and contrast by up to .15. The edge is
    repeated. Same distribution as `Affine` and `RandomBrightnessContrast` of albumentations, which
    take 0.2 ms per image each.

    >>> import numpy as np
    >>> small_changes(np.zeros((2, 8, 8, 3), np.uint8), np.random.default_rng(0)).shape
    (2, 8, 8, 3)
    """
    n, height, width, _ = pixels.shape
    sides = np.array([width, height])
    moved, lit = rng.random((2, n, 1)) < 0.8
    angle = np.deg2rad(moved[:, 0] * rng.uniform(-10, 10, n))
    scale = 1 + moved * rng.uniform(-0.1, 0.1, (n, 2))
    shift = np.trunc(moved * rng.uniform(-1, 1, (n, 2)) * np.maximum(0.1 * sides, 1))
    contrast, brightness = lit * rng.uniform(-0.15, 0.15, (2, n, 1))
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = back.transpose(2, 0, 1) / scale[:, :, None]  # (n, to x and y, from x and y), centred px
    offset = -2 * (back @ shift[:, :, None]) / sides[:, None]  # in a grid from -1 to 1
    theta = np.concatenate([back * sides / sides[:, None], offset], axis=2).astype(np.float32)
    light = np.stack([1 + contrast, 255 * brightness])[..., None, None].astype(np.float32)
    x = torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    grid = F.affine_grid(torch.from_numpy(theta), list(x.shape), align_corners=False)
    y = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    y = y.mul_(torch.from_numpy(light[0])).add_(torch.from_numpy(light[1]))
    changed = y.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return np.asarray(changed.numpy())


def trivial_augment(shape: tuple[int, int, int]) -> Callable[[Pixels, Rng], Pixels]:
    """Return a function that makes one change per image, any of fourteen, equally likely.

    shape: (H, W, C); colours change only with 1 or 3 channels. The function takes uint8 (N, H, W,
    C) and returns a new array. Source: Müller & Hutter 2021, "TrivialAugment", in RandAugment's
    ranges.

    >>> import numpy as np
    >>> change = trivial_augment((8, 8, 3))
    >>> change(np.zeros((2, 8, 8, 3), np.uint8), np.random.default_rng(0)).shape
    (2, 8, 8, 3)
    """
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else the import calls out
    import albumentations as A

    def moved(**ranges: object) -> A.Affine:
        return A.Affine(**ranges, border_mode=0, p=1)  # cv2.BORDER_CONSTANT: black, as published

    steps = [
        A.NoOp(p=1),
        moved(rotate=(-30, 30)),
        *(moved(shear={axis: (-17, 17), other: 0}) for axis, other in ("xy", "yx")),  # atan .3
        *(moved(translate_percent={axis: (-0.31, 0.31), other: 0}) for axis, other in ("xy", "yx")),
        A.Posterize(num_bits=(4, 8), p=1),
        A.Solarize(threshold_range=(0, 1), p=1),
    ]
    if shape[2] in (1, 3):
        sharper = A.Sharpen(alpha=(0, 0.9), lightness=(1, 1), p=1)  # by default it darkens
        softer = A.GaussianBlur(blur_limit=3, sigma_limit=(0.1, 0.8), p=1)
        steps += [A.AutoContrast(p=1), A.Equalize(p=1), A.OneOf([sharper, softer], p=1)]
        still = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
        coloured = [still | {name: (0.1, 1.9)} for name in ("brightness", "contrast", "saturation")]
        steps += [A.ColorJitter(**ranges, p=1) for ranges in coloured]
    pipeline = A.Compose([A.OneOf(steps, p=1)])

    def changed(pixels: Pixels, rng: Rng) -> Pixels:
        images = np.empty_like(pixels)
        for i, seed in enumerate(rng.integers(2**31, size=len(pixels)).tolist()):
            # Compose.set_random_seed would give every step the same numbers
            pipeline.set_random_state(rng_for(seed, "pipeline"), Random(seed))
            images[i] = pipeline(image=pixels[i].copy())["image"]
        return images

    return changed


def change_signals(x: Windows, rng: Rng) -> Windows:
    """Jitter, scale, warp and shift windows a little, each with p = .8, which keeps most classes.

    Shapes: float32 (N, 1, L, C) -> float32 (N, 1, L, C), a new array, in -1..1.

    >>> import numpy as np
    >>> change_signals(np.zeros((2, 1, 32, 3), np.float32), np.random.default_rng(0)).shape
    (2, 1, 32, 3)
    """
    chosen = rng.random((4, len(x), 1)) < PROBABILITY
    length, channels = x.shape[2:]
    reach = max(1.0, SHIFT * length)
    place = warped(length, chosen[0], rng)
    x = read_at(x, place + chosen[1] * rng.uniform(-reach, reach, (len(x), 1)))
    factor = 1 + chosen[2] * rng.uniform(-SCALE, SCALE, (len(x), channels))
    mean = x.mean(axis=2, keepdims=True)
    x = mean + (x - mean) * factor[:, None, None].astype(np.float32)
    spread = JITTER * x.std(axis=2, keepdims=True) * chosen[3][:, :, None, None]
    noise: Windows = spread * rng.standard_normal(x.shape, dtype=np.float32)
    changed: Windows = np.clip(x + noise, -1, 1)
    return changed


def warped(length: int, chosen: NDArray[np.bool_], rng: Rng) -> NDArray[np.float64]:
    """Return the place where each sample is read, (N, length), at a pace of 1 +- `WARP`."""
    pace = 1 + chosen * rng.uniform(-WARP, WARP, (len(chosen), KNOTS))
    knots = np.linspace(0, KNOTS - 1, length - 1)
    left = np.minimum(knots.astype(np.int64), KNOTS - 2)
    share = knots - left
    steps = pace[:, left] * (1 - share) + pace[:, left + 1] * share
    place = np.concatenate([np.zeros((len(pace), 1)), steps.cumsum(axis=1)], axis=1)
    ends: NDArray[np.float64] = place * ((length - 1) / place[:, -1:])
    return ends


def read_at(x: Windows, place: NDArray[np.float64]) -> Windows:
    """Read windows (N, 1, L, C) at places (N, L) between their samples; ends repeat."""
    place = np.clip(place, 0, x.shape[2] - 1)
    left = np.minimum(place.astype(np.int64), x.shape[2] - 2)
    share = (place - left).astype(np.float32)[:, None, :, None]
    rows = np.arange(len(x))[:, None]
    before, after = (x[:, 0][rows, at][:, None] for at in (left, left + 1))  # (N, 1, L, C)
    return np.asarray(before + share * (after - before), dtype=np.float32)
