"""Classical augmentation of a batch of images or signals.

Signals are jittered, scaled, warped in time and shifted as in Um et al. 2017, "Data Augmentation of
Wearable Sensor Data for Parkinson's Disease Monitoring using Convolutional Neural Networks".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from torch.nn import functional as F

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

Windows = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def small_changes(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Rotate, scale, shift and light images slightly, which keeps the class of most.

    Shapes: pixels uint8 (N, H, W, C) -> uint8 (N, H, W, C), a new array. With p = .8 each: up to 10
    degrees, 10 % of scale and of shift per side; brightness and contrast by up to .15. The edge is
    repeated. Same distribution as `Affine` and `RandomBrightnessContrast` of albumentations.

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


def trivial_augment(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change each image in one of fourteen ways, equally likely.

    Shapes: pixels uint8 (N, H, W, C) -> uint8 (N, H, W, C), a new array. Colours change only with 1
    or 3 channels. Source: Müller & Hutter 2021, "TrivialAugment", in RandAugment's ranges.

    >>> import numpy as np
    >>> trivial_augment(np.zeros((2, 8, 8, 3), np.uint8), np.random.default_rng(0)).shape
    (2, 8, 8, 3)
    """
    changes = _CHANGES if pixels.shape[3] in (1, 3) else _CHANGES[:_ANY_CHANNELS]
    changed = np.empty_like(pixels)
    for i, strength in enumerate(rng.uniform(-1, 1, len(pixels))):
        change = changes[rng.integers(len(changes))]
        if pixels.shape[3] == 3:
            changed[i] = np.asarray(change(Image.fromarray(pixels[i]), strength))
            continue
        for channel in range(pixels.shape[3]):
            picture = Image.fromarray(pixels[i, ..., channel])
            changed[i, ..., channel] = np.asarray(change(picture, strength))
    return changed


def _moved(picture: Image.Image, x: float = 0, y: float = 0, *, sheared: bool) -> Image.Image:
    """Shear a picture around its centre, or shift it by shares of its sides; the gap is black."""
    width, height = picture.size
    matrix = (1.0, 0.0, x * width, 0.0, 1.0, y * height)
    if sheared:
        matrix = (1.0, x, -x * height / 2, y, 1.0, -y * width / 2)
    how = Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    return picture.transform(picture.size, *how)


_CHANGES: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    lambda picture, strength: picture,
    lambda picture, strength: picture.rotate(30 * strength, Image.Resampling.BILINEAR),
    lambda picture, strength: _moved(picture, 0.3 * strength, sheared=True),
    lambda picture, strength: _moved(picture, y=0.3 * strength, sheared=True),
    lambda picture, strength: _moved(picture, 0.31 * strength, sheared=False),
    lambda picture, strength: _moved(picture, y=0.31 * strength, sheared=False),
    lambda picture, strength: ImageOps.posterize(picture, 4 + round(4 * abs(strength))),
    lambda picture, strength: ImageOps.solarize(picture, round(256 * abs(strength))),
    lambda picture, strength: ImageOps.autocontrast(picture),
    lambda picture, strength: ImageOps.equalize(picture),
    lambda picture, strength: ImageEnhance.Sharpness(picture).enhance(1 + 0.9 * strength),
    lambda picture, strength: ImageEnhance.Brightness(picture).enhance(1 + 0.9 * strength),
    lambda picture, strength: ImageEnhance.Contrast(picture).enhance(1 + 0.9 * strength),
    lambda picture, strength: ImageEnhance.Color(picture).enhance(1 + 0.9 * strength),
)
_ANY_CHANNELS = 8
"""The first changes, which leave colours alone or treat each channel as a picture."""


def change_signals(x: Windows, rng: np.random.Generator) -> Windows:
    """Jitter, scale, warp and shift windows a little, each with p = .8, which keeps most classes.

    Shapes: float32 (N, 1, L, C) -> float32 (N, 1, L, C), a new array, in -1..1.

    >>> import numpy as np
    >>> change_signals(np.zeros((2, 1, 32, 3), np.float32), np.random.default_rng(0)).shape
    (2, 1, 32, 3)
    """
    chosen = rng.random((4, len(x), 1)) < PROBABILITY
    x = read_at(x, warped(x.shape[2], chosen[0], rng) + shifts(x.shape[2], chosen[1], rng))
    x = scaled(x, chosen[2], rng)
    return np.clip(jittered(x, chosen[3], rng), -1, 1)


def jittered(x: Windows, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Windows:
    """Add normal noise of `JITTER` times the deviation of each channel of a window."""
    spread = JITTER * x.std(axis=2, keepdims=True) * chosen[:, :, None, None]
    noise: Windows = spread * rng.standard_normal(x.shape, dtype=np.float32)
    return x + noise


def scaled(x: Windows, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Windows:
    """Scale each channel around its mean by up to `SCALE`."""
    factor = 1 + chosen * rng.uniform(-SCALE, SCALE, (len(x), x.shape[3]))
    mean = x.mean(axis=2, keepdims=True)
    changed: Windows = mean + (x - mean) * factor[:, None, None].astype(np.float32)
    return changed


def warped(length: int, chosen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the place where each sample is read, (N, length), at a pace of 1 +- `WARP`."""
    pace = 1 + chosen * rng.uniform(-WARP, WARP, (len(chosen), KNOTS))
    knots = np.linspace(0, KNOTS - 1, length - 1)
    left = np.minimum(knots.astype(np.int64), KNOTS - 2)
    share = knots - left
    steps = pace[:, left] * (1 - share) + pace[:, left + 1] * share
    place = np.concatenate([np.zeros((len(pace), 1)), steps.cumsum(axis=1)], axis=1)
    ends: NDArray[np.float64] = place * ((length - 1) / place[:, -1:])
    return ends


def shifts(length: int, chosen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the shift of each window, (N, 1), in samples."""
    reach = max(1.0, SHIFT * length)
    moved: NDArray[np.float64] = chosen * rng.uniform(-reach, reach, chosen.shape)
    return moved


def read_at(x: Windows, place: NDArray[np.float64]) -> Windows:
    """Read windows (N, 1, L, C) at places (N, L) between their samples; ends repeat."""
    place = np.clip(place, 0, x.shape[2] - 1)
    left = np.minimum(place.astype(np.int64), x.shape[2] - 2)
    share = (place - left).astype(np.float32)[:, None, :, None]
    rows = np.arange(len(x))[:, None]
    before, after = (x[:, 0][rows, at][:, None] for at in (left, left + 1))  # (N, 1, L, C)
    return np.asarray(before + share * (after - before), dtype=np.float32)
