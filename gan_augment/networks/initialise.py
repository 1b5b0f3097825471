"""First weights from an explicit seed, so that the global generators stay as they were."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialise(network: nn.Module, seed: int) -> None:
    """Set every weight: He-normal for convolutions and linear layers, biases 0, embeddings N(0, 1).

    The four subpixels of a shuffle begin equal, so that no checkerboard is there to unlearn (Aitken
    et al. 2017). Modulations of conditional norms and class projections of rows begin at
    N(0, .02), residuals at 0, the vectors of spectral normalisation random.
    Source: He et al. 2015, eq. 10, with the slope of a ReLU.
    """
    rng = torch.Generator().manual_seed(seed)
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            weight.fill_(1.0 if _is_norm_scale(network, name) else 0.0)
        elif name.endswith("residual.weight"):
            weight.zero_()
        elif "embed" in name:
            weight.normal_(generator=rng)
        elif "affine" in name:
            weight.normal_(std=0.02, generator=rng)
        else:
            fan_in = weight[0].numel()
            weight.normal_(std=math.sqrt(2 / fan_in), generator=rng)
        if name.endswith("to_pixels.weight"):  # (C * 4, in, 3, 3)
            weight.copy_(weight[::4].repeat_interleave(4, dim=0))
    for name, buffer in network.named_buffers():
        if name.endswith("left"):  # spectral normalisation's singular vector
            buffer.normal_(generator=rng)
            buffer.div_(buffer.norm())


def _is_norm_scale(network: nn.Module, name: str) -> bool:
    owner = network.get_submodule(name.rpartition(".")[0])
    return isinstance(owner, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm) and name.endswith(
        "weight"
    )
