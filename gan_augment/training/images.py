"""Parts of a run on images: networks, inputs and loss terms of the free and anchored methods.

Free: noise and a class become an image. Anchored: real rows are encoded, their codes mixed and
decoded, and an adversary makes the mixtures realistic. Half of a batch is decoded from its own
code and compared with its row.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.augment.diff_augment import apply, draw_moves
from gan_augment.data.batches import Batch
from gan_augment.losses.adversarial import LOSSES
from gan_augment.machine import ComputeConfig
from gan_augment.networks.components import Components
from gan_augment.networks.ensembles import new_discriminators, new_generators
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.growing import GrowingDiscriminator, GrowingGenerator
from gan_augment.networks.images import (
    AnchoredGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    Decoder,
    Discriminator,
    Encoder,
    FreeGenerator,
)
from gan_augment.networks.inputs import Anchors, GeneratorInput, mixture_weights
from gan_augment.networks.style import StyleGenerator
from gan_augment.networks.translation import TranslationGenerator
from gan_augment.recipes import Recipe
from gan_augment.rng import rng_for
from gan_augment.training.parts import GeneratorOutput, Losses, Parts, Step, TrainState
from gan_augment.training.published import growing_step, path_length, unrolled_step
from gan_augment.training.step import adversarial_step, feature_matching, terms_step
from gan_augment.training.translation import new_translator, translation_parts

GENERATORS: Mapping[str, type[Decoder | DCGANGenerator | GrowingGenerator | StyleGenerator]] = {
    "default": Decoder,
    "dcgan": DCGANGenerator,
    "growing": GrowingGenerator,
    "style": StyleGenerator,
}
DISCRIMINATORS: Mapping[str, type[Discriminator | DCGANDiscriminator | GrowingDiscriminator]] = {
    "default": Discriminator,
    "dcgan": DCGANDiscriminator,
    "growing": GrowingDiscriminator,
}
RECONSTRUCTED = slice(0, None, 2)
"""Rows of a batch that are decoded from their own code; D sees mixtures on the others only."""
RECONSTRUCTION_NOISE = 0.5  # of the noise of a code: .05
BORROWED_IN_TRAINING = 0.5  # share of borrowed detail: large classes are mixed with themselves


def build(
    recipe: Recipe,
    shape: tuple[int, int, int],
    classes: int,
    compute: ComputeConfig,
    components: Components | None = None,
) -> Parts:
    """Build the parts of a recipe.

    shape: (height, width, channels) of the images. components: what a new generator begins as, if
    the recipe has `generator.components`.
    """
    geometry = Geometry.of(shape)
    with torch.random.fork_rng(devices=[]):  # constructors draw; only a number is needed
        noise_width = new_generator(recipe, geometry, classes).noise_width

    def grown(step: Step) -> Step:
        return functools.partial(growing_step, step) if recipe.game.grow else step

    free = Parts(
        recipe=recipe,
        compute=compute,
        loss=LOSSES[recipe.objective.loss],
        networks=lambda: (
            new_generator(recipe, geometry, classes, copy.deepcopy(components)),
            new_discriminator(recipe, geometry, classes),
        ),
        draw=functools.partial(draw_noise, noise_width),
        step=grown(unrolled_step if recipe.game.unrolled else adversarial_step),
        augment=augment_images,
        generator_terms=(
            *([feature_matching] if recipe.objective.feature_matching > 0 else []),
            *([path_length] if recipe.objective.path_length > 0 else []),
        ),
    )
    if recipe.generator.free:
        return free
    if recipe.generator.from_rows:
        return translation_parts(free, geometry, classes, noise_width)
    return replace(
        free,
        draw=functools.partial(draw_mixtures, recipe),
        make=lambda network, x: GeneratorOutput(*cast(AnchoredGenerator, network).draw(x)),
        generator_terms=(reconstruction_term, *free.generator_terms),
        first_step=grown(terms_step),
        first_share=recipe.objective.reconstruct_only,
    )


def new_generator(
    recipe: Recipe, geometry: Geometry, classes: int, components: Components | None = None
) -> FreeGenerator | AnchoredGenerator | TranslationGenerator:
    """Return the generator of a recipe, with weights not yet initialised."""
    settings = recipe.generator
    if settings.from_rows:
        return new_translator(recipe, geometry, classes)

    def decoder(classes: int) -> nn.Module:
        return GENERATORS[settings.network](geometry, classes, settings)

    if settings.free:
        return FreeGenerator(new_generators(recipe.game, classes, decoder))
    own = (components or Components(geometry, settings.code)) if settings.components else None
    return AnchoredGenerator(Encoder(geometry, settings), decoder(classes), own)


def new_discriminator(recipe: Recipe, geometry: Geometry, classes: int) -> nn.Module:
    """Return the discriminator of a recipe, not yet initialised; for pairs it sees both images."""
    settings = recipe.discriminator
    if recipe.generator.facts.paired:
        height, width, channels = geometry.shape
        geometry = replace(geometry, shape=(height, width, 2 * channels))

    def discriminator(classes: int) -> nn.Module:
        return DISCRIMINATORS[settings.network](geometry, classes, settings)

    return new_discriminators(recipe.game, classes, discriminator)


def draw_noise(width: int, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    """Draw the free method's input: standard normal noise (N, width) and the batch's labels."""
    rng = rng_for(seed, "noise", step, turn)
    z = rng.standard_normal((len(batch.y), width), dtype=np.float32)
    return GeneratorInput(torch.from_numpy(z).to(batch.y.device), batch.y)


def draw_mixtures(recipe: Recipe, seed: int, step: int, turn: int, batch: Batch) -> GeneratorInput:
    """Mix each row with its same-class partner, or move it by the difference of another pair.

    Every second sample stays at its row, in its own style, to be compared with it.
    """
    rng, n, device = rng_for(seed, "noise", step, turn), len(batch.y), batch.y.device
    z = torch.from_numpy(rng.standard_normal((n, recipe.generator.code), dtype=np.float32))
    rows = RECONSTRUCTED
    z[rows] *= RECONSTRUCTION_NOISE
    borrowed = BORROWED_IN_TRAINING * recipe.generator.borrowed
    weight = mixture_weights(recipe.generator, n, rng, borrowed=borrowed, own=rows)
    first = np.arange(n)
    index = [first, first ^ 1]
    if weight.shape[1] > 2:
        pair = 2 * rng.integers(n // 2, size=n)  # two rows of one class, whichever it is
        index += [pair, pair + 1]
    anchors = Anchors(
        batch.x,
        torch.from_numpy(np.stack(index, axis=1)).to(device),
        torch.from_numpy(weight).to(device),
    )
    return GeneratorInput(z.to(device), batch.y, anchors)


def reconstruction_term(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Compute the reconstruction error of the rows that are decoded from their own code.

    reconstruction * E|G(E(a) + noise) - a| + code_penalty * E code^2; unit of the error: -1..1.
    """
    objective, rows, codes = parts.recipe.objective, RECONSTRUCTED, cast(Tensor, output.codes)
    error = F.l1_loss(output.x[rows].float(), batch.x[rows])
    spread = codes[rows].float().square().mean()
    term = objective.reconstruction * error + objective.code_penalty * spread
    return term, {"reconstruction": error.detach()}


def augment_images(parts: Parts, state: TrainState, x: Tensor, which: str, turn: int) -> Tensor:
    """Augment x (N, C, H, W) for D: shift, relight and cut it with the adaptive probability."""
    rng = rng_for(state.noise_seed, "augment", which, state.step, turn)
    probability = float(state.numbers["augment_probability"])
    size = (int(x.shape[2]), int(x.shape[3]))
    return apply(x, draw_moves(parts.recipe.augment, size, len(x), probability, rng))
