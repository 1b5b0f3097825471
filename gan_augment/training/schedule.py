"""Schedules of rates and D steps as pure functions of the step, and the weight average."""

from __future__ import annotations

import math

import torch
from torch import nn

from gan_augment.recipes import Recipe, ScheduleSettings

EMA_HALF_LIFE_IMAGES = 10_000
EMA_HALF_LIFE_SHARE = 0.05
LEAST_D_WEIGHT = 0.05
MOST_BALANCING_STEPS = 5
BALANCED_ACCURACY = 0.75
"""How often D may be right before it is held back."""
LONG_FIRST_STEPS = 25
LONG_EVERY_STEPS = 500


def rate_multiplier(schedule: ScheduleSettings, progress: float) -> float:
    """Return the factor on the learning rates at `progress` in 0..1 of the run.

    Constant, or a line or half a cosine to 0 after `hold`.

    >>> rate_multiplier(ScheduleSettings(name="linear", hold=0.5), 0.75)
    0.5
    """
    if schedule.name == "constant":
        return 1.0
    after = max(0.0, (progress - schedule.hold) / (1 - schedule.hold))
    return 1 - after if schedule.name == "linear" else (1 + math.cos(math.pi * after)) / 2


def d_steps_at(recipe: Recipe, step: int, accuracy: float) -> int:
    """Return the number of D steps of a G step, where D has this `accuracy`.

    WGAN's long ones: Arjovsky et al. 2017, section 4.1 of the first version and its code. A
    balanced game: 5 where D guesses, 1 where it is right in .75 of the cases.

    >>> d_steps_at(Recipe(d_steps=2), 0, 0.5)
    2
    """
    game = recipe.game
    if game.long_d_steps and (step < LONG_FIRST_STEPS or step % LONG_EVERY_STEPS == 0):
        return game.long_d_steps
    if game.balanced:
        behind = (BALANCED_ACCURACY - accuracy) / (BALANCED_ACCURACY - 0.5)
        return 1 + round((MOST_BALANCING_STEPS - 1) * min(max(behind, 0.0), 1.0))
    return recipe.d_steps


def d_weight(accuracy: float) -> float:
    """Return the weight of D's loss: clip((1 - accuracy) / (1 - .75), .05, 1).

    It multiplies D's rate, which is the same for plain gradients; Adam and RMSprop would divide a
    factor on the loss away.

    >>> d_weight(0.7), d_weight(1.0)
    (1.0, 0.05)
    """
    return min(max((1 - accuracy) / (1 - BALANCED_ACCURACY), LEAST_D_WEIGHT), 1.0)


def ema_decay(images_seen: int, batch: int) -> float:
    """Return the decay of the averaged generator: half-life 10,000 images, shorter early on.

    beta = .5^(B / max(min(10,000, .05 seen), 1)) is near 0 in the first steps.
    """
    half_life = max(min(EMA_HALF_LIFE_IMAGES, EMA_HALF_LIFE_SHARE * images_seen), 1)
    return float(0.5 ** (batch / half_life))


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Set average = decay * average + (1 - decay) * network, with buffers; copy counters."""
    mine, theirs = average.state_dict(), network.state_dict()
    floating = [name for name, value in mine.items() if value.is_floating_point()]
    torch._foreach_lerp_(
        [mine[name] for name in floating], [theirs[name] for name in floating], 1 - decay
    )
    for name in mine.keys() - set(floating):
        mine[name].copy_(theirs[name])
