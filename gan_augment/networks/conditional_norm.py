"""Batch normalisation with a scale and a shift of each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConditionalBatchNorm(nn.Module):
    """Normalise each channel over the batch, then scale and shift it as the class embedding says.

    Shapes: x (N, C, H, W), embedding (N, E) -> (N, C, H, W). Running averages when evaluating, so
    that a sample does not depend on its batch. Source: de Vries et al. 2017; Brock et al. 2019
    (shared embedding).
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(embedding, 2 * channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Normalised, then modulated."""
        scale, shift = self.affine(embedding)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1) each
        return torch.addcmul(shift, self.norm(x), 1 + scale)
