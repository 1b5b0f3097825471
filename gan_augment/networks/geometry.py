"""The resolutions of an image, and its pixels for networks.

Pixels are uint8 0..255 in arrays and float32 -1..1 in networks. Signals, images one pixel high, are
float32 -1..1 in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SMALLEST_BASE_PX = 4
SMALLEST_SIGNAL_BASE = 8
"""Samples of the coarsest map of a signal; a square map of 4 px has 16 places."""


@dataclass(frozen=True)
class Geometry:
    """The resolutions of a network for images of `shape` = (height, width, channels).

    Signals are images one pixel high, (1, length, channels): only their length is halved.

    stages: number of halvings of the side.
    base: (h, w) px of the coarsest map, the smaller side 4 to 8 px.
    padded: (H, W) px = base * 2^stages, at least the image, which is edge-padded to it and
    cropped back.

    >>> Geometry.of((28, 28, 1)).base, Geometry.of((28, 28, 1)).stages
    ((7, 7), 2)
    >>> Geometry.of((30, 45, 3)).padded
    (32, 48)
    >>> Geometry.of((1, 100, 2)).base, Geometry.of((1, 100, 2)).padded
    ((1, 13), (1, 104))
    """

    shape: tuple[int, int, int]
    stages: int
    base: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int, int]) -> Geometry:
        """Return the pyramid of a shape, halved down to 4 px of the smaller side or 8 samples."""
        height, width, _ = shape
        signal = height == 1
        side, least = (
            (width, SMALLEST_SIGNAL_BASE) if signal else (min(height, width), SMALLEST_BASE_PX)
        )
        stages = 1
        while side >= least * 2 ** (stages + 1):
            stages += 1
        unit = 2**stages
        base = (-(-height // unit), -(-width // unit))
        return cls(shape, stages, base, (1 if signal else base[0] * unit, base[1] * unit))

    @property
    def signal(self) -> bool:
        return self.shape[0] == 1

    def widths(self, width: int, max_width: int) -> list[int]:
        """Return the channels of each stage, finest first, doubled up to `max_width`."""
        return [min(max_width, width * 2**stage) for stage in range(self.stages)]


def pixel_dtype(shape: tuple[int, ...]) -> type[np.uint8 | np.float32]:
    """Return uint8 for images (H, W, C), float32 for signals (1, L, C)."""
    return np.float32 if shape[0] == 1 else np.uint8


def unit_range(pixels: NDArray[Any]) -> Tensor:
    """Scale uint8 0..255 or float32 -1..1, (N, H, W, C), to float32 -1..1, (N, C, H, W)."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)  # (N, C, H, W)
    x = x.to(torch.float32, copy=True)
    return x.div_(127.5).sub_(1) if pixels.dtype == np.uint8 else x


def to_network(pixels: NDArray[Any], padded: tuple[int, int]) -> Tensor:
    """Scale pixels (N, H, W, C) to float32 -1..1, (N, C, H', W'), edge-padded to `padded` px.

    Channels last in memory, which CPU convolutions read fastest.
    """
    x = edge_padded(unit_range(pixels), padded)
    return x.contiguous(memory_format=torch.channels_last)


def to_pixels(x: Tensor, size: tuple[int, int]) -> NDArray[Any]:
    """Scale floats -1..1, (N, C, H', W'), to uint8 (N, H, W, C), cropped to `size`, rounded.

    Signals, which are one pixel high, stay float32 -1..1.
    """
    x = cropped(x, size).float()
    if size[0] == 1:
        x = x.clamp(-1, 1)
    else:
        x = x.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    return x.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def edge_padded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Centre images (N, C, h, w) in (H, W) px by repeating their edges."""
    top, left, bottom, right = _margins(x.shape[2:], size)
    if top or left or bottom or right:
        x = F.pad(x, (left, right, top, bottom), mode="replicate")
    return x


def cropped(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the central (h, w) px of images (N, C, H, W)."""
    top, left, _, _ = _margins(size, x.shape[2:])
    return x[:, :, top : top + size[0], left : left + size[1]]


def _margins(inner: tuple[int, ...], outer: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) px that centre `inner` (h, w) in `outer` (H, W)."""
    top, left = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
    return top, left, outer[0] - inner[0] - top, outer[1] - inner[1] - left
