"""Monitor a run: held-out scores, the best generator so far, collapse, non-finite numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_augment.training.parts import Arrays, TrainState, network_arrays

SCORES_A_RUN = 10
COLLAPSE_SPREAD = 0.3
COLLAPSE_SCORE = 2.0
"""A class has collapsed only where the held-out score is so many times the best one as well: the
spread of textures may stay low while the score improves."""
HEALTHY_SPREAD = 0.5
"""Spread that counts as varied: a class that wavers around .3 is weak, not collapsing."""


@dataclass(frozen=True)
class Score:
    """A held-out score; lower is better.

    parts: terms by name. eligible: whether the generator may be kept. spread: {class: spread of its
    samples over that of its real rows}.
    """

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    eligible: bool = True
    spread: Mapping[str, float] = field(default_factory=dict)


class Scorer(Protocol):
    """Scores a generator on held-out data that the loop does not see."""

    def score(self, generator: nn.Module) -> Score:
        """Score an averaged generator in evaluation mode."""


@dataclass
class Best:
    """The best averaged generator so far, with its score and step."""

    value: float = math.inf
    step: int = -1
    parts: Mapping[str, float] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)

    def offer(self, score: Score, state: TrainState) -> bool:
        """Keep the averaged generator if it is eligible and better, and return whether it was."""
        if not (score.eligible and score.value < self.value):
            return False
        self.value, self.step, self.parts = score.value, state.step, score.parts
        self.arrays = network_arrays(state.average)
        return True


def collapsed(score: Score, healthy: dict[str, float]) -> tuple[str, float] | None:
    """Return the class that lost most variety and its spread: .5 before, below .3 now.

    A class that never had any, as early on, is ignored. healthy: {class: its last spread of .5 or
    more}, which is brought up to date.

    >>> healthy = {}
    >>> for spread in (0.1, 0.8, 0.4, 0.2):
    ...     print(collapsed(Score(1.0, spread={"crack": spread}), healthy))
    None
    None
    None
    ('crack', 0.2)
    """
    spreads = score.spread
    lost = [name for name in healthy if spreads.get(name, math.inf) < COLLAPSE_SPREAD]
    if lost:
        return min(((name, spreads[name]) for name in lost), key=lambda item: item[1])
    healthy |= {name: spread for name, spread in spreads.items() if spread >= HEALTHY_SPREAD}
    return None


def score_steps(steps: int, first_steps: int) -> set[int]:
    """Return the steps to score at: after each tenth, and before the adversary joins.

    >>> sorted(score_steps(50, 8))
    [5, 8, 10, 15, 20, 25, 30, 35, 40, 45, 50]
    """
    ends = {max(1, round(steps * k / SCORES_A_RUN)) for k in range(1, SCORES_A_RUN + 1)}
    return ends | ({first_steps} if first_steps else set())


def all_finite(state: TrainState, losses: Mapping[str, Tensor]) -> bool:
    """Return whether the losses and all weights and buffers are finite."""
    tensors = list(losses.values())
    for network in (state.generator, state.discriminator, state.average):
        tensors += [value for value in network.state_dict().values() if value.is_floating_point()]
    norms = torch._foreach_norm(tensors)
    return bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all())
