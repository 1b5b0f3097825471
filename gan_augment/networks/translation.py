"""Networks from image to image: translation, style, frequencies, enlargement."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.ensembles import ByClass
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import GeneratorInput, SourceRows
from gan_augment.recipes import GeneratorSettings

HALVINGS = 2
"""Halvings of the side before the residual blocks; one below 16 px."""
BLOCKS = 3
"""Residual blocks."""


class TranslationGenerator(nn.Module):
    """Gives a network that draws from rows the call of a generator. noise_width: entries of z."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.noise_width = int(getattr(network, "noise_width", 0))

    def forward(self, inputs: GeneratorInput) -> Tensor:
        source, network = cast(SourceRows, inputs.source), self.network
        images: Tensor
        if source.styles is not None:
            images = network(source.rows, source.styles)
        elif isinstance(network, SuperResolver):
            images = network(source.rows)
        elif isinstance(network, ByClass):
            images = network(source.rows, inputs.y)
        else:
            images = network(source.rows, inputs.y, inputs.z, source.masks)
        return images


class ResidualBlock(nn.Module):
    """x + c(d(relu(n(c x)))) with instance norms n, if `normalised`, and dropped channels d."""

    def __init__(self, channels: int, *, normalised: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=not normalised)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=not normalised)
        self.norm = nn.InstanceNorm2d(channels) if normalised else nn.Identity()

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """x (N, C, H, W); kept (N, C, 1, 1): 0 for a channel that is dropped."""
        h = F.relu(self.norm(self.first(x)))
        if kept is not None:
            h = h * kept
        moved: Tensor = x + self.norm(self.second(h))
        return moved


class Translator(nn.Module):
    """Draws images (N, C, H, W), -1..1, as classes y (N,), in the same shape.

    Halved twice, residual blocks, doubled twice, with instance norms. The first layer
    gets the class as constant maps of the image (Choi et al. 2018). No instance norm follows that
    layer: it would remove every constant, and the class with it.

    dropping: z says which half of the channels the blocks drop, also when sampling: the only noise
    of such a network (Isola et al. 2017). masked: images are emptied where masks are 1, and
    redrawn only there. Sources: Zhu et al. 2017 (CycleGAN); Choi et al. 2018 (StarGAN).
    """

    def __init__(
        self,
        geometry: Geometry,
        classes: int,
        settings: GeneratorSettings,
        *,
        dropping: bool = False,
        masked: bool = False,
    ) -> None:
        super().__init__()
        channels, width = geometry.shape[2], settings.width
        widths = _widths(geometry, settings)
        self.dropping = dropping
        self.noise_width = widths[-1] if dropping else 0
        self.embed = nn.Embedding(classes, settings.embedding)
        self.told = nn.Linear(settings.embedding, width)
        self.first = nn.Conv2d(channels + masked, width, 3, padding=1)
        self.down = nn.ModuleList(_normalised(a, b, 4, stride=2) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(ResidualBlock(widths[-1]) for _ in range(BLOCKS))
        self.up = nn.ModuleList(_normalised(a, b, 3) for a, b in pairwise(widths[::-1]))
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(
        self, x: Tensor, y: Tensor, z: Tensor | None = None, masks: Tensor | None = None
    ) -> Tensor:
        """Draw images as classes y, with z (N, noise_width) and masks (N, 1, H, W) if used."""
        before = x
        if masks is not None:
            masks = masks.to(x.dtype)
            x = torch.cat([x * (1 - masks), masks], dim=1)
        told = self.told(self.embed(y))[:, :, None, None]
        h = F.relu(self.first(x) + told)
        kept = 2.0 * (z > 0)[:, :, None, None] if self.dropping and z is not None else None
        for layer in self.down:
            h = layer(h)
        for block in self.blocks:
            h = block(h, kept)
        for layer in self.up:
            h = layer(F.interpolate(h, scale_factor=2, mode="nearest"))
        images: Tensor = torch.tanh(self.last(h))
        return images if masks is None else torch.where(masks > 0, images, before.to(images.dtype))


class Restyler(nn.Module):
    """Draws rows in the style of other rows, (N, C, H, W) each, -1..1.

    The mean and deviation of each feature map become those of the style's maps (`adain`). The
    encoder is trained, not downloaded; it has no norms, which would remove the style.
    Source: Huang & Belongie 2017, "Arbitrary Style Transfer in Real-time".
    """

    def __init__(self, geometry: Geometry, settings: GeneratorSettings) -> None:
        super().__init__()
        channels, width, widths = geometry.shape[2], settings.width, _widths(geometry, settings)
        self.encoder = nn.ModuleList([nn.Conv2d(channels, width, 3, padding=1)])
        for before, after in pairwise(widths):
            self.encoder.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
        self.blocks = nn.ModuleList(
            ResidualBlock(widths[-1], normalised=False) for _ in range(BLOCKS)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths[::-1])
        )
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps of each level of the encoder, finest first."""
        levels = []
        for layer in self.encoder:
            x = F.leaky_relu(layer(x), 0.2)
            levels.append(x)
        return levels

    def forward(self, rows: Tensor, styles: Tensor) -> Tensor:
        h = adain(self.features(rows)[-1], self.features(styles)[-1])
        for block in self.blocks:
            h = block(h)
        for layer in self.up:
            h = F.relu(layer(F.interpolate(h, scale_factor=2, mode="nearest")))
        images: Tensor = torch.tanh(self.last(h))
        return images


class SuperResolver(nn.Module):
    """Images (N, C, h, w) at `scale` times the side: bicubic, plus a learned residual.

    The residual begins at zero: before training it is bicubic. Any side; ignores the class.
    Sources: Ledig et al. 2017 (SRGAN), without norms as in Lim et al. 2017 (EDSR).
    """

    def __init__(self, channels: int, settings: GeneratorSettings) -> None:
        super().__init__()
        self.scale, width = settings.scale, settings.width
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width, normalised=False) for _ in range(BLOCKS))
        self.up = nn.ModuleList(
            nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(self.scale.bit_length() - 1)
        )
        self.residual = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, low: Tensor) -> Tensor:
        h = F.leaky_relu(self.first(low), 0.2)
        for block in self.blocks:
            h = block(h)
        for layer in self.up:
            h = F.leaky_relu(F.pixel_shuffle(layer(h), 2), 0.2)
        images: Tensor = enlarged(low, self.scale) + self.residual(h)
        return images


class FrequencyMixer(nn.Module):
    """Gives rows the low-frequency amplitudes of other rows; phases stay.

    Frequencies up to `band` cycles per pixel in both directions. Nothing is trained. Source: Yang &
    Soatto 2020, "FDA: Fourier Domain Adaptation", eq. 3.
    """

    def __init__(self, band: float = 0.1) -> None:
        super().__init__()
        self.band = band

    def forward(self, rows: Tensor, styles: Tensor) -> Tensor:
        """Mix (N, C, H, W) each, -1..1; the result is clipped to the range."""
        waves, others = torch.fft.fft2(rows.float()), torch.fft.fft2(styles.float())
        near = [torch.fft.fftfreq(side, device=rows.device).abs() for side in rows.shape[2:]]
        low = (near[0][:, None] <= self.band) & (near[1][None] <= self.band)
        mixed = torch.polar(torch.where(low, others.abs(), waves.abs()), waves.angle())
        images: Tensor = torch.fft.ifft2(mixed).real.clamp(-1, 1)
        return images


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Return sigma_s (x - mu_c) / sigma_c + mu_s per map, (N, C, h, w); see `moments`."""
    mean, deviation = moments(content)
    to_mean, to_deviation = moments(style)
    return (content - mean) / deviation * to_deviation + to_mean


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and unbiased sqrt(var + 1e-5) of each map: (N, C, h, w) -> (N, C, 1, 1)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True)
    return mean, (variance + 1e-5).sqrt()


def lowered(images: Tensor, scale: int) -> Tensor:
    """Shrink images to 1 / scale of the side by means of pixels."""
    return F.avg_pool2d(images, scale)


def enlarged(images: Tensor, scale: int) -> Tensor:
    """Enlarge images to `scale` times the side, bicubically."""
    return F.interpolate(images, scale_factor=scale, mode="bicubic", align_corners=False)


def _widths(geometry: Geometry, settings: GeneratorSettings) -> list[int]:
    """Return the channels at the full side and after each halving."""
    halvings = range(min(HALVINGS, geometry.stages) + 1)
    return [min(settings.max_width, settings.width << k) for k in halvings]


def _normalised(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, kernel, stride, padding=1, bias=False)
    return nn.Sequential(layer, nn.InstanceNorm2d(after), nn.ReLU())
