"""The discriminator of table rows: encoded rows and their class to one logit a pack."""

from __future__ import annotations

from torch import Tensor, nn

from gan_augment.networks.row_mlp import RowMLP
from gan_augment.networks.spectral_norm import spectrally_normalised


class RowDiscriminator(nn.Module):
    """Two layers, and a projection on the class: s = v . phi + <e_y, phi>.

    pack: so many rows of one class, one after the other, are judged together and share a logit, so
    that repeating oneself is seen. Shapes: x (N, width), y (N,) -> logits (N / pack,).
    Sources: Miyato & Koyama 2018; Lin et al. 2018, "PacGAN".
    """

    def __init__(
        self, entries: int, classes: int, *, width: int, pack: int = 1, spectral_norm: bool = False
    ) -> None:
        super().__init__()
        self.pack = pack
        self.body = RowMLP(entries * pack, width, normalised=False)
        for layer in self.body.layers:
            if isinstance(layer, nn.Linear):
                spectrally_normalised(layer, spectral_norm)
        self.linear = spectrally_normalised(nn.Linear(width, 1), spectral_norm)
        self.class_affine = spectrally_normalised(nn.Embedding(classes, width), spectral_norm)

    def features(self, x: Tensor) -> Tensor:
        """(N, entries) -> (N / pack, width), the class not yet looked at."""
        packed = x.reshape(len(x) // self.pack, -1)  # (N / pack, pack * entries)
        features: Tensor = self.body(packed)
        return features

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """One logit a pack, unit: logits."""
        features, label = self.features(x), y[:: self.pack]
        by_class = (self.class_affine(label) * features).sum(dim=1)
        logits: Tensor = self.linear(features).squeeze(1) + by_class
        return logits
