"""Pictures of signals: the wave of each window above its spectrum, a colour a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

WIDTH_PX = 112
WAVE_PX = 48
SPECTRUM_PX = 26
FLOOR_DB = -60.0
"""Below the strongest line of a window, where a spectrum is at its ground."""
_COLOURS = ((29, 98, 178), (178, 43, 29), (33, 122, 60), (126, 58, 160))
_GROUND, _LINE = (250, 250, 250), (222, 222, 226)


def wave_pictures(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw windows float32 -1..1 (n, 1, L, C) as pictures uint8 (n, 75, 112, 3).

    Above the wave, from -1 to 1; below the power at each frequency from 0 to half the rate, in dB
    from the strongest line of the window down to -60.
    """
    height = WAVE_PX + 1 + SPECTRUM_PX
    pictures = np.empty((len(pixels), height, WIDTH_PX, 3), dtype=np.uint8)
    for row, window in enumerate(pixels[:, 0]):  # (L, C)
        picture = Image.new("RGB", (WIDTH_PX, height), _GROUND)
        draw = ImageDraw.Draw(picture)
        for y in (WAVE_PX // 2, WAVE_PX):
            draw.line((0, y, WIDTH_PX - 1, y), _LINE)
        levels = spectrum(window)
        for channel in reversed(range(window.shape[1])):
            colour = _COLOURS[channel % len(_COLOURS)]
            draw.line(_points(window[:, channel], -1, 1, 0, WAVE_PX), colour)
            place = (WAVE_PX + 1, SPECTRUM_PX)
            draw.line(_points(levels[:, channel], FLOOR_DB, 0, *place), colour)
        pictures[row] = np.asarray(picture)
    return pictures


def spectrum(window: NDArray[np.floating]) -> NDArray[np.float64]:
    """Power of a window (L, C) at L // 2 + 1 frequencies, (L // 2 + 1, C), in dB of the strongest.

    Through a Hann window, without the mean; at least `FLOOR_DB`, also where nothing varies.
    """
    x = window - window.mean(axis=0)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x))[:, None], axis=0)) ** 2
    decibels = 10 * np.log10(np.maximum(power / max(float(power.max()), 1e-12), 1e-12))
    levels: NDArray[np.float64] = np.maximum(decibels, FLOOR_DB)
    return levels


def _points(
    values: NDArray[Any], low: float, high: float, top: int, height: int
) -> list[tuple[float, float]]:
    """Where a line through values goes in a band of the picture."""
    x = np.linspace(0, WIDTH_PX - 1, len(values))
    y = top + (high - np.clip(values, low, high)) / (high - low) * (height - 1)
    return list(zip(x.tolist(), y.tolist(), strict=True))
