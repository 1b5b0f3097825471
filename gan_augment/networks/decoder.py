"""The decoder: a code and a class to an image. What both generators are made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.conditional_norm import ConditionalBatchNorm
from gan_augment.networks.geometry import Geometry


@dataclass(frozen=True)
class Conditioning:
    """How a class enters while training; sampling takes the defaults.

    weight: factor on its embedding, 0 to 1. noise: added to the embeddings, (N, embedding).
    """

    weight: float = 1.0
    noise: Tensor | None = None


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
    the rest. shared: so many of the coarsest blocks know no class, and what they drew can be seen
    (Khorram et al. 2024, UTLO).
    """

    def __init__(
        self,
        geometry: Geometry,
        classes: int,
        code: int,
        embedding: int,
        width: int,
        max_width: int,
        shared: int = 0,
    ) -> None:
        super().__init__()
        self.base, self.code, self.shared = geometry.base, code, shared
        widths = geometry.widths(width, max_width)[::-1]  # coarsest first
        self.embed = nn.Embedding(classes, embedding)
        self.start = nn.Linear(code + embedding, widths[0] * geometry.base[0] * geometry.base[1])
        blocks = [DecoderBlock(widths[0], widths[0], embedding, upsample=False)]
        for before, after in pairwise(widths):
            blocks.append(DecoderBlock(before, after, embedding, upsample=True))
        self.blocks = nn.ModuleList(blocks)
        self.to_pixels = nn.Conv2d(widths[-1], geometry.shape[2] * 4, 3, padding=1)
        if shared:
            self.to_coarse = nn.Conv2d(widths[shared - 1], geometry.shape[2], 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """One image a row."""
        return self.with_coarse(z, y)[0]

    def with_coarse(
        self, z: Tensor, y: Tensor, conditioning: Conditioning | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The images, and what the shared blocks drew of them if there are some.

        That is (N, C, H/4, W/4) float -1..1.
        """
        embedding = self._embedding(y, conditioning or Conditioning())
        unknown = torch.zeros_like(embedding) if self.shared else embedding
        h, coarse = self.start(torch.cat([z, unknown], dim=1)), None
        h = h.unflatten(1, (*self.base, -1)).permute(
            0, 3, 1, 2
        )  # (N, width, h, w), channels last in memory
        for done, block in enumerate(self.blocks, start=1):
            h = block(h, unknown if done <= self.shared else embedding)
            if done == self.shared:
                coarse = torch.tanh(self.to_coarse(h))
        return torch.tanh(F.pixel_shuffle(self.to_pixels(h), 2)), coarse

    def _embedding(self, y: Tensor, conditioning: Conditioning) -> Tensor:
        """lambda (e_y + noise), (N, embedding)."""
        embedding: Tensor = self.embed(y)
        if conditioning.noise is not None:
            embedding = embedding + conditioning.noise
        return embedding if conditioning.weight == 1 else conditioning.weight * embedding

    @torch.no_grad()
    def silence_classes(self) -> None:
        """Begin with classes that change nothing: what reads the embedding starts at 0."""
        self.start.weight[:, self.code :] = 0
        for block in self.modules():
            if isinstance(block, ConditionalBatchNorm):
                block.affine.weight.zero_()
