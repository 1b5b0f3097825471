"""The free method: noise and a class to an image; its warm start, decoding images first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.data.batches import Batch
from gan_augment.networks.generators import FreeGenerator, GeneratorInput
from gan_augment.randomness import generator
from gan_augment.recipe_settings import Recipe
from gan_augment.training.parts import Losses, Made, Parts
from gan_augment.training.state import TrainState
from gan_augment.training.step import inputs_of, update_generator

WARM_START_LEAST_STEPS = 900
"""A minute of the default networks at 32 px (930 images/s, batches of 64); a shorter run has no
tenth to spare. Steps decide, not seconds, so that --steps repeats a run that had a budget."""
CODE_NOISE = 0.3  # what is noise of a code in a warm start; the code's share is sqrt(1 - .3^2)


def draw(recipe: Recipe, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    """Standard normal noise and the labels of the batch."""
    rng = generator(seed, "noise", step, turn)
    z = rng.standard_normal((len(batch.y), recipe.generator.code), dtype=np.float32)
    return GeneratorInput(torch.from_numpy(z).to(batch.y.device), batch.y)


def make(network: nn.Module, inputs: GeneratorInput) -> Made:
    """The images of a batch."""
    images, coarse = _free(network).decoder.with_coarse(inputs.z, inputs.y, inputs.conditioning)
    return Made(images, coarse=coarse)


def warm_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """One update of an encoder and the decoder before the adversary joins: mean |G(E(a), y) - a|.

    Codes are standardised over the batch and mixed with noise, so that what the decoder learns
    first is near what it is given later: N(0, 1) in every entry.
    """
    batch, network = batches[-1], _free(state.generator)
    inputs = inputs_of(state, parts, batch)
    if network.encoder is None:
        raise TypeError("a warm start needs a generator with an encoder")
    with parts.machine.autocast():
        codes = _standardised(network.encoder(batch.x).float())
        z = (1 - CODE_NOISE**2) ** 0.5 * codes + CODE_NOISE * inputs.z
        images, _ = network.decoder.with_coarse(z, inputs.y, inputs.conditioning)
    loss = F.l1_loss(images.float(), batch.x)
    update_generator(state, loss)
    return {"reconstruction": loss.detach()}


def _standardised(codes: Tensor) -> Tensor:
    """Mean 0 and variance 1 of every entry over the batch, (N, code)."""
    return F.batch_norm(codes, None, None, training=True)


def _free(network: nn.Module) -> FreeGenerator:
    if not isinstance(network, FreeGenerator):
        raise TypeError(f"expected a FreeGenerator, not {type(network).__name__}")
    return network
