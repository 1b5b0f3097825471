"""DCGAN's networks: strided convolutions, batch normalisation, small first weights.

Source: Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional GANs".
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from gan_augment.networks.geometry import Geometry
from gan_augment.networks.images import ImageDiscriminator, with_minibatch_std
from gan_augment.networks.layers import (
    convolution,
    new_embedding,
    spectrally_normalised,
    transposed_convolution,
)
from gan_augment.recipes import DiscriminatorSettings, GeneratorSettings

FIRST_STD = 0.02
"""Standard deviation of initial weights, N(0, .02), and batch norm scales, N(1, .02)."""


class DCGANGenerator(nn.Module):
    """Linear to the base map, then transposed 4x4 convolutions, each twice the side; tanh.

    Shapes: z (N, code), y int64 (N,) -> (N, C, H, W) float -1..1 of the padded size. Batch norm and
    ReLU follow every layer but the last.
    """

    first_std = FIRST_STD

    def __init__(self, geometry: Geometry, classes: int, settings: GeneratorSettings) -> None:
        super().__init__()
        code, embedding = settings.code, settings.embedding
        self.base, self.noise_width = geometry.base, code
        widths = geometry.widths(settings.width, settings.max_width)[::-1]  # coarsest first
        self.embed = new_embedding(classes, embedding)
        self.embed.first_std = 1.0  # type: ignore[assignment]  # as z has
        pixels = geometry.base[0] * geometry.base[1]
        self.start = nn.Linear(code + embedding, widths[0] * pixels, bias=False)
        layers: list[nn.Module] = []
        for before, after in zip(widths, [*widths[1:], geometry.shape[2]], strict=True):
            up = transposed_convolution(before, after, signal=geometry.signal)
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), up]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Draw one image per row."""
        h = self.start(torch.cat([z, self.embed(y)], dim=1))
        images: Tensor = self.layers(h.unflatten(1, (-1, *self.base)))  # (N, width, h, w)
        return torch.tanh(images)


class DCGANDiscriminator(ImageDiscriminator):
    """4x4 convolutions of stride 2, LeakyReLU .2, batch norm after all but the first.

    phi is the flattened base map.
    """

    first_std = FIRST_STD

    def __init__(self, geometry: Geometry, classes: int, settings: DiscriminatorSettings) -> None:
        super().__init__()
        condition, minibatch_std = settings.condition, settings.minibatch_std
        self.minibatch_std = minibatch_std
        normalised = functools.partial(spectrally_normalised, enabled=settings.spectral_norm)
        layers: list[nn.Module] = []
        before = geometry.shape[2] + (condition == "concatenation")
        for after in geometry.widths(settings.width, settings.max_width):
            down = convolution(before, after, 4, signal=geometry.signal, stride=2, bias=not layers)
            norm = [nn.BatchNorm2d(after)] if layers else []
            layers += [normalised(down), *norm, nn.LeakyReLU(0.2, inplace=True)]
            before = after
        self.layers = nn.Sequential(*layers)
        entries = (before + minibatch_std) * geometry.base[0] * geometry.base[1]
        self.set_verdict(geometry, classes, entries, condition, normalised)

    def trunk(self, x: Tensor) -> Tensor:
        """Return the flattened base map of each image."""
        x = self.layers(x)
        return (with_minibatch_std(x) if self.minibatch_std else x).flatten(1)
