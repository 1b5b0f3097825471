"""The penalties on D's slope that a recipe names: when each is due, where it looks, their sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from gan_augment.data.batches import Batch
from gan_augment.losses.penalties import Judge, between, one_centred, perturbed, zero_centred
from gan_augment.randomness import generator
from gan_augment.recipe_settings import ObjectiveSettings
from gan_augment.training.parts import Losses, Parts
from gan_augment.training.state import TrainState
from gan_augment.training.verdicts import verdict

Formula = Callable[[Judge, Tensor, Tensor], Tensor]
Place = Callable[[Tensor, Tensor, np.random.Generator], Tensor]
"""Reals, fakes and a generator of random numbers to the points where D's slope is looked at."""


def slope_penalties(
    state: TrainState, parts: Parts, batch: Batch, fake: Tensor, turn: int
) -> tuple[Tensor, Losses]:
    """The weighted sum () of what is due at this D step, 0 for nothing, and each term alone.

    In float32, and on samples as they are, not as D sees them. A penalty of every k-th D step has
    k times its weight: the mean over k steps is that of every step (lazy regularisation, Karras et
    al. 2020).
    """
    total, terms = fake.new_zeros((), dtype=torch.float32), Losses()
    real, fake = batch.x.float(), fake.detach().float()
    d_step = state.step * parts.recipe.d_steps + turn
    for name, (weight, every) in _weights(parts.recipe.objective).items():
        if weight and d_step % every == 0:
            formula, place = PENALTIES[name]
            points = place(real, fake, generator(state.noise_seed, name, state.step, turn))
            penalty = formula(verdict(state, parts), points, batch.y)
            total = total + weight * every * penalty
            terms[name] = penalty.detach()
    return total, terms


def _weights(objective: ObjectiveSettings) -> dict[str, tuple[float, int]]:
    """{name: (weight, every so many D steps)}."""
    return {
        "r1": (objective.r1, objective.r1_every),
        "r2": (objective.r2, objective.r1_every),
        "gradient_penalty": (objective.gradient_penalty, objective.penalty_every),
        "dragan": (objective.dragan, objective.penalty_every),
    }


def _at_reals(real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
    return real


def _at_fakes(real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
    return fake


def _between(real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
    return between(real, fake, _uniform((len(real),), real, rng))


def _around_reals(real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
    return perturbed(real, _uniform(real.shape, real, rng))


def _uniform(shape: tuple[int, ...], like: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.random(shape, dtype=np.float32)).to(like.device)


PENALTIES: Mapping[str, tuple[Formula, Place]] = {
    "r1": (zero_centred, _at_reals),
    "r2": (zero_centred, _at_fakes),
    "gradient_penalty": (one_centred, _between),
    "dragan": (one_centred, _around_reals),
}
