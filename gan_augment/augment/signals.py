"""Classical augmentation of signals: jitter, scale, time warp and shift of a batch.

Source: Um et al. 2017, "Data Augmentation of Wearable Sensor Data for Parkinson's Disease
Monitoring using Convolutional Neural Networks".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
