"""From a recipe, an image shape and the classes to the parts that the loop runs; images only.

The free method (noise and a class to an image) is here whole; the anchored one is `anchored.py`.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from gan_augment.augment.diff_augment import apply, draw_moves
from gan_augment.data.batches import Batch
from gan_augment.devices import ComputeConfig
from gan_augment.losses.adversarial import LOSSES
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.images import (
    AnchoredGenerator,
    Decoder,
    Discriminator,
    Encoder,
    FreeGenerator,
)
from gan_augment.networks.inputs import GeneratorInput
from gan_augment.randomness import generator
from gan_augment.recipes import Recipe
from gan_augment.training import anchored
from gan_augment.training.parts import GeneratorOutput, Parts, TrainState
from gan_augment.training.step import adversarial_step


def build(
    recipe: Recipe, shape: tuple[int, int, int], classes: int, compute: ComputeConfig
) -> Parts:
    """Resolve names to parts. shape: (height, width, channels) of the data's images."""
    geometry = Geometry.of(shape)
    free = Parts(
        recipe=recipe,
        compute=compute,
        loss=LOSSES[recipe.objective.loss],
        networks=lambda: (
            new_generator(recipe, geometry, classes),
            new_discriminator(recipe, geometry, classes),
        ),
        draw=functools.partial(draw_noise, recipe),
        make=decode_noise,
        step=adversarial_step,
        augment=augment_images,
    )
    if recipe.generator.kind == "free":
        return free
    return replace(
        free,
        draw=functools.partial(anchored.draw, recipe),
        make=anchored.make,
        generator_term=anchored.reconstruction_term,
        first_step=anchored.reconstruction_step,
        first_share=recipe.objective.reconstruct_only,
    )


def draw_noise(recipe: Recipe, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    """The free method's input: standard normal noise and the labels of the batch."""
    rng = generator(seed, "noise", step, turn)
    z = rng.standard_normal((len(batch.y), recipe.generator.code), dtype=np.float32)
    return GeneratorInput(torch.from_numpy(z).to(batch.y.device), batch.y)


def decode_noise(network: nn.Module, inputs: GeneratorInput) -> GeneratorOutput:
    """The free method's images."""
    return GeneratorOutput(network(inputs))


def augment_images(parts: Parts, state: TrainState, x: Tensor, which: str, turn: int) -> Tensor:
    """x (N, C, H, W) as D sees it: moved, lit and cut with the adaptive probability."""
    rng = generator(state.noise_seed, "augment", which, state.step, turn)
    probability = float(state.numbers["augment_probability"])
    size = (int(x.shape[2]), int(x.shape[3]))
    return apply(x, draw_moves(parts.recipe.augment, size, len(x), probability, rng))


def new_generator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    """The generator that a recipe names, its weights not yet set."""
    settings = recipe.generator
    decoder = Decoder(
        geometry, classes, settings.code, settings.embedding, settings.width, settings.max_width
    )
    if settings.kind == "free":
        return FreeGenerator(decoder)
    encoder = Encoder(geometry, settings.code, settings.encoder_width, settings.encoder_max_width)
    return AnchoredGenerator(encoder, decoder, settings.sigma)


def new_discriminator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    """The discriminator that a recipe names, its weights not yet set."""
    settings = recipe.discriminator
    return Discriminator(
        geometry,
        classes,
        width=settings.width,
        max_width=settings.max_width,
        spectral_norm=settings.spectral_norm,
        minibatch_std=settings.minibatch_std,
    )
