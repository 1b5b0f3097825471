"""Draw contact sheets: for each class, real images above synthetic ones.

Or images that selection keeps, above images it rejects with the reason. Signals are drawn as waves
above spectra.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE_PX = 48
GAP_PX = 2
MARGIN_PX = 16
GUTTER_PX = 76
HEADER_PX = 26
STRIP_GAP_PX = 6
CLASS_GAP_PX = 16
BACKGROUND = (255, 255, 255)
INK = (24, 24, 27)
FAINT = (113, 113, 122)
EMPTY = (244, 244, 245)
SYNTHETIC = (29, 98, 178)
REJECTED = (178, 43, 29)
CAPTION_PX = 14
SIGNAL_PX = 112
WAVE_PX = 48
SPECTRUM_PX = 26
FLOOR_DB = -60.0
"""Floor of a spectrum, relative to the strongest line of its window."""
_CHANNELS = ((29, 98, 178), (178, 43, 29), (33, 122, 60), (126, 58, 160))
_GROUND, _AXIS = (250, 250, 250), (222, 222, 226)
_Strip = tuple[str, tuple[int, int, int], NDArray[np.uint8], Sequence[str]]


@dataclass(frozen=True)
class SheetRow:
    """One class of a sheet: its name, a note, and two strips of images (n, H, W, C).

    The strips are real and synthetic images; with `reasons`, kept and rejected images, with a
    reason below each rejected one. Signals are float32 (n, 1, L, C).
    """

    name: str
    note: str
    above: NDArray[Any]
    below: NDArray[Any]
    reasons: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("above", "below"):
            object.__setattr__(self, name, as_pictures(getattr(self, name)))

    @property
    def strips(self) -> tuple[_Strip, _Strip]:
        """Return title, colour of the title, images and captions of both strips."""
        if self.reasons is None:
            return ("real", FAINT, self.above, ()), ("synthetic", SYNTHETIC, self.below, ())
        captions = self.reasons or ("",)
        return ("kept", SYNTHETIC, self.above, ()), ("rejected", REJECTED, self.below, captions)


def contact_sheet(
    rows: Sequence[SheetRow], columns: int = 12, tile_px: int = TILE_PX
) -> NDArray[np.uint8]:
    """Return the sheet as an RGB image, uint8 (H, W, 3).

    A strip holds at most `columns` images, enlarged by a whole factor to at least `tile_px` on the
    shorter side, so that every pixel of the original is visible.
    """
    shapes = [images.shape[1:3] for row in rows for images in (row.above, row.below)]
    height, width = (max((s[axis] for s in shapes), default=1) for axis in (0, 1))
    scale = max(1, math.ceil(tile_px / min(height, width)))
    tile = height * scale, width * scale
    captions = CAPTION_PX if any(row.reasons is not None for row in rows) else 0
    block = HEADER_PX + 2 * tile[0] + captions + STRIP_GAP_PX + CLASS_GAP_PX
    size = (
        MARGIN_PX * 2 + GUTTER_PX + columns * (tile[1] + GAP_PX) - GAP_PX,
        MARGIN_PX * 2 + len(rows) * block - (CLASS_GAP_PX if rows else 0),
    )
    sheet = Image.new("RGB", size, BACKGROUND)
    for index, row in enumerate(rows):
        _draw_class(sheet, MARGIN_PX + index * block, row, columns, tile, scale)
    return np.asarray(sheet)


def _draw_class(
    sheet: Image.Image, top: int, row: SheetRow, columns: int, tile: tuple[int, int], scale: int
) -> None:
    draw = ImageDraw.Draw(sheet)
    bold, small, left = _font(16), _font(13), MARGIN_PX + GUTTER_PX
    name = _shortened(printable(row.name), bold, sheet.width - 2 * MARGIN_PX - 120)
    draw.text((MARGIN_PX, top), name, INK, bold)
    after = MARGIN_PX + bold.getlength(name) + 10
    draw.text((after, top + 3), printable(row.note), FAINT, small)
    top += HEADER_PX
    for title, ink, images, captions in row.strips:
        draw.text((MARGIN_PX, top + tile[0] / 2), title, ink, small, anchor="lm")
        lefts = [left + column * (tile[1] + GAP_PX) for column in range(columns)]
        for place, image in zip(lefts, images, strict=False):
            pixels = as_rgb(image).repeat(scale, axis=0).repeat(scale, axis=1)
            sheet.paste(Image.fromarray(pixels), (place, top))
        for place in lefts[len(images) :]:
            draw.rectangle((place, top, place + tile[1] - 1, top + tile[0] - 1), EMPTY)
        for place, caption in zip(lefts, captions, strict=False):
            draw.text((place, top + tile[0]), caption, FAINT, _font(11))
        top += tile[0] + (CAPTION_PX if captions else 0) + STRIP_GAP_PX


def as_pictures(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images unchanged, and signals (n, 1, L, C) as pictures of waves and spectra."""
    return pixels if pixels.dtype == np.uint8 else wave_pictures(pixels)


def wave_pictures(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw windows float32 -1..1 (n, 1, L, C) as pictures uint8 (n, 75, 112, 3).

    The upper part is the wave, from -1 to 1. The lower part is the power from 0 to half the rate,
    in dB from the strongest line of the window down to -60.
    """
    height = WAVE_PX + 1 + SPECTRUM_PX
    pictures = np.empty((len(pixels), height, SIGNAL_PX, 3), dtype=np.uint8)
    for row, window in enumerate(pixels[:, 0]):  # (L, C)
        picture = Image.new("RGB", (SIGNAL_PX, height), _GROUND)
        draw = ImageDraw.Draw(picture)
        for y in (WAVE_PX // 2, WAVE_PX):
            draw.line((0, y, SIGNAL_PX - 1, y), _AXIS)
        levels = spectrum(window)
        for channel in reversed(range(window.shape[1])):
            colour = _CHANNELS[channel % len(_CHANNELS)]
            draw.line(_points(window[:, channel], -1, 1, 0, WAVE_PX), colour)
            place = (WAVE_PX + 1, SPECTRUM_PX)
            draw.line(_points(levels[:, channel], FLOOR_DB, 0, *place), colour)
        pictures[row] = np.asarray(picture)
    return pictures


def spectrum(window: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the power of a window (L, C) at its frequencies, (L // 2 + 1, C), in dB.

    0 dB is the strongest line, `FLOOR_DB` the minimum. The mean is removed; the window is Hann's.
    """
    x = window - window.mean(axis=0)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x))[:, None], axis=0)) ** 2
    decibels = 10 * np.log10(np.maximum(power / max(float(power.max()), 1e-12), 1e-12))
    levels: NDArray[np.float64] = np.maximum(decibels, FLOOR_DB)
    return levels


def _points(
    values: NDArray[Any], low: float, high: float, top: int, height: int
) -> list[tuple[float, float]]:
    """Return the points of a line through values in a band of the picture."""
    x = np.linspace(0, SIGNAL_PX - 1, len(values))
    y = top + (high - np.clip(values, low, high)) / (high - low) * (height - 1)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, C) of any C as (H, W, 3) for display.

    Grey is repeated and RGBA is laid over white. Two channels show the first, five or more the
    first three.
    """
    channels = pixels.shape[2]
    if channels == 4:
        colour, opacity = pixels[..., :3].astype(np.float64), pixels[..., 3:] / 255
        return np.rint(colour * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return pixels[..., :3] if channels >= 3 else pixels[..., :1].repeat(3, axis=2)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return DejaVu Sans, which ships with matplotlib, or Pillow's own font, which is ASCII."""
    matplotlib = importlib.util.find_spec("matplotlib")  # found, not imported
    folder = Path(str(matplotlib.origin)).parent if matplotlib else Path()
    file = folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(file, size) if file.is_file() else ImageFont.load_default(size)


@functools.cache
def _shown(character: str) -> bool:
    """Return whether the font has a character: it looks unlike a missing one."""
    if character.isascii() or not character.isprintable():
        return character.isprintable()
    font = _font(16)
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


def printable(name: str) -> str:
    r"""Return a class name with escapes for characters that the font lacks.

    >>> print(printable("caf\u00e9 \t"))
    café \t
    """
    return "".join(c if _shown(c) else ascii(c)[1:-1] for c in name)


def _shortened(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float
) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "…") > width_px:
        text = text[:-1]
    return text + "…"
