"""The encoder: an image to its code. Used by the anchored generator only."""

from __future__ import annotations

from torch import Tensor, nn

from gan_augment.networks.geometry import Geometry


class Encoder(nn.Module):
    """Stride-2 4x4 convolutions to the base resolution, then one linear layer.

    Shapes: (N, C, H, W) float -1..1 of the padded size -> (N, code).
    Batch normalisation: group normalisation of the same maps took 7 % of a whole step on CPU. When
    evaluating, running averages make a row's code independent of its batch.
    """

    def __init__(self, geometry: Geometry, code: int, width: int, max_width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = geometry.shape[2]
        for after in geometry.widths(width, max_width):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            before = after
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before * geometry.base[0] * geometry.base[1], code)

    def forward(self, x: Tensor) -> Tensor:
        """The codes of a batch."""
        code: Tensor = self.head(self.features(x).flatten(1))
        return code
