"""Spectral normalisation as a parametrization: W / sigma(W), one power iteration a forward."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Module = TypeVar("Module", bound=nn.Module)


class SpectralNorm(nn.Module):
    """Divides a weight (out, in, ...) by its largest singular value as an (out, in * k * k) matrix.

    `left` (out,) is the running left singular vector; it moves in train mode only, so that
    evaluation is pure.
    sigma's gradient flows through W, not through the vectors.
    Source: Miyato et al. 2018, "Spectral Normalization for GANs", algorithm 1.
    """

    left: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.shape[0]
        self.register_buffer("left", torch.full((rows,), rows**-0.5))

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in, ...) -> the same shape, spectral norm 1; in float32, whatever is around."""
        kind = "cpu" if weight.is_meta else weight.device.type  # no autocast knows shapes alone
        with torch.autocast(kind, enabled=False):
            return weight / self._largest_singular_value(weight)

    def _largest_singular_value(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)  # (out, in * k * k)
        with torch.no_grad():
            right = nn.functional.normalize(matrix.T @ self.left, dim=0)
            left = nn.functional.normalize(matrix @ right, dim=0)
            if self.training:
                self.left.copy_(left)
        return torch.dot(left, torch.mv(matrix, right)).clamp_min(1e-12)


def spectrally_normalised(module: Module, enabled: bool = True) -> Module:
    """The module itself, its `weight` normalised from now on if `enabled`."""
    if enabled:
        weight = module.weight
        if not isinstance(weight, Tensor):
            raise TypeError(f"{type(module).__name__} has no weight tensor")
        parametrize.register_parametrization(module, "weight", SpectralNorm(weight))
    return module
