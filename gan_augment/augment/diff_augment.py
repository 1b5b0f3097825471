"""Differentiable augmentation of the discriminator's input: shifts, flips, brightness, contrast.

A shift is two small matrix products, rows and columns; the backward pass of a gather took 2.7 times
as long on a CPU. The image's edge fills the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_augment.recipes import AugmentSettings


@dataclass(frozen=True)
class Moves:
    """The random changes of one batch, see `apply`.

    rows (N, H, H) and columns (N, W, W): each output line as a mixture of input lines.
    gain, shift (N, 1, 1, 1): contrast factor around the image mean, brightness in units of -1..1.
    """

    rows: Tensor
    columns: Tensor
    gain: Tensor
    shift: Tensor


def draw_moves(
    settings: AugmentSettings,
    size: tuple[int, int],
    n: int,
    probability: float,
    rng: np.random.Generator,
) -> Moves:
    """Draw moves for n images of (H, W) px; each change is applied with the given probability."""
    height, width = size

    def chosen() -> np.ndarray:
        return rng.random(n) < probability

    def offsets(side: int) -> np.ndarray:
        reach = round(settings.translation * side)
        return rng.integers(-reach, reach + 1, n)

    moved, toned = chosen(), chosen()
    down, right = offsets(height) * moved, offsets(width) * moved
    flipped = chosen() & (rng.random(n) < 0.5) if settings.flips else np.zeros(n, dtype=bool)
    gains = 1 + toned * rng.uniform(-settings.contrast, settings.contrast, n)
    shifts = toned * rng.uniform(-settings.brightness, settings.brightness, n)
    tones = torch.from_numpy(np.stack([gains, shifts]).astype(np.float32))
    gain, shift = tones.view(2, n, 1, 1, 1)
    return Moves(
        rows=_shift_matrices(height, down, np.zeros(n, dtype=bool)),
        columns=_shift_matrices(width, right, flipped),
        gain=gain,
        shift=shift,
    )


def apply(x: Tensor, moves: Moves) -> Tensor:
    """Apply moves to images (N, C, H, W), float -1..1; differentiable in x, channels last."""
    device, dtype = x.device, x.dtype
    rows = moves.rows.to(device, dtype)[:, None]  # (N, 1, H, H)
    columns = moves.columns.to(device, dtype)[:, None]
    x = rows @ (x @ columns.mT)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    gain, shift = moves.gain.to(device, dtype), moves.shift.to(device, dtype)
    x = torch.addcmul(mean * (1 - gain) + shift, x, gain)
    return x.contiguous(memory_format=torch.channels_last)


def _shift_matrices(side: int, offsets: np.ndarray, flipped: np.ndarray) -> Tensor:
    """Return matrices (n, side, side): row i picks input line i - offset, or the nearest edge."""
    lines = np.arange(side)
    source = np.clip(lines[None, :] - offsets[:, None], 0, side - 1)  # (n, side)
    source = np.where(flipped[:, None], side - 1 - source, source)
    return torch.from_numpy((source[:, :, None] == lines).astype(np.float32))
