"""The discriminator: an image and its class to one logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.geometry import Geometry
from gan_augment.networks.spectral_norm import spectrally_normalised


class Discriminator(nn.Module):
    """Stride-2 4x4 convolutions, one 3x3, sum pooling, and a projection on the class.

    s = v . phi + <V e_y, phi>. Shapes: x (N, C, H, W) float -1..1, y int64 (N,) -> logits (N,).
    Source: Miyato & Koyama 2018, "cGANs with Projection Discriminator"; minibatch standard
    deviation as one more map: Karras et al. 2018. More heads, both blind to the class, where asked:
    unconditional, of the same features (Shahbazi et al. 2022); coarse, of images of a quarter of
    the side, which enter behind the second convolution (Khorram et al. 2024).
    """

    def __init__(
        self,
        geometry: Geometry,
        classes: int,
        *,
        width: int,
        max_width: int,
        spectral_norm: bool = True,
        minibatch_std: bool = False,
        unconditional: bool = False,
        coarse: bool = False,
    ) -> None:
        super().__init__()
        self.minibatch_std = minibatch_std
        self.unconditional: nn.Module | None = None
        self.coarse: nn.Module | None = None
        self.stages = nn.ModuleList()
        before, widths = geometry.shape[2], geometry.widths(width, max_width)
        for after in widths:
            layer = nn.Conv2d(before, after, 4, stride=2, padding=1)
            self.stages.append(spectrally_normalised(layer, spectral_norm))
            before = after
        last = nn.Conv2d(before + int(minibatch_std), before, 3, padding=1)
        self.last = spectrally_normalised(last, spectral_norm)
        self.linear = spectrally_normalised(nn.Linear(before, 1), spectral_norm)
        self.embed = spectrally_normalised(nn.Embedding(classes, before), spectral_norm)
        if unconditional:
            self.unconditional = spectrally_normalised(nn.Linear(before, 1), spectral_norm)
        if coarse:
            enter = nn.Conv2d(geometry.shape[2], widths[1], 3, padding=1)
            self.from_coarse = spectrally_normalised(enter, spectral_norm)
            self.coarse = spectrally_normalised(nn.Linear(before, 1), spectral_norm)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """One logit a row, unit: logits."""
        return self._by_class(self._features(x), y)

    def heads(self, x: Tensor, y: Tensor, coarse: Tensor | None = None) -> list[Tensor]:
        """Logits (N,) by class, then without it, then of coarse images: of what heads there are."""
        features = self._features(x)
        logits = [self._by_class(features, y)]
        if self.unconditional is not None:
            logits.append(self.unconditional(features).squeeze(1))
        if self.coarse is not None and coarse is not None:
            entered = F.leaky_relu(self.from_coarse(coarse), 0.2, inplace=True)
            logits.append(self.coarse(self._features(entered, stage=2)).squeeze(1))
        return logits

    def _features(self, x: Tensor, stage: int = 0) -> Tensor:
        """phi (N, width) of what enters at a stage: an image at 0, its maps later."""
        for convolution in self.stages[stage:]:
            x = F.leaky_relu(convolution(x), 0.2, inplace=True)
        if self.minibatch_std:
            x = with_minibatch_std(x)
        x = F.leaky_relu(self.last(x), 0.2, inplace=True)
        return x.sum(dim=(2, 3))

    def _by_class(self, features: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.linear(features).squeeze(1) + (self.embed(y) * features).sum(dim=1)
        return logits


def with_minibatch_std(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C + 1, H, W): the last map says how the batch varies.

    It is the mean over C, H, W of sqrt(var + 1e-8), biased variance over the batch.
    Source: Karras et al. 2018, section 3.
    """
    deviation = (x.float().var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    one_map = deviation.to(x.dtype).expand(len(x), 1, *x.shape[2:])
    return torch.cat([x, one_map], dim=1)
