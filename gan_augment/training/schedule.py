"""Rates over a run and averaged weights: schedules as pure functions, and the averaging itself."""

from __future__ import annotations

import math

import torch
from torch import nn

from gan_augment.recipes import ScheduleSettings

EMA_HALF_LIFE_IMAGES = 10_000
EMA_HALF_LIFE_SHARE = 0.05


def rate_multiplier(schedule: ScheduleSettings, progress: float) -> float:
    """The factor on every learning rate at `progress` in 0..1 of the run.

    Linear warm-up from 0 over the first `warmup`, then constant, linear or half a cosine to `end`.

    >>> rate_multiplier(ScheduleSettings(name="linear", warmup=0.5, end=0.5), 0.75)
    0.75
    """
    if progress < schedule.warmup:
        return progress / schedule.warmup
    if schedule.name == "constant":
        return 1.0
    after = (progress - schedule.warmup) / (1 - schedule.warmup)
    falling = 1 - after if schedule.name == "linear" else (1 + math.cos(math.pi * after)) / 2
    return schedule.end + (1 - schedule.end) * falling


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
