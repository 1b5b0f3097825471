"""The networks of images: encoder, decoder, generators, discriminators, and those of DCGAN.

Source of DCGAN: Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks".
"""

from __future__ import annotations

import functools
import math
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.components import Components
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import Anchors, GeneratorInput
from gan_augment.networks.layers import (
    ConditionalBatchNorm,
    ConditionalDiscriminator,
    convolution,
    doubled,
    shuffled,
    spectrally_normalised,
    transposed_convolution,
)
from gan_augment.recipes import DiscriminatorSettings, GeneratorSettings

ENCODER_WIDTH = 32
RESIZED_MAPS = 16
"""Maps that are doubled to the full side, where a convolution draws the image."""
FIRST_STD = 0.02
"""Standard deviation of initial weights, N(0, .02), and batch norm scales, N(1, .02)."""
SIGMA = 0.1
"""Standard deviation of the noise that is added to a code."""


class Encoder(nn.Module):
    """Stride-2 4x4 convolutions to the base resolution, then one linear layer.

    Shapes: (N, C, H, W) float -1..1 of the padded size -> (N, code).
    Batch normalisation: group normalisation of the same maps took 7 % of a whole step on CPU. When
    evaluating, running averages make a row's code independent of its batch. It is at most 32
    channels wide at half the side, fewer than the generator.
    """

    def __init__(self, geometry: Geometry, settings: GeneratorSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = geometry.shape[2]
        for after in geometry.widths(min(ENCODER_WIDTH, settings.width), settings.max_width):
            layers += [
                convolution(before, after, 4, signal=geometry.signal, stride=2, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            before = after
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before * geometry.base[0] * geometry.base[1], settings.code)

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of a batch."""
        code: Tensor = self.head(self.features(x).flatten(1))
        return code


class DecoderBlock(nn.Module):
    """1x1 convolution if the width changes, doubled side if `upsample`, 3x3, norm, ReLU.

    The 1x1 comes before the doubling: the 3x3, on four times as many pixels, reads half the
    channels then.
    """

    def __init__(
        self, before: int, after: int, embedding: int, upsample: bool, signal: bool = False
    ) -> None:
        super().__init__()
        self.upsample = upsample
        narrow = before != after
        self.reduce = nn.Conv2d(before, after, 1, bias=False) if narrow else nn.Identity()
        self.convolution = convolution(after, after, 3, signal=signal, bias=False)
        self.norm = ConditionalBatchNorm(after, embedding)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (N, before, H, W), (N, E) -> (N, after, H or 2H, W or 2W)."""
        x = self.reduce(x)
        if self.upsample:
            x = doubled(x)
        return F.relu(self.norm(self.convolution(x), embedding), inplace=True)


class Decoder(nn.Module):
    """A linear layer to the base map, a block per resolution up to half the side, then pixels.

    Shapes: z (N, code), y int64 (N,) -> (N, C, H, W) float -1..1 (tanh) of the padded size.
    The costly 3x3 convolutions end at half the side; pixel shuffling (Shi et al. 2016) draws
    the rest. components: a few maps are doubled and convolved instead (Odena et al. 2016), which
    leaves no checkerboard. skip_code: the code, too, modulates every block (Brock et al. 2019).
    """

    def __init__(self, geometry: Geometry, classes: int, settings: GeneratorSettings) -> None:
        super().__init__()
        code, embedding, skip_code = settings.code, settings.embedding, settings.skip_code
        self.base, self.noise_width, self.skip_code = geometry.base, code, skip_code
        signal = geometry.signal
        widths = geometry.widths(settings.width, settings.max_width)[::-1]  # coarsest first
        self.embed = nn.Embedding(classes, embedding)
        self.start = nn.Linear(code + embedding, widths[0] * geometry.base[0] * geometry.base[1])
        modulating = embedding + code * skip_code
        blocks = [DecoderBlock(widths[0], widths[0], modulating, upsample=False, signal=signal)]
        for before, after in pairwise(widths):
            blocks.append(DecoderBlock(before, after, modulating, upsample=True, signal=signal))
        self.blocks = nn.ModuleList(blocks)
        channels, self.resize = geometry.shape[2], settings.components
        if self.resize:
            self.to_maps = convolution(widths[-1], RESIZED_MAPS, 3, signal=signal)
            self.to_image = convolution(RESIZED_MAPS, channels, 3, signal=signal)
        else:
            subpixels = channels * (2 if signal else 4)
            self.to_pixels = convolution(widths[-1], subpixels, 3, signal=signal)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Draw one image per row."""
        embedding: Tensor = self.embed(y)
        both = torch.cat([z, embedding], dim=1)
        h = self.start(both)
        h = h.unflatten(1, (*self.base, -1))  # (N, h, w, width), channels last in memory
        h = h.permute(0, 3, 1, 2)
        for block in self.blocks:
            h = block(h, both if self.skip_code else embedding)
        if not self.resize:
            return torch.tanh(shuffled(self.to_pixels(h)))
        maps = F.leaky_relu(self.to_maps(h), 0.2, inplace=True)
        return torch.tanh(self.to_image(doubled(maps)))


class FreeGenerator(nn.Module):
    """Turns noise and a class into an image. noise_width: entries of z."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.noise_width = cast(int, decoder.noise_width)

    def forward(self, inputs: GeneratorInput) -> Tensor:
        """Decode z as class y."""
        images: Tensor = self.decoder(inputs.z, inputs.y)
        return images


class AnchoredGenerator(nn.Module):
    """Decodes a mixture of the codes of real rows, with some noise.

    code = sum_k w_k E(a_k) + sigma z; image = G(code, y). Two rows of the class, weighted
    1 - lambda and lambda: interpolation of autoencoder codes as in DeepSMOTE (Dablain et al. 2021),
    made real by an adversary. A row, and the difference of two rows of another class: that class's
    variation, borrowed, as in the delta-encoder (Schwartz et al. 2018).

    components: the networks correct the codes and images of principal components; the last layers
    of both networks begin at 0. image = tanh(atanh(components) + G).
    """

    def __init__(
        self, encoder: Encoder, decoder: nn.Module, components: Components | None = None
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.components = encoder, decoder, components
        self.noise_width = encoder.head.out_features
        if components is not None:
            for layer in (encoder.head, cast(Decoder, decoder).to_image):
                layer.first_std = 0.0  # type: ignore[assignment]

    def draw(self, inputs: GeneratorInput) -> tuple[Tensor, Tensor]:
        """Return images and their noisy mixed codes (N, code)."""
        anchors = cast(Anchors, inputs.source)
        codes = self.encode(anchors.rows)
        mixed = torch.einsum("nk,nkc->nc", anchors.weight.to(codes.dtype), codes[anchors.index])
        code = mixed + SIGMA * inputs.z
        images = self.decoder(code, inputs.y)
        if self.components is not None:
            linear = self.components.decode(code)
            images = (linear + images) / (1 + linear * images)  # tanh(a + b)
        return images, code

    def encode(self, rows: Tensor) -> Tensor:
        """Encode images; codes are returned unchanged."""
        if rows.ndim == 2:
            return rows
        codes: Tensor = self.encoder(rows)
        return codes if self.components is None else codes + self.components.encode(rows)

    def forward(self, inputs: GeneratorInput) -> Tensor:
        """Decode the mixed code as class y."""
        return self.draw(inputs)[0]


class Discriminator(ConditionalDiscriminator):
    """Stride-2 4x4 convolutions, one 3x3, sum pooling, and a class-conditional verdict.

    Sources: Miyato & Koyama 2018, "cGANs with Projection Discriminator"; minibatch standard
    deviation as one more map: Karras et al. 2018.
    """

    def __init__(self, geometry: Geometry, classes: int, settings: DiscriminatorSettings) -> None:
        super().__init__()
        self.minibatch_std = settings.minibatch_std
        normalised = functools.partial(spectrally_normalised, enabled=settings.spectral_norm)
        self.stages = nn.ModuleList()
        before = geometry.shape[2] + (settings.condition == "concatenation")
        for after in geometry.widths(settings.width, settings.max_width):
            layer = convolution(before, after, 4, signal=geometry.signal, stride=2)
            self.stages.append(normalised(layer))
            before = after
        last = convolution(before + self.minibatch_std, before, 3, signal=geometry.signal)
        self.last = normalised(last)
        pixels = math.prod(geometry.padded)
        self.set_head(classes, before, settings.condition, normalised, pixels)

    def trunk(self, x: Tensor) -> Tensor:
        """Return the sums over the last maps, (N, width)."""
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2, inplace=True)
        if self.minibatch_std:
            x = with_minibatch_std(x)
        x = F.leaky_relu(self.last(x), 0.2, inplace=True)
        return x.sum(dim=(2, 3))


def with_minibatch_std(x: Tensor) -> Tensor:
    """Append the deviation in the batch as a map, (N, C, H, W) -> (N, C + 1, H, W).

    It is the mean over C, H, W of sqrt(var + 1e-8), biased variance over the batch.
    Source: Karras et al. 2018, section 3.
    """
    deviation = (x.float().var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    one_map = deviation.to(x.dtype).expand(len(x), 1, *x.shape[2:])
    return torch.cat([x, one_map], dim=1)


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
        self.embed = nn.Embedding(classes, embedding)
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


class DCGANDiscriminator(ConditionalDiscriminator):
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
        self.set_head(classes, entries, condition, normalised, math.prod(geometry.padded))

    def trunk(self, x: Tensor) -> Tensor:
        """Return the flattened base map of each image."""
        x = self.layers(x)
        return (with_minibatch_std(x) if self.minibatch_std else x).flatten(1)
