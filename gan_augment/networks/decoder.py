"""The decoder: a code and a class to an image. What both generators are made of."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.conditional_norm import ConditionalBatchNorm
from gan_augment.networks.geometry import Geometry


class DecoderBlock(nn.Module):
    """1x1 convolution if the width changes, doubled side if `upsample`, 3x3, norm, ReLU.

    The 1x1 comes before the doubling: the 3x3, on four times as many pixels, reads half the
    channels then.
    """

    def __init__(self, before: int, after: int, embedding: int, upsample: bool) -> None:
        super().__init__()
        self.upsample = upsample
        narrow = before != after
        self.reduce = nn.Conv2d(before, after, 1, bias=False) if narrow else nn.Identity()
        self.convolution = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm = ConditionalBatchNorm(after, embedding)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(N, before, H, W), (N, E) -> (N, after, H or 2H, W or 2W)."""
        x = self.reduce(x)
        if self.upsample:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.relu(self.norm(self.convolution(x), embedding), inplace=True)


class Decoder(nn.Module):
    """Linear to the base map, a block a resolution up to half the side, pixels shuffled up by two.

    Shapes: z (N, code), y int64 (N,) -> (N, C, H, W) float -1..1 (tanh) of the padded size.
    The costly 3x3 convolutions end at half the side; pixel shuffling (Shi et al. 2016) draws
    the rest.
    """

    def __init__(
        self,
        geometry: Geometry,
        classes: int,
        code: int,
        embedding: int,
        width: int,
        max_width: int,
    ) -> None:
        super().__init__()
        self.base = geometry.base
        widths = geometry.widths(width, max_width)[::-1]  # coarsest first
        self.embed = nn.Embedding(classes, embedding)
        self.start = nn.Linear(code + embedding, widths[0] * geometry.base[0] * geometry.base[1])
        blocks = [DecoderBlock(widths[0], widths[0], embedding, upsample=False)]
        for before, after in pairwise(widths):
            blocks.append(DecoderBlock(before, after, embedding, upsample=True))
        self.blocks = nn.ModuleList(blocks)
        self.to_pixels = nn.Conv2d(widths[-1], geometry.shape[2] * 4, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """One image a row."""
        embedding = self.embed(y)
        h = self.start(torch.cat([z, embedding], dim=1))
        h = h.unflatten(1, (*self.base, -1)).permute(
            0, 3, 1, 2
        )  # (N, width, h, w), channels last in memory
        for block in self.blocks:
            h = block(h, embedding)
        return torch.tanh(F.pixel_shuffle(self.to_pixels(h), 2))
