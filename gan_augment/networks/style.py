"""StyleGAN2's generator: a mapping to styles, modulated convolutions, and noise.

All noise comes from entries of z: an image is a pure function of z and the class. The
discriminator is that of `growing`. Source: Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN".
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.geometry import Geometry
from gan_augment.networks.growing import equalised, level_widths, pixel_norm
from gan_augment.networks.layers import convolution, doubled
from gan_augment.recipes import GeneratorSettings

MAPPING_LAYERS = 4
MAPPING_RATE = 0.1
"""Share of the other layers' rate; the paper's .01 is for runs a thousand times as long."""


class Mapping(nn.Module):
    """z (N, code) and y (N,), each with mean square 1, to styles w (N, code)."""

    first_std = 1 / MAPPING_RATE

    def __init__(self, classes: int, code: int, embedding: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, embedding)
        self.embed.first_std = 1.0  # type: ignore[assignment]  # learned at the full rate
        widths = [code + embedding, *[code] * MAPPING_LAYERS]
        gain = 2**0.5 * MAPPING_RATE
        self.layers = nn.ModuleList(equalised(nn.Linear(a, b), gain) for a, b in pairwise(widths))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        w = torch.cat([pixel_norm(z), pixel_norm(self.embed(y))], dim=1)
        for layer in self.layers:
            w = F.leaky_relu(layer(w), 0.2)
        return w


class ModulatedConvolution(nn.Module):
    """A convolution W whose inputs are scaled by s = A w + 1, and outputs to unit deviation.

    Demodulated, row o is s_i W_oik / sqrt(sum_ik (s_i W_oik)^2 + 1e-8), eq. 1 and 3; scaling
    inputs and outputs is equivalent and needs no weights per sample.
    """

    def __init__(
        self,
        before: int,
        after: int,
        code: int,
        kernel: int = 3,
        *,
        demodulated: bool = True,
        signal: bool = False,
    ) -> None:
        super().__init__()
        self.demodulated = demodulated
        self.affine = equalised(nn.Linear(code, before), gain=1.0)
        layer = convolution(before, after, kernel, signal=signal, bias=False)
        self.convolution = equalised(layer, gain=1.0)
        self.bias = nn.Parameter(torch.zeros(after))

    def scales(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return scales of inputs (N, before) and outputs (N, after) for styles w (N, code)."""
        s = self.affine(w) + 1
        if not self.demodulated:
            return s, s.new_ones(len(s), len(self.bias))
        squares = self.convolution.weight.square().sum(dim=(2, 3))  # (after, before)
        return s, (s.float().square() @ squares.T + 1e-8).rsqrt().to(s.dtype)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | float = 0.0) -> Tensor:
        """Map (N, before, H, W) -> (N, after, H, W), with noise (N, 1, H, W) added."""
        s, d = (scale[:, :, None, None] for scale in self.scales(w))
        images: Tensor = self.convolution(x * s) * d + noise + self.bias[:, None, None]
        return images


class StyleGenerator(nn.Module):
    """z (N, noise_width), y int64 (N,) -> (N, C, H, W) of the padded size; no tanh.

    z: a code, the code of a second style, how styles are mixed (2 entries), and each layer's noise.
    In training a share `mixing` of the samples takes the second style from some layer on.
    """

    first_std = 1.0

    def __init__(self, geometry: Geometry, classes: int, settings: GeneratorSettings) -> None:
        super().__init__()
        code, embedding = settings.code, settings.embedding
        self.code, self.mixing = code, settings.style_mixing
        widths, flat = level_widths(geometry, settings), geometry.signal
        self.mapping = Mapping(classes, code, embedding)
        self.constant = nn.Parameter(torch.zeros(1, widths[0], *geometry.base))
        pairs = [(widths[0], widths[0])]
        for before, after in pairwise(widths):
            pairs += [(before, after), (after, after)]
        self.layers = nn.ModuleList(ModulatedConvolution(a, b, code, signal=flat) for a, b in pairs)
        self.to_rgb = nn.ModuleList(
            ModulatedConvolution(w, geometry.shape[2], code, 1, demodulated=False, signal=flat)
            for w in widths
        )
        self.strength = nn.Parameter(torch.zeros(len(pairs)))
        levels = [(layer + 1) // 2 for layer in range(len(pairs))]
        height, width = geometry.base
        self.sizes = [(height * (1 if flat else 2**n), width * 2**n) for n in levels]
        self.noise_sizes = [height * width for height, width in self.sizes]
        self.noise_width = 2 * code + 2 + sum(self.noise_sizes)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        code, second = z[:, : self.code], z[:, self.code : 2 * self.code]
        noise = z[:, 2 * self.code + 2 :]
        styles = self.mapping(code, y).expand(len(self.layers), -1, -1)
        if self.training and self.mixing:
            mixed, place = torch.special.ndtr(z[:, 2 * self.code :][:, :2].float()).T  # uniform
            place = torch.where(mixed < self.mixing, 1 + place * (len(self.layers) - 1), 1e9)
            finer = torch.arange(len(self.layers), device=z.device)[:, None] >= place.floor()
            styles = torch.where(finer[:, :, None], self.mapping(second, y), styles)
        return self.draw(styles, noise)

    def draw(self, styles: Tensor, noise: Tensor) -> Tensor:
        """Draw images of styles (layers, N, code) with noise (N, entries)."""
        h = self.constant.expand(styles.shape[1], -1, -1, -1)
        image = h.new_zeros(())
        noises = torch.split(noise, self.noise_sizes, dim=1)
        for number, layer in enumerate(self.layers):
            if number % 2:
                h = doubled(h, mode="bilinear")
            added = self.strength[number] * noises[number].view(-1, 1, *self.sizes[number])
            h = F.leaky_relu(layer(h, styles[number], added), 0.2) * 2**0.5
            if number % 2 == 0:
                colours = self.to_rgb[number // 2](h, styles[number])
                image = doubled(image, mode="bilinear") + colours if number else colours
        return image
