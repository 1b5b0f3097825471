"""Decode one image file to uint8 pixels, or say why it cannot be used.

Pillow gets five formats only, and decodes nothing before the size is checked. Files are decoded in
worker processes, see `pool.py`, since they may be hostile.
"""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gan_augment.data.groups import digest
from gan_augment.data.images.resize import Resize, resize_image
from gan_augment.errors import DataError
from gan_augment.input_files import read_regular

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MOST_PIXELS = 50_000_000
MOST_BYTES = 256 << 20
SMALLEST_SIDE_PX = 4  # smaller images show nothing to learn
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImageError(DataError):
    """The file cannot be used as an image; the message is a short reason."""


Facts = dict[str, Any]
"""Facts about a file: the fields of `scan.Entry` except path, label and group; the "size" of a
header; or the "reason" why the file is unusable."""


def header_size(raw: bytes) -> tuple[int, int]:
    """Return (height, width) px from the header, turned as EXIF says. Raises BadImageError."""
    with _opened(raw) as image:
        width, height = image.size
        turned = image.format in ("JPEG", "WEBP") and image.getexif().get(_ORIENTATION, 1) >= 5
        return (width, height) if turned else (height, width)


def decode(raw: bytes) -> tuple[Facts, NDArray[np.uint8]]:
    """Return (facts, pixels) of the first image in a PNG, JPEG, WebP, BMP or TIFF file.

    Pixels are uint8 (H, W, C); C is 1 for grey images, 4 with transparency, else 3. 16-bit
    grey is scaled by 255 / 65535 and rounded; palettes, CMYK and YCbCr become RGB. Raises
    BadImageError for everything else.
    """
    brightest = None
    with _opened(raw) as image:
        animated, mode = bool(getattr(image, "is_animated", False)), image.mode
        image.load()
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
        upright = image if turn is None else image.transpose(turn)
        if mode.startswith("I;16"):
            values = np.asarray(upright).astype(np.uint32)
            brightest = int(values.max())
            pixels = ((values + 128) // 257).astype(np.uint8)  # nearest to value * 255 / 65535
        else:
            pixels = np.asarray(_converted(upright))
    pixels = _with_fewest_channels(pixels)
    facts = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "channels": pixels.shape[2],
        "sha256": digest(pixels),
        "bytes": len(raw),
        "animated": animated,
        "brightest_16bit": brightest,
    }
    return facts, pixels


def decode_file(
    path: Path, size: tuple[int, int] | None, how: Resize
) -> tuple[Facts, NDArray[np.uint8] | None]:
    """Return (facts, pixels at `size` px, (height, width)).

    The pixels are None for an unusable file, and if `size` is None, which reads the header only.
    """
    try:
        raw = read_regular(path, MOST_BYTES)
        if size is None:
            return {"size": header_size(raw)}, None
        facts, pixels = decode(raw)
    except BadImageError as error:
        return {"reason": str(error)}, None
    except OSError as error:
        too_large = f"the file is larger than {MOST_BYTES >> 20} MiB"
        reason = too_large if error.errno == errno.EFBIG else error.strerror or str(error)
        return {"reason": reason}, None
    return facts, resize_image(pixels, size, how, alpha=pixels.shape[2] == 4)


@contextmanager
def _opened(raw: bytes) -> Iterator[Image.Image]:
    """Open an image and check its size; any failure inside becomes a BadImageError."""
    if not raw:
        raise BadImageError("the file is empty")
    too_many = f"it is larger than {MOST_PIXELS // 10**6} megapixels"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limits here are stricter than Pillow's
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise BadImageError(f"{too_many}: {width} x {height} px")
                if min(width, height) < SMALLEST_SIDE_PX:
                    raise BadImageError(
                        f"{width} x {height} px are too few; expected {SMALLEST_SIDE_PX} px a side"
                    )
                yield image
    except BadImageError:
        raise
    except Image.DecompressionBombError:
        raise BadImageError(too_many) from None
    except UnidentifiedImageError:
        raise BadImageError("it is not a PNG, JPEG, WebP, BMP or TIFF image") from None
    except Exception as error:  # damaged files raise nearly every type from within Pillow
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadImageError(f"it cannot be decoded: {words}") from error


def _converted(image: Image.Image) -> Image.Image:
    """Return the image as L, RGB or RGBA."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise BadImageError(
            f"its pixels ({image.mode}) have no agreed white; save it with 8 or 16 bits"
        )
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return image.convert("L")
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def _with_fewest_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W) or (H, W, C) with the fewest channels that lose nothing: 1, 3 or 4."""
    if pixels.ndim == 2:
        return pixels[..., np.newaxis]  # (H, W) -> (H, W, 1)
    if pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    if pixels.shape[2] == 3 and (pixels[..., 1:] == pixels[..., :1]).all():  # grey
        pixels = pixels[..., :1]
    return np.ascontiguousarray(pixels)
