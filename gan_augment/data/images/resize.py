"""Choose the size that a model works at, and resize images to it with antialiasing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_augment.errors import UsageError
from gan_augment.kinds.image import SMALLEST_SIDE_PX

LONGEST_SIDE_PX = 64
_STEP_PX = 4  # strides of two, twice


def model_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return (height, width) px to train at, for originals of the given (height, width) px.

    The aspect is the median one; the long side is the median long side, at most 64 px. Sides
    are multiples of 4 px (the long one rounded down, the short one to the nearest), never above
    the originals' median, and at least 8 px.

    >>> model_size([(28, 28)]), model_size([(480, 640)] * 9), model_size([(30, 31)])
    ((28, 28), (48, 64), (28, 28))
    """

    def step_below(side: float) -> int:
        return int(side // _STEP_PX) * _STEP_PX

    heights, widths = np.array(sizes, dtype=np.float64).reshape(-1, 2).T
    aspect = float(np.median(widths / heights))
    long = min(float(np.median(np.maximum(heights, widths))), LONGEST_SIDE_PX)
    long_side = max(step_below(long), SMALLEST_SIDE_PX)
    nearest = step_below(long_side * min(aspect, 1 / aspect) + _STEP_PX / 2)
    most = step_below(float(np.median(np.minimum(heights, widths))))
    short_side = max(min(nearest, most, long_side), SMALLEST_SIDE_PX)
    return (long_side, short_side) if aspect < 1 else (short_side, long_side)


def checked_size(size: Sequence[int]) -> tuple[int, int]:
    """Check (height, width); both must be 8..1024 px. Raises UsageError."""
    if len(size) != 2 or not all(SMALLEST_SIDE_PX <= int(side) <= 1024 for side in size):
        raise UsageError(
            f"image size {tuple(size)} px; expected (height, width), "
            f"each from {SMALLEST_SIDE_PX} to 1024 px"
        )
    return int(size[0]), int(size[1])


def resize_image(
    pixels: NDArray[np.uint8], size: tuple[int, int], *, alpha: bool = False
) -> NDArray[np.uint8]:
    """Resize uint8 (H, W, C) to (height, width) px: bicubic; opacity weights the colours."""
    if pixels.shape[:2] == size:
        return pixels
    to, bicubic = (size[1], size[0]), Image.Resampling.BICUBIC
    if pixels.shape[2] == 3 or (alpha and pixels.shape[2] == 4):
        return np.asarray(Image.fromarray(pixels).resize(to, bicubic))
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))  # (C, H, W)
    return np.stack([np.asarray(Image.fromarray(p).resize(to, bicubic)) for p in planes], axis=-1)


def resize_batch(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize images (N, H, W, C) uint8 to (height, width) px, each channel separately."""
    if pixels.shape[1:3] == size:
        return pixels
    return np.stack([resize_image(image, size) for image in pixels])
