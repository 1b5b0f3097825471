"""From a recipe, an image shape and the classes to the parts that the loop runs; images only."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn

from gan_augment.config import Recipe
from gan_augment.data.batches import Batch
from gan_augment.devices import Machine
from gan_augment.losses.adversarial import LOSSES
from gan_augment.networks.decoder import Decoder
from gan_augment.networks.discriminator import Discriminator
from gan_augment.networks.encoder import Encoder
from gan_augment.networks.generators import AnchoredGenerator, FreeGenerator, GeneratorInput
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.initialise import initialise
from gan_augment.randomness import derived_seed, generator
from gan_augment.training import anchored
from gan_augment.training.parts import Made, Parts
from gan_augment.training.seen_images import seen_images
from gan_augment.training.step import adversarial_step


def build(recipe: Recipe, shape: tuple[int, int, int], classes: int, machine: Machine) -> Parts:
    """Resolve names to parts. shape: (height, width, channels) of the data's images."""
    geometry = Geometry.of(shape)

    def new_networks(seed: int) -> tuple[nn.Module, nn.Module]:
        with torch.random.fork_rng(devices=[]):  # constructors draw; what they drew is replaced
            g = new_generator(recipe, geometry, classes)
            d = new_discriminator(recipe, geometry, classes)
        initialise(g, derived_seed(seed, "generator weights"))
        initialise(d, derived_seed(seed, "discriminator weights"))
        return placed(g, machine.device), placed(d, machine.device)

    is_anchored = recipe.generator.kind == "anchored"
    return Parts(
        recipe=recipe,
        machine=machine,
        loss=LOSSES[recipe.objective.loss],
        draw=functools.partial(anchored.draw if is_anchored else _draw_noise, recipe),
        make=anchored.make if is_anchored else _make_images,
        seen=seen_images,
        generator_term=anchored.reconstruction_term if is_anchored else None,
        step=adversarial_step,
        first_step=anchored.reconstruction_step if is_anchored else None,
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


def new_discriminator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    """The discriminator that a recipe names, its weights not yet set."""
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


def _draw_noise(recipe: Recipe, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    rng = generator(seed, "noise", step, turn)
    z = rng.standard_normal((len(batch.y), recipe.generator.code), dtype=np.float32)
    return GeneratorInput(torch.from_numpy(z).to(batch.y.device), batch.y)


def _make_images(network: nn.Module, inputs: GeneratorInput) -> Made:
    return Made(network(inputs))
