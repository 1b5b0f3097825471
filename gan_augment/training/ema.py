"""Averaged weights: parameters and buffers of one network follow another's."""

from __future__ import annotations

import copy

import torch
from torch import nn


def averaged_copy(network: nn.Module) -> nn.Module:
    """A copy that is never trained: evaluation mode, no gradients."""
    average = copy.deepcopy(network).eval()
    return average.requires_grad_(False)


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
