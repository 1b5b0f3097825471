"""From a recipe, an image shape and the classes to the parts that the loop runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gan_augment.config import OptimiserSettings, Recipe
from gan_augment.data.batches import Batch
from gan_augment.devices import Machine
from gan_augment.losses.adversarial import LOSSES, AdversarialLoss
from gan_augment.networks.decoder import Decoder
from gan_augment.networks.discriminator import Discriminator
from gan_augment.networks.encoder import Encoder
from gan_augment.networks.generators import (
    AnchoredGenerator,
    Anchors,
    FreeGenerator,
    GeneratorInput,
)
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.initialise import initialise
from gan_augment.randomness import derived_seed, generator

RECONSTRUCTION_NOISE = 0.5  # of sigma: .05 where sigma is .1


@dataclass(frozen=True)
class Parts:
    """Everything a step needs that does not change during a run.

    draw(seed, step, turn, batch): what the generator is given for a batch, a pure function.
    new_networks(seed): generator and discriminator with their first weights, a pure function.
    """

    recipe: Recipe
    geometry: Geometry
    machine: Machine
    loss: AdversarialLoss
    draw: Callable[[int, int, int, Batch], GeneratorInput]
    new_networks: Callable[[int], tuple[nn.Module, nn.Module]]

    @property
    def anchored(self) -> bool:
        """Whether samples start from real rows."""
        return self.recipe.generator.kind == "anchored"

    def reconstruct_only_steps(self, steps: int) -> int:
        """Steps before the adversary joins."""
        return round(self.recipe.objective.reconstruct_only * steps) if self.anchored else 0

    def reconstructed_rows(self) -> slice:
        """The rows of a batch that are decoded at an anchor and compared with it: every k-th."""
        return slice(0, None, round(1 / self.recipe.objective.reconstructed))


def build(recipe: Recipe, shape: tuple[int, int, int], classes: int, machine: Machine) -> Parts:
    """Resolve names to parts. shape: (height, width, channels) of the data's images."""
    geometry = Geometry.of(shape)

    def new_networks(seed: int) -> tuple[nn.Module, nn.Module]:
        with torch.random.fork_rng(devices=[]):  # constructors draw; what they drew is replaced
            g = new_generator(recipe, geometry, classes)
            d = _new_discriminator(recipe, geometry, classes)
        initialise(g, derived_seed(seed, "generator weights"))
        initialise(d, derived_seed(seed, "discriminator weights"))
        return placed(g, machine.device), placed(d, machine.device)

    draw = _draw_anchored if recipe.generator.kind == "anchored" else _draw_free
    return Parts(
        recipe=recipe,
        geometry=geometry,
        machine=machine,
        loss=LOSSES[recipe.objective.loss],
        draw=functools.partial(draw, recipe),
        new_networks=new_networks,
    )


def new_generator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    """The generator that a recipe names, its weights not yet set."""
    wanted = recipe.generator
    decoder = Decoder(
        geometry, classes, wanted.code, wanted.embedding, wanted.width, wanted.max_width
    )
    if wanted.kind == "free":
        return FreeGenerator(decoder)
    encoder = Encoder(geometry, wanted.code, wanted.encoder_width, wanted.encoder_max_width)
    return AnchoredGenerator(encoder, decoder, wanted.sigma)


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


def _new_discriminator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    wanted = recipe.discriminator
    return Discriminator(
        geometry,
        classes,
        width=wanted.width,
        max_width=wanted.max_width,
        spectral_norm=wanted.spectral_norm,
        minibatch_std=wanted.minibatch_std,
    )


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on its device, channels last in memory."""
    placed: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _normal(rng: np.random.Generator, n: int, code: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal((n, code), dtype=np.float32))


def _draw_free(recipe: Recipe, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    rng = generator(seed, "noise", step, turn)
    z = _normal(rng, len(batch.y), recipe.generator.code).to(batch.y.device)
    return GeneratorInput(z, batch.y)


def _draw_anchored(recipe: Recipe, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    """Each row and its same-class partner; every k-th at the row itself, to be compared with it."""
    rng, n, device = generator(seed, "noise", step, turn), len(batch.y), batch.y.device
    z = _normal(rng, n, recipe.generator.code)
    position = rng.random(n, dtype=np.float32)
    every = round(1 / recipe.objective.reconstructed)
    position[::every] = 0
    z[::every] *= RECONSTRUCTION_NOISE
    first = torch.arange(n, device=device)
    anchors = Anchors(batch.x, first, first ^ 1, torch.from_numpy(position).to(device))
    return GeneratorInput(z.to(device), batch.y, anchors)
