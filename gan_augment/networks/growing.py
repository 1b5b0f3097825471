"""PGGAN's networks: equalised rates, pixel norm, and levels that fade in as training goes on.

Level k draws and judges the base side times 2^k; a level between k and k + 1 is a fade. Source:
Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation".
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gan_augment.networks.geometry import Geometry
from gan_augment.networks.images import with_minibatch_std
from gan_augment.networks.layers import (
    ConditionalDiscriminator,
    Module,
    convolution,
    doubled,
    halved,
    spectrally_normalised,
)
from gan_augment.recipes import DiscriminatorSettings, GeneratorSettings


class Scaled(nn.Module):
    """Multiplies a weight by a constant, so that Adam moves all layers at equal relative rates."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


def equalised(module: Module, gain: float = 2**0.5) -> Module:
    """Scale the N(0, 1) weights of a module by gain / sqrt(fan_in), and return the module."""
    weight = cast(Tensor, module.weight)
    scale = gain * weight[0].numel() ** -0.5
    parametrize.register_parametrization(module, "weight", Scaled(scale))
    return module


def pixel_norm(x: Tensor) -> Tensor:
    """Scale x (N, C, ...) to mean square 1 over C."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Growing(nn.Module):
    """A network with a level 0..stages, which starts at the full side."""

    level: Tensor
    first_std = 1.0

    def set_stages(self, stages: int) -> None:
        self.stages = stages
        self.register_buffer("level", torch.tensor(float(stages)))

    def place(self) -> tuple[int, float]:
        """Return (k, alpha): the finest level in use, and how far it has faded in."""
        return place(float(self.level))


def place(level: float) -> tuple[int, float]:
    """Return (k, alpha) of a level.

    >>> place(2.0), place(1.25)
    ((2, 1.0), (2, 0.25))
    """
    upper = math.ceil(level)
    return upper, 1.0 - (upper - level)


def level_at(progress: float, grow: float, stages: int) -> float:
    """Return the level at `progress` 0..1 of a run that grows over its first `grow`.

    It is `stages` if `grow` is 0. A level is trained as long as the next one fades in.

    >>> [level_at(progress, 0.5, 2) for progress in (0.1, 0.1875, 0.3, 0.5)]
    [0.0, 0.5, 1.0, 2.0]
    """
    if progress >= grow:
        return float(stages)
    whole, part = divmod(progress / grow * stages, 1)
    return whole + max(2 * part - 1, 0.0)


def faded(x: Tensor, level: float, stages: int) -> Tensor:
    """Fade reals (N, C, H, W) to what a network of `level` can draw: (1 - a) up(down(x)) + a x."""
    finest, alpha = place(level)
    x = halved(x, stages - finest)
    if alpha < 1:
        x = torch.lerp(doubled(halved(x)), x, alpha)
    return doubled(x, stages - finest)


def level_widths(
    geometry: Geometry, settings: GeneratorSettings | DiscriminatorSettings
) -> list[int]:
    """Return the channels of each level, coarsest first; the full side has half of the next."""
    coarser = geometry.widths(settings.width, settings.max_width)[::-1]
    return [*coarser, max(settings.width // 2, 1)]


class Convolutions(nn.Module):
    """3x3 convolutions with LeakyReLU .2, in the generator each with a pixel norm."""

    def __init__(self, widths: list[int], *, normalised: bool, signal: bool = False) -> None:
        super().__init__()
        self.normalised = normalised
        pairs = itertools.pairwise(widths)
        self.layers = nn.ModuleList(
            equalised(convolution(a, b, 3, signal=signal)) for a, b in pairs
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            x = pixel_norm(x) if self.normalised else x
        return x


class GrowingGenerator(Growing):
    """z (N, code), y int64 (N,) -> (N, C, H, W) of the padded size, without tanh."""

    def __init__(self, geometry: Geometry, classes: int, settings: GeneratorSettings) -> None:
        super().__init__()
        code, embedding = settings.code, settings.embedding
        self.set_stages(geometry.stages)
        self.base, self.noise_width = geometry.base, code
        widths = level_widths(geometry, settings)
        self.embed = nn.Embedding(classes, embedding)
        pixels = geometry.base[0] * geometry.base[1]
        self.start = equalised(nn.Linear(code + embedding, widths[0] * pixels))
        befores = [[widths[0]], *([w, after] for w, after in itertools.pairwise(widths))]
        self.levels = nn.ModuleList(
            Convolutions([*before, after], normalised=True, signal=geometry.signal)
            for before, after in zip(befores, widths, strict=True)
        )
        self.to_rgb = nn.ModuleList(
            equalised(nn.Conv2d(w, geometry.shape[2], 1), gain=1.0) for w in widths
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        finest, alpha = self.place()
        h = self.start(pixel_norm(torch.cat([z, self.embed(y)], dim=1)))
        h = pixel_norm(F.leaky_relu(h.unflatten(1, (-1, *self.base)), 0.2))  # (N, width, h, w)
        before = h = self.levels[0](h)
        for level in range(1, finest + 1):
            before, h = h, self.levels[level](doubled(h))
        images: Tensor = self.to_rgb[finest](h)
        if alpha < 1:
            images = torch.lerp(doubled(self.to_rgb[finest - 1](before)), images, alpha)
        return doubled(images, self.stages - finest)


class GrowingDiscriminator(ConditionalDiscriminator, Growing):
    """Mirrors the generator: from_rgb, two 3x3 convolutions and a mean of 2x2 a level.

    What fades in is mixed with from_rgb of the halved image. Images of the full side are halved to
    the level first, so that slopes are those by pixels of the full side. phi comes from a layer
    over the whole base map.
    """

    def __init__(self, geometry: Geometry, classes: int, settings: DiscriminatorSettings) -> None:
        super().__init__()
        condition, minibatch_std = settings.condition, settings.minibatch_std
        self.set_stages(geometry.stages)
        self.minibatch_std = minibatch_std
        widths = level_widths(geometry, settings)
        channels = geometry.shape[2] + (condition == "concatenation")
        self.from_rgb = nn.ModuleList(equalised(nn.Conv2d(channels, w, 1)) for w in widths)
        self.levels = nn.ModuleList(
            Convolutions([w, w, before], normalised=False, signal=geometry.signal)
            for before, w in itertools.pairwise(widths)
        )
        ends = [widths[0] + minibatch_std, widths[0]]
        self.last = Convolutions(ends, normalised=False, signal=geometry.signal)
        pixels = geometry.base[0] * geometry.base[1]
        self.dense = equalised(nn.Linear(widths[0] * pixels, widths[0]))
        equal = functools.partial(equalised, gain=1.0)
        self.set_head(classes, widths[0], condition, equal, math.prod(geometry.padded))
        if settings.spectral_norm:
            for module in [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]:
                spectrally_normalised(module)

    def trunk(self, x: Tensor) -> Tensor:
        finest, alpha = self.place()
        x = halved(x, self.stages - finest)
        h = F.leaky_relu(self.from_rgb[finest](x), 0.2)
        for level in range(finest, 0, -1):
            h = halved(self.levels[level - 1](h))
            if level == finest and alpha < 1:
                h = torch.lerp(F.leaky_relu(self.from_rgb[level - 1](halved(x)), 0.2), h, alpha)
        h = self.last(with_minibatch_std(h) if self.minibatch_std else h)
        return F.leaky_relu(self.dense(h.flatten(1)), 0.2)
