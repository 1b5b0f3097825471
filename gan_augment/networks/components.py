"""Principal components of training rows: a linear code of images that needs no training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import machine
from gan_augment.networks.geometry import Geometry, to_network
from gan_augment.networks.layers import doubled, halved

MOST_ENTRIES = 4096
"""Larger images are averaged down first: 64 components of 4,096 entries take 1 MB."""
ROWS = 1024
LIMIT = 0.97
"""Largest value of a linear image; tanh reaches it at 2.1."""


class Components(nn.Module):
    """Encode images as code = V' (x - mean) / s, and decode x = mean + V (s code).

    Shapes: (N, C, H, W) float -1..1 of the padded size, (N, code). Each entry of a code has
    deviation 1 over the fitted rows. All tensors are buffers, which no optimiser changes.
    """

    mean: Tensor
    vectors: Tensor
    scale: Tensor

    def __init__(self, geometry: Geometry, code: int) -> None:
        super().__init__()
        shape, self.halvings = (geometry.shape[2], *geometry.padded), 0
        while math.prod(shape) > MOST_ENTRIES and self.halvings < geometry.stages:
            channels, height, width = shape
            shape, self.halvings = (channels, -(-height // 2), width // 2), self.halvings + 1
        self.shape = shape
        self.register_buffer("mean", torch.zeros(math.prod(shape)))
        self.register_buffer("vectors", torch.zeros(math.prod(shape), code))
        self.register_buffer("scale", torch.ones(code))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of images."""
        with torch.autocast(x.device.type, enabled=False):
            return (self._entries(x) - self.mean) @ self.vectors / self.scale

    def decode(self, code: Tensor) -> Tensor:
        """Return the images of codes, clipped to -.97..97."""
        with torch.autocast(code.device.type, enabled=False):
            entries = self.mean + (code.float() * self.scale) @ self.vectors.T
        images = entries.reshape(-1, *self.shape)
        return doubled(images, self.halvings, "bilinear").clamp(-LIMIT, LIMIT)

    @classmethod
    def of(
        cls, pixels: NDArray[Any], labels: NDArray[np.int64], code: int, power: float
    ) -> Components:
        """Return those of up to 1,024 rows (N, H, W, C), at even steps of class shares ~ n^power.

        One thread computes them, so that their bits do not depend on the number of threads.
        """
        geometry = Geometry.of(pixels.shape[1:])
        components = cls(geometry, code)
        share = (np.bincount(labels).clip(1) ** (power - 1.0))[labels].cumsum()
        places = np.searchsorted(share, (np.arange(ROWS) + 0.5) / ROWS * share[-1])
        rows = np.unique(places) if len(labels) > ROWS else slice(None)
        with machine.threads(1):
            x = components._entries(to_network(pixels[rows], geometry.padded)).double()
            centred = x - x.mean(dim=0)
            values, left = torch.linalg.eigh(centred @ centred.T)  # ascending
            k = min(code, len(x) - 1, x.shape[1])
            values, left = values[-k:].flip(0).clamp_min(1e-9), left[:, -k:].flip(1)
            largest = left.gather(0, left.abs().argmax(dim=0, keepdim=True))
            left = left * largest.sign()  # signs are arbitrary, and differ between processors
            components.mean.copy_(x.mean(dim=0))
            components.vectors[:, :k] = centred.T @ left / values.sqrt()
            components.scale[:k] = (values / len(x)).sqrt().clamp_min(1e-3)
        return components

    def _entries(self, x: Tensor) -> Tensor:
        return halved(x.float(), self.halvings).flatten(1)
