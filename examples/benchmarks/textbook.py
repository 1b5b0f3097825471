"""Textbook training loops to measure against: float32, NCHW, plain Adam, the usual order.

Nothing here is tuned, and nothing is slowed down: it is what one writes from the papers.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.augment.diff_augment import apply, draw_moves
from gan_augment.kinds.kind import Labelled
from gan_augment.training.parts import Parts

BATCH = 64


class PlainBatches:
    """Random rows as float32 NCHW in -1..1."""

    def __init__(self, data: Labelled) -> None:
        pixels = data.pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        self.x = torch.from_numpy(np.ascontiguousarray(pixels))
        self.y = torch.from_numpy(data.labels)
        self.rng = np.random.default_rng(0)
        self.rows_of = [np.flatnonzero(data.labels == k) for k in range(len(data.names))]

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, their labels, and another row of the same class for each."""
        index = self.rng.integers(len(self.y), size=BATCH)
        other = [self.rng.choice(self.rows_of[int(self.y[i])]) for i in index]
        return self.x[index], self.y[index], self.x[np.array(other)]


class TextbookLoop:
    """The anchored GAN of the default recipe with its very networks, by the equations as written.

    D step: encode a and b, interpolate, decode, judge. G step: decode the reconstruction of a and a
    new in-between, judge. `reuse`: the in-between of the D step is the one that G improves, and the
    reconstruction is half of the same decoded batch, as in the library's own step.
    """

    def __init__(self, parts: Parts, data: Labelled, reuse: bool) -> None:
        self.parts, self.reuse, self.batches = parts, reuse, PlainBatches(data)
        self.g, self.d = (
            n.to(memory_format=torch.contiguous_format) for n in parts.new_networks(1)
        )
        first = self.g.decoder.blocks[0]
        first.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))
        plain = {"lr": 8e-4, "foreach": False, "fused": False}
        self.g_adam = torch.optim.Adam(self.g.parameters(), betas=(0.5, 0.99), **plain)
        self.d_adam = torch.optim.Adam(self.d.parameters(), betas=(0.0, 0.99), **plain)
        self.rng = np.random.default_rng(1)

    def step(self) -> None:
        self.step_reusing() if self.reuse else self.step_as_written()

    def step_as_written(self) -> None:
        a, y, b = self.batches.draw()
        with torch.no_grad():
            fake = self.g.decoder(self.between(self.g.encoder(a), self.g.encoder(b)), y)
        self.update_d(a, fake, y)
        a, y, b = self.batches.draw()
        code_a, code_b = self.g.encoder(a), self.g.encoder(b)
        rebuilt = self.g.decoder(code_a + 0.05 * torch.randn_like(code_a), y)
        fake = self.g.decoder(self.between(code_a, code_b), y)
        self.update_g(fake, y, 10 * F.l1_loss(rebuilt, a) + 1e-3 * code_a.square().mean())

    def step_reusing(self) -> None:
        a, y, _ = self.batches.draw()
        codes = self.g.encoder(a)
        made = self.g.decoder(self.between(codes, codes.flip(0)), y)
        self.update_d(a, made.detach(), y)
        half = BATCH // 2
        loss = 10 * F.l1_loss(made[:half], a[:half]) + 1e-3 * codes.square().mean()
        self.update_g(made, y, loss)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        position = torch.rand(len(first), 1)
        return first + position * (second - first) + 0.1 * torch.randn_like(first)

    def update_d(self, real: Tensor, fake: Tensor, y: Tensor) -> None:
        self.d_adam.zero_grad()
        real, fake = self.d(self.seen(real), y), self.d(self.seen(fake), y)
        (F.relu(1 - real).mean() + F.relu(1 + fake).mean()).backward()
        self.d_adam.step()

    def update_g(self, fake: Tensor, y: Tensor, more: Tensor) -> None:
        self.g_adam.zero_grad()
        (more - self.d(self.seen(fake), y).mean()).backward()
        self.g_adam.step()

    def seen(self, x: Tensor) -> Tensor:
        size = (x.shape[2], x.shape[3])
        return apply(
            x, draw_moves(self.parts.recipe.augment, size, BATCH, 0.2, self.rng)
        ).contiguous()


class DCGANLoop:
    """DCGAN (Radford et al. 2016) at 32 px with 64 base channels, doubling towards the 4 x 4 base.

    Two readings are in use. Base channels at half the side: widths 64, 128, 256, as in common 32 px
    ports of the paper. `full_side`: widths 64, 128, 256, 512 with 64 at 32 x 32 and a last 3x3
    convolution to pixels, as in the standard CNN of Miyato et al. 2018, table 3. Fakes are drawn
    once a step, judged detached for D, then again for G, as is usual.
    """

    def __init__(self, data: Labelled, full_side: bool = False) -> None:
        channels = data.image_shape[2]
        widths = [64, 128, 256, 512] if full_side else [64, 128, 256]
        self.batches = PlainBatches(data)
        self.g = nn.Sequential(
            nn.ConvTranspose2d(100, widths[-1], 4, 1, 0, bias=False),
            *(nn.BatchNorm2d(widths[-1]), nn.ReLU(True)),
            *self.ups(widths[::-1]),
            nn.Conv2d(64, channels, 3, 1, 1)
            if full_side
            else nn.ConvTranspose2d(64, channels, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
        self.d = nn.Sequential(
            nn.Conv2d(channels, 64, 3, 1, 1) if full_side else nn.Conv2d(channels, 64, 4, 2, 1),
            nn.LeakyReLU(0.2, True),
            *self.downs(widths),
            nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False),
            nn.Flatten(0),
        )
        plain = {"lr": 2e-4, "betas": (0.5, 0.999), "foreach": False, "fused": False}
        self.g_adam = torch.optim.Adam(self.g.parameters(), **plain)
        self.d_adam = torch.optim.Adam(self.d.parameters(), **plain)

    @staticmethod
    def ups(widths: list[int]) -> list[nn.Module]:
        """Transposed 4x4 convolutions of stride 2, batch norm, ReLU."""
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.ReLU(True)]
        return layers

    @staticmethod
    def downs(widths: list[int]) -> list[nn.Module]:
        """4x4 convolutions of stride 2, batch norm, leaky ReLU."""
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
        return layers

    def step(self) -> None:
        """One D step and one G step."""
        x, _, _ = self.batches.draw()
        fake = self.g(torch.randn(BATCH, 100, 1, 1))
        self.d_adam.zero_grad()
        (F.softplus(-self.d(x)).mean() + F.softplus(self.d(fake.detach())).mean()).backward()
        self.d_adam.step()
        self.g_adam.zero_grad()
        F.softplus(-self.d(fake)).mean().backward()
        self.g_adam.step()
