"""The one place where pixels change scale: uint8 0..255 in arrays, float32 -1..1 in networks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def to_network(pixels: NDArray[np.uint8], padded: tuple[int, int]) -> Tensor:
    """uint8 (N, H, W, C) 0..255 -> float32 (N, C, H', W') -1..1, edge-padded to `padded` px.

    Channels last in memory, which CPU convolutions read fastest.
    """
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)  # (N, C, H, W)
    x = edge_padded(x.to(torch.float32).div_(127.5).sub_(1), padded)
    return x.contiguous(memory_format=torch.channels_last)


def to_pixels(x: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Float (N, C, H', W') -1..1 -> uint8 (N, H, W, C) 0..255: cropped to `size`, rounded."""
    x = cropped(x, size).float()
    x = x.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    return x.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def edge_padded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, h, w) in the middle of (H, W) px, their edges repeated."""
    top, left, bottom, right = _margins(x.shape[2:], size)
    if top or left or bottom or right:
        x = F.pad(x, (left, right, top, bottom), mode="replicate")
    return x


def cropped(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle (h, w) px of images (N, C, H, W): the way back."""
    top, left, _, _ = _margins(size, x.shape[2:])
    return x[:, :, top : top + size[0], left : left + size[1]]


def _margins(inner: tuple[int, ...], outer: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) px that centre `inner` (h, w) in `outer` (H, W)."""
    top, left = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
    return top, left, outer[0] - inner[0] - top, outer[1] - inner[1] - left
