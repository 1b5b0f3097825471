"""From a recipe, an image shape and the classes to the parts that the loop runs; images only."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import nn

from gan_augment.devices import Machine
from gan_augment.losses.adversarial import LOSSES
from gan_augment.networks.decoder import Decoder
from gan_augment.networks.discriminator import Discriminator
from gan_augment.networks.encoder import Encoder
from gan_augment.networks.generators import AnchoredGenerator, FreeGenerator
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.initialise import initialise
from gan_augment.randomness import derived_seed
from gan_augment.recipe_settings import Recipe
from gan_augment.training import anchored, free
from gan_augment.training.borrowing import conditioning, suited
from gan_augment.training.parts import Parts
from gan_augment.training.seen_images import seen_images
from gan_augment.training.step import adversarial_step


def build(
    recipe: Recipe, shape: tuple[int, int, int], counts: Sequence[int], machine: Machine
) -> Parts:
    """Resolve names to parts. shape: (height, width, channels) of the data's images.

    counts: rows of each class. What the data leave no use for is switched off in the recipe that
    the parts carry.
    """
    geometry, classes = Geometry.of(shape), len(counts)
    recipe = suited(recipe, geometry, counts)

    def new_networks(seed: int) -> tuple[nn.Module, nn.Module]:
        with torch.random.fork_rng(devices=[]):  # constructors draw; what they drew is replaced
            g = new_generator(recipe, geometry, classes)
            d = new_discriminator(recipe, geometry, classes)
        initialise(g, derived_seed(seed, "generator weights"))
        initialise(d, derived_seed(seed, "discriminator weights"))
        if recipe.borrowing.transition is not None:
            _silence_classes(g)
        return placed(g, machine.device), placed(d, machine.device)

    is_anchored, warm = recipe.generator.kind == "anchored", recipe.borrowing.warm_start
    return Parts(
        recipe=recipe,
        machine=machine,
        loss=LOSSES[recipe.objective.loss],
        draw=functools.partial(anchored.draw if is_anchored else free.draw, recipe),
        condition=conditioning(recipe, counts),
        make=anchored.make if is_anchored else free.make,
        seen=seen_images,
        generator_term=anchored.reconstruction_term if is_anchored else None,
        step=adversarial_step,
        first_step=anchored.reconstruction_step
        if is_anchored
        else (free.warm_step if warm else None),
        new_networks=new_networks,
        first_share=recipe.objective.reconstruct_only if is_anchored else warm,
        first_least=0 if is_anchored else free.WARM_START_LEAST_STEPS,
    )


def new_generator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    """The generator that a recipe names, its weights not yet set."""
    wanted, borrowing = recipe.generator, recipe.borrowing
    decoder = Decoder(
        geometry,
        classes,
        wanted.code,
        wanted.embedding,
        wanted.width,
        wanted.max_width,
        shared=geometry.coarse_blocks if borrowing.shared_blocks else 0,
    )
    encoder = None
    if wanted.kind == "anchored" or borrowing.warm_start:
        encoder = Encoder(geometry, wanted.code, wanted.encoder_width, wanted.encoder_max_width)
    if wanted.kind == "free" or encoder is None:
        return FreeGenerator(decoder, encoder)
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
        unconditional=recipe.borrowing.transition is not None,
        coarse=recipe.borrowing.shared_blocks,
    )


def _silence_classes(generator: nn.Module) -> None:
    """Begin with classes that change nothing, as before the transition, when they train nothing."""
    for module in generator.modules():
        if isinstance(module, Decoder):
            module.silence_classes()


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on its device, channels last in memory."""
    placed: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
