"""Optimisers by name."""

from __future__ import annotations

import torch
from torch import nn

from gan_augment.recipe_settings import OptimiserSettings


def new_optimiser(settings: OptimiserSettings, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, over all of a network's weights."""
    weights, rate, decay = list(network.parameters()), settings.rate, settings.weight_decay
    match settings.name:
        case "adam":
            return torch.optim.Adam(weights, rate, settings.betas, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(weights, rate, settings.betas, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(
                weights, rate, momentum=settings.momentum, weight_decay=decay
            )
        case "sgd":
            return torch.optim.SGD(weights, rate, settings.momentum, weight_decay=decay)
