"""Decode image files to uint8 pixels by threads, within Pillow's own limit, or say why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_augment.data.groups import digest
from gan_augment.data.images.resize import resize_image
from gan_augment.errors import DataError
from gan_augment.input_files import read_regular
from gan_augment.processes import available_cores

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MOST_BYTES = 256 << 20
SMALLEST_SIDE_PX = 4  # smaller images show nothing to learn
_AT_ONCE = 64  # files per batch, so that their answers fit into memory
_MOST_THREADS = 8  # more would wait for Python's lock, and each may hold a large image
_ORIENTATION = 0x0112

Facts = dict[str, Any]
"""Facts about a file: the fields of `sources.Entry` except path, label and group; the "size" of a
header; or the "reason" why the file is unusable."""
Answer = tuple[Facts, NDArray[np.uint8] | None]
"""The facts and, if asked for, the pixels (H, W, C)."""


def decode_files(paths: Sequence[Path], size: tuple[int, int] | None) -> Iterator[Answer]:
    """Yield facts and pixels at `size` px per file, in order; pixels None if it is unusable."""
    threads = min(available_cores(), _MOST_THREADS)
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for start in range(0, len(paths), _AT_ONCE):
            with warnings.catch_warnings():  # the threads share the filters of this one
                warnings.simplefilter("ignore")  # of odd metadata
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                batch = paths[start : start + _AT_ONCE]
                answers = list(pool.map(partial(_answer, size=size), batch))
            yield from answers


def _answer(path: Path, size: tuple[int, int] | None) -> Answer:
    try:
        return _read(path, size)
    except DataError as error:
        return {"reason": str(error)}, None


def _read(path: Path, size: tuple[int, int] | None) -> Answer:
    """Return the answer for a usable file. Raises DataError with the reason for any other."""
    try:
        raw = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise DataError(error.strerror or str(error)) from None
    if not raw:
        raise DataError("the file is empty")
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            width, height = image.size
            if min(width, height) < SMALLEST_SIDE_PX:
                raise DataError(
                    f"{width} x {height} px are too few; expected {SMALLEST_SIDE_PX} px a side"
                )
            if size is None:
                turned = image.format in ("JPEG", "WEBP") and image.getexif().get(_ORIENTATION, 1)
                return {"size": (width, height) if turned >= 5 else (height, width)}, None
            facts, pixels = _decoded(image)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError("it is not a PNG, JPEG, WebP, BMP or TIFF image") from None
    except Exception as error:  # damaged files raise nearly every type from within Pillow
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"it cannot be decoded: {words}") from error
    facts["bytes"] = len(raw)
    return facts, resize_image(pixels, size, alpha=pixels.shape[2] == 4)


def _decoded(image: Image.Image) -> tuple[Facts, NDArray[np.uint8]]:
    """Return facts, and pixels uint8 (H, W, C) of the first frame, in the fewest channels.

    C is 1 for grey images, 4 with transparency, else 3. 16-bit grey is scaled by 255 / 65535 and
    rounded; palettes, CMYK and YCbCr become RGB. Raises DataError for pixels without a white.
    """
    animated = bool(getattr(image, "is_animated", False))
    image.load()
    upright = ImageOps.exif_transpose(image)
    mode = upright.mode
    transparent = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info
    if mode.startswith("I;16"):
        values = np.asarray(upright).astype(np.uint32) + 128
        pixels = (values // 257).astype(np.uint8)  # nearest to value * 255 / 65535
    elif mode in ("I", "F") or mode.startswith("I;"):
        raise DataError(f"its pixels ({mode}) have no agreed white; save it with 8 or 16 bits")
    elif mode in ("1", "L") and not transparent:
        pixels = np.asarray(upright.convert("L"))
    else:
        pixels = np.asarray(upright.convert("RGBA" if transparent else "RGB"))
    pixels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]  # (H, W) -> (H, W, 1)
    # the fewest channels that lose nothing
    if pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    if pixels.shape[2] == 3:
        one_row = pixels[0]  # tells most colour images from grey ones, which spares half a ms
        if (one_row[:, 1:] == one_row[:, :1]).all() and (pixels[..., 1:] == pixels[..., :1]).all():
            pixels = pixels[..., :1]
    pixels = np.ascontiguousarray(pixels)
    facts = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "channels": pixels.shape[2],
        "sha256": digest(pixels),
        "animated": animated,
        "brightest": int(pixels[..., :3].max()),
    }
    return facts, pixels
