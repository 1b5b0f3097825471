"""Several generators or discriminators as one: a pair for each class, or all against all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gan_augment.recipes import GameSettings


class ByClass(nn.Module):
    """A network per class, trained on no other class. (N, ...), y (N,) -> (N, ...)."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.noise_width = getattr(members[0], "noise_width", 0)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Pass every row through its class's network, with the class number 0."""
        return routed(self.members, y, x, torch.zeros_like(y))


class Generators(nn.Module):
    """I generators as one: z (N, noise_width), y (N,) -> samples.

    In training each makes an equal part of a batch, in whole same-class pairs. When sampling, the
    last entry of z chooses one, each with the same probability.
    Sources: Ghosh et al. 2018 (MAD-GAN); Arora et al. 2017 (mixtures).
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.noise_width = cast(int, members[0].noise_width) + 1

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        if self.training:
            which = torch.arange(len(y), device=y.device) // 2 % len(self.members)
        else:
            place = torch.special.ndtr(z[:, -1].float())  # uniform in 0..1
            which = (place * len(self.members)).long().clamp(max=len(self.members) - 1)
        return routed(self.members, which, z[:, :-1], y)


class Discriminators(nn.Module):
    """J discriminators as one: (N, ...), y (N,) -> logits (J N,), one discriminator after another.

    In evaluation their mean, (N,). Source: Durugkar et al. 2017, "Generative Multi-Adversarial
    Networks".
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits = [member(x, y) for member in self.members]
        return torch.cat(logits) if self.training else torch.stack(logits).mean(dim=0)


def routed(members: nn.ModuleList, which: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pass each row of x and y through network number `which` (N,), keeping the order."""
    rows = [torch.nonzero(which == number).squeeze(1) for number in range(len(members))]
    made = [member(x[own], y[own]) for member, own in zip(members, rows, strict=True) if len(own)]
    return torch.cat(made)[torch.argsort(torch.cat(rows))]


def new_generators(game: GameSettings, classes: int, new: Callable[[int], nn.Module]) -> nn.Module:
    """Return the generator of a game; new(classes) makes one network."""
    if game.generators > 1:
        return Generators([new(classes) for _ in range(game.generators)])
    return ByClass([new(1) for _ in range(classes)]) if game.by_class else new(classes)


def new_discriminators(
    game: GameSettings, classes: int, new: Callable[[int], nn.Module]
) -> nn.Module:
    """Return the discriminator of a game; new(classes) makes one network."""
    if game.discriminators > 1:
        return Discriminators([new(classes) for _ in range(game.discriminators)])
    return ByClass([new(1) for _ in range(classes)]) if game.by_class else new(classes)
