"""Draw contact sheets: for each class, real images or waves above synthetic and refused ones."""

from __future__ import annotations

import base64
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

from gan_augment.data.images.png_folder import PNG_CHANNELS, png_bytes
from gan_augment.progress import printable

GAP_PX, MARGIN_PX, GUTTER_PX, HEADER_PX, STRIP_GAP_PX, CLASS_GAP_PX = 2, 16, 76, 26, 6, 16
BACKGROUND, INK, FAINT, EMPTY = (255, 255, 255), (24, 24, 27), (113, 113, 122), (244, 244, 245)
SYNTHETIC, REJECTED = (29, 98, 178), (178, 43, 29)
SIGNAL_PX, WAVE_PX = 112, 48
_CHANNELS = (SYNTHETIC, REJECTED, (33, 122, 60), (126, 58, 160))
_TITLES = (("real", FAINT), ("synthetic", SYNTHETIC), ("refused", REJECTED))
_GROUND, _AXIS = (250, 250, 250), (222, 222, 226)


@dataclass(frozen=True)
class SheetRow:
    """One class of a sheet: its name, a note, and strips of images (n, H, W, C).

    The strips are real images, synthetic ones, and, if any were selected from, those that the
    selection refused. Signals are float32 (n, 1, L, C).
    """

    name: str
    note: str
    real: NDArray[Any]
    synthetic: NDArray[Any]
    refused: NDArray[Any] | None = None


def contact_sheet(
    rows: Sequence[SheetRow], columns: int = 12, tile_px: int = 48, caption: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Return the sheet as an RGB image, uint8 (H, W, 3), below the lines of a caption.

    A strip holds at most `columns` images, enlarged by a whole factor to at least `tile_px` on the
    shorter side, so that every pixel of the original is visible.
    """
    found = [(row.real, row.synthetic, row.refused) for row in rows]
    strips = [[as_pictures(images) for images in own if images is not None] for own in found]
    shapes = [images.shape[1:3] for own in strips for images in own]
    height, width = np.max([(1, 1), *shapes], axis=0).tolist()
    scale = max(1, math.ceil(tile_px / min(height, width)))
    tile = height * scale, width * scale
    most = max((len(own) for own in strips), default=0)
    block = HEADER_PX + most * (tile[0] + STRIP_GAP_PX) + CLASS_GAP_PX
    left = MARGIN_PX + GUTTER_PX
    first = MARGIN_PX + HEADER_PX * len(caption)
    size = left + MARGIN_PX + columns * (tile[1] + GAP_PX), first + len(rows) * block
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(caption):
        draw.text((MARGIN_PX, MARGIN_PX + number * HEADER_PX), line, INK, _font(13))
    for number, (row, own) in enumerate(zip(rows, strips, strict=True)):
        top = first + number * block
        name = printable(row.name).replace("\n", r"\n")
        draw.text((MARGIN_PX, top), name, INK, _font(16))
        after = MARGIN_PX + _font(16).getlength(name) + 10
        draw.text((after, top + 3), printable(row.note), FAINT, _font(13))
        top += HEADER_PX - tile[0] - STRIP_GAP_PX
        for (title, ink), images in zip(_TITLES, own, strict=False):
            top += tile[0] + STRIP_GAP_PX
            draw.text((MARGIN_PX, top + tile[0] / 2), title, ink, _font(13), anchor="lm")
            _draw_strip(sheet, (left, top), images[:columns], columns, tile)
    return np.asarray(sheet)


def _draw_strip(
    sheet: Image.Image,
    corner: tuple[int, int],
    images: NDArray[np.uint8],
    columns: int,
    tile: tuple[int, int],
) -> None:
    left, top = corner
    for column in range(columns):
        place = left + column * (tile[1] + GAP_PX), top
        if column < len(images):
            picture = Image.fromarray(as_rgb(images[column]))
            sheet.paste(picture.resize(tile[::-1], Image.Resampling.NEAREST), place)
        else:
            sheet.paste(EMPTY, (*place, place[0] + tile[1], top + tile[0]))


def as_pictures(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images unchanged, and signals float32 -1..1 (n, 1, L, C) as waves (n, 48, 112, 3)."""
    if pixels.dtype == np.uint8:
        return pixels
    pictures = np.empty((len(pixels), WAVE_PX, SIGNAL_PX, 3), dtype=np.uint8)
    for row, window in enumerate(pixels[:, 0]):  # (L, C)
        picture = Image.new("RGB", (SIGNAL_PX, WAVE_PX), _GROUND)
        draw = ImageDraw.Draw(picture)
        draw.line((0, WAVE_PX // 2, SIGNAL_PX - 1, WAVE_PX // 2), _AXIS)
        x = np.linspace(0, SIGNAL_PX - 1, len(window)).tolist()
        y_px = (1 - np.clip(window, -1, 1)) / 2 * (WAVE_PX - 1)  # 1 is the upper edge
        for channel in reversed(range(window.shape[1])):
            colour = _CHANNELS[channel % len(_CHANNELS)]
            draw.line(list(zip(x, y_px[:, channel].tolist(), strict=True)), colour)
        pictures[row] = np.asarray(picture)
    return pictures


def strip_png(pixels: NDArray[Any], *, synthetic: bool = False) -> str:
    """Return images (n, H, W, C) in a row as a PNG in base64; signals as their waves."""
    pixels = as_pictures(pixels)
    if pixels.shape[3] not in PNG_CHANNELS:
        pixels = pixels[..., :1]
    gap = ((0, 0), (0, 0), (0, 1), (0, 0))  # one white column after each image
    padded = np.pad(pixels, gap, constant_values=255)
    return base64.b64encode(png_bytes(np.concatenate(padded, axis=1), synthetic=synthetic)).decode()


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, C) of any C as (H, W, 3), with RGBA laid over white."""
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
