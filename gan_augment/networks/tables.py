"""The networks of tables: how a row is laid out, the two generators, the discriminator."""

from __future__ import annotations

import functools
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.networks.inputs import RowAnchors
from gan_augment.networks.layers import (
    MODULATION_STD,
    ConditionalDiscriminator,
    spectrally_normalised,
)
from gan_augment.recipes import DiscriminatorSettings, GeneratorSettings

CONCATENATED = 8
"""Entries of a class embedding that is concatenated with a row."""
CERTAIN = 4.0
"""Logit of the anchor's own category: softmax gives it 93 % among four."""


class RowLayout(Protocol):
    """The parts of an encoded row, as a `TableEncoding` knows them."""

    @property
    def width(self) -> int:
        """Entries of a row."""

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        """Entries [start, stop) of each one-hot."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Entries that may be interpolated; others are one-hots, or categories in space."""


class RowMLP(nn.Module):
    """Two layers (N, entries) -> (N, width); layer norms, since batch norm would join rows."""

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
        features: Tensor = self.layers(x)
        return features


class Choices(nn.Module):
    """Turns the logits of all one-hots into the likeliest entry, with the softmax's gradient."""

    grid: Tensor
    places: Tensor
    columns: Tensor

    def __init__(self, layout: RowLayout) -> None:
        super().__init__()
        spans = layout.choices
        most = max((stop - start for start, stop in spans), default=0)
        padding = layout.width  # one past the row
        grid = [
            [start + i if start + i < stop else padding for i in range(most)]
            for start, stop in spans
        ]
        places = [row * most + i for row, (a, b) in enumerate(spans) for i in range(b - a)]
        columns = [column for start, stop in spans for column in range(start, stop)]
        for name, index in (("grid", grid), ("places", places), ("columns", columns)):
            self.register_buffer(name, torch.tensor(index, dtype=torch.long), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Replace the logits of every choice by one-hots, (N, width)."""
        if not len(self.columns):
            return x
        padded = F.pad(x, (0, 1), value=float("-inf"))
        spread = padded.index_select(1, self.grid.flatten())
        logits = spread.view(len(x), *self.grid.shape)  # (N, choices, most categories)
        one_hots = torch.zeros_like(logits).scatter_(2, logits.argmax(dim=2, keepdim=True), 1.0)
        if torch.is_grad_enabled():
            soft = logits.softmax(dim=2)
            one_hots = one_hots + (soft - soft.detach())  # straight through
        flat = one_hots.flatten(1)  # (N, choices * most categories)
        return x.index_copy(1, self.columns, flat.index_select(1, self.places))


class ResidualRowGenerator(nn.Module):
    """A row between two rows of its class, moved by a residual that is odd in z.

    Numbers: a + lambda (b - a) + r(z), r(z) = (G(a, b - a, z, y) - G(a, b - a, -z, y)) / sqrt 2, so
    that rows spread around their interpolation and the class keeps its mean. Levels: the likeliest
    by r's logits plus 4 for the anchor's category, as straight-through one-hots. G's
    last layer begins at zero: before training a sample is the interpolation itself. Sources: Chawla
    et al. 2002 (SMOTE and SMOTE-NC); Bengio et al. 2013 (straight-through).
    """

    numbers: Tensor
    certainty: Tensor

    def __init__(self, layout: RowLayout, classes: int, settings: GeneratorSettings) -> None:
        super().__init__()
        code, embedding, width = settings.code, settings.embedding, settings.width
        self.noise_width = code
        mask = torch.zeros(layout.width)
        mask[list(layout.numbers)] = 1
        self.register_buffer("numbers", mask, persistent=False)
        certainty = torch.ones(layout.width)
        for start, stop in layout.choices:
            certainty[start:stop] = CERTAIN
        self.register_buffer("certainty", certainty, persistent=False)
        self.embed = nn.Embedding(classes, embedding)
        self.body = RowMLP(2 * layout.width + code + embedding, width, normalised=True)
        self.residual = nn.Linear(width, layout.width)
        self.choices = Choices(layout)

    def forward(self, z: Tensor, y: Tensor, anchors: RowAnchors, strength: float = 1.0) -> Tensor:
        """Draw rows (N, width) from z (N, code), y (N,); `strength` scales the residual."""
        a, b = anchors.first, anchors.second
        between = torch.lerp(a, b, anchors.position[:, None])
        start = torch.where(self.numbers > 0, between, anchors.categories * self.certainty)
        context = torch.cat([between, b - a, self.embed(y)], dim=1)
        both = torch.cat([torch.cat([context, z], dim=1), torch.cat([context, -z], dim=1)])
        up, down = self.residual(self.body(both)).chunk(2)  # (N, width) each
        moved: Tensor = self.choices(start + strength * 0.5**0.5 * (up - down))
        return moved


class FreeRowGenerator(nn.Module):
    """Turns noise and a class into a row."""

    def __init__(self, layout: RowLayout, classes: int, settings: GeneratorSettings) -> None:
        super().__init__()
        code, embedding, width = settings.code, settings.embedding, settings.width
        self.noise_width = code
        self.embed = nn.Embedding(classes, embedding)
        self.body = RowMLP(code + embedding, width, normalised=True)
        self.row = nn.Linear(width, layout.width)
        self.choices = Choices(layout)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        row: Tensor = self.choices(self.row(self.body(torch.cat([z, self.embed(y)], dim=1))))
        return row


class RowDiscriminator(ConditionalDiscriminator):
    """Two layers and a class-conditional verdict, for rows x (N, entries)."""

    def __init__(self, entries: int, classes: int, settings: DiscriminatorSettings) -> None:
        super().__init__()
        width, condition = settings.width, settings.condition
        normalised = functools.partial(spectrally_normalised, enabled=settings.spectral_norm)
        joined = CONCATENATED if condition == "concatenation" else 0
        self.body = RowMLP(entries + joined, width, normalised=False)
        for layer in self.body.layers:
            if isinstance(layer, nn.Linear):
                normalised(layer)
        self.set_head(classes, width, condition, normalised, joined)
        if self.embed is not None:
            self.embed.first_std = MODULATION_STD  # type: ignore[assignment]

    def trunk(self, x: Tensor) -> Tensor:
        phi: Tensor = self.body(x)
        return phi
