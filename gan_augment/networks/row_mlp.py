"""Two linear layers with leaky ReLUs: the body of both networks of tables."""

from __future__ import annotations

from torch import Tensor, nn


class RowMLP(nn.Module):
    """(N, entries) -> (N, width) features; `normalised` adds layer norms (no batch norm: rows
    must not depend on each other). Source: Ba et al. 2016.
    """

    def __init__(self, entries: int, width: int, *, normalised: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (entries, width):
            layers.append(nn.Linear(before, width))
            if normalised:
                layers.append(nn.LayerNorm(width))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Features of each row."""
        features: Tensor = self.layers(x)
        return features
