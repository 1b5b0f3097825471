"""Rates over a run and averaged weights: schedules as pure functions, and the averaging itself."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from gan_augment.recipes import OptimiserSettings, Recipe, ScheduleSettings

EMA_HALF_LIFE_IMAGES = 10_000
EMA_HALF_LIFE_SHARE = 0.05
LEAST_D_WEIGHT = 0.05
MOST_BALANCING_STEPS = 5


def rate_multiplier(schedule: ScheduleSettings, progress: float) -> float:
    """The factor on every learning rate at `progress` in 0..1 of the run.

    Linear warm-up from 0 over the first `warmup`, then constant, linear or half a cosine to `end`,
    after `hold` of what is left.

    >>> rate_multiplier(ScheduleSettings(name="linear", warmup=0.5, end=0.5), 0.75)
    0.75
    """
    if progress < schedule.warmup:
        return progress / schedule.warmup
    if schedule.name == "constant":
        return 1.0
    after = (progress - schedule.warmup) / (1 - schedule.warmup)
    after = max(0.0, (after - schedule.hold) / (1 - schedule.hold))
    falling = 1 - after if schedule.name == "linear" else (1 + math.cos(math.pi * after)) / 2
    return schedule.end + (1 - schedule.end) * falling


def lazy_optimiser(
    recipe: Recipe, network: Literal["generator", "discriminator"]
) -> OptimiserSettings:
    """The settings of an optimiser; with `lazy_rates` c = k / (k + 1) of its rate, betas to that
    power, where a penalty comes every k-th step, k > 1. Source: Karras et al. 2020, appendix B.
    """
    objective = recipe.objective
    settings: OptimiserSettings = getattr(recipe, f"{network}_optimiser")
    of_d = (
        (objective.r1_every, objective.r1 + objective.r2),
        (objective.penalty_every, objective.gradient_penalty + objective.dragan),
    )
    of_g = ((objective.path_every, objective.path_length),)
    weighted = of_g if network == "generator" else of_d
    every = min((k for k, weight in weighted if weight), default=1)
    if not objective.lazy_rates or every == 1:
        return settings
    c = every / (every + 1)
    first, second = settings.betas
    return settings.model_copy(update={"rate": settings.rate * c, "betas": (first**c, second**c)})


def d_steps_at(recipe: Recipe, step: int, accuracy: float) -> int:
    """D steps of G step number `step`, where D is right on the share `accuracy` of both kinds.

    WGAN's long ones: Arjovsky et al. 2017, section 4.1 of the first version and its code. By the
    balance: 5 where D guesses, 1 where it is right more often than `balance_at`.

    >>> d_steps_at(Recipe(d_steps=2), 0, 0.5)
    2
    """
    game = recipe.game
    if game.long_d_steps and (step < game.long_first or step % game.long_every == 0):
        return game.long_d_steps
    if game.balance == "weight and steps":
        behind = (game.balance_at - accuracy) / (game.balance_at - 0.5)
        return 1 + round((MOST_BALANCING_STEPS - 1) * min(max(behind, 0.0), 1.0))
    return recipe.d_steps


def d_weight(accuracy: float, at: float) -> float:
    """The weight of D's loss: clip((1 - accuracy) / (1 - at), .05, 1), 1 until D is right `at`.

    It multiplies D's rate, which is the same for plain gradients; Adam and RMSprop would divide a
    factor on the loss away.

    >>> d_weight(0.7, 0.75), d_weight(1.0, 0.75)
    (1.0, 0.05)
    """
    return min(max((1 - accuracy) / (1 - at), LEAST_D_WEIGHT), 1.0)


def ema_decay(images_seen: int, batch: int) -> float:
    """The averaged generator's decay for one step: half-life 10,000 images, shorter early on.

    beta = .5^(B / max(min(10,000, .05 seen), 1)): near 0 in the first steps: averages
    work at once.
    """
    half_life = max(min(EMA_HALF_LIFE_IMAGES, EMA_HALF_LIFE_SHARE * images_seen), 1)
    return float(0.5 ** (batch / half_life))


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * network, buffers too; counters are copied."""
    mine, theirs = average.state_dict(), network.state_dict()
    floating = [name for name, value in mine.items() if value.is_floating_point()]
    torch._foreach_lerp_(
        [mine[name] for name in floating], [theirs[name] for name in floating], 1 - decay
    )
    for name in mine.keys() - set(floating):
        mine[name].copy_(theirs[name])
