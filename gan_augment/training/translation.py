"""Methods whose samples start from one real row: inputs, loss terms and training steps.

A batch has the target classes. Each sample starts from a row of another class in the batch, or from
its own row: at a lower resolution, or with a region masked.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.data.batches import Batch
from gan_augment.networks.ensembles import ByClass
from gan_augment.networks.geometry import Geometry, cropped, edge_padded
from gan_augment.networks.inputs import GeneratorInput, SourceRows
from gan_augment.networks.translation import (
    FrequencyMixer,
    Restyler,
    SuperResolver,
    TranslationGenerator,
    Translator,
    lowered,
    moments,
)
from gan_augment.recipes import Recipe
from gan_augment.rng import rng_for
from gan_augment.training.parts import GeneratorOutput, Losses, Parts, TrainState
from gan_augment.training.step import (
    descend,
    discriminator_step,
    earlier_d_steps,
    generator_step,
    terms_step,
)

LEAST_MASK, MOST_MASK = 0.25, 0.6
"""Share of each side that a drawn mask covers."""


def new_translator(recipe: Recipe, geometry: Geometry, classes: int) -> TranslationGenerator:
    """Return the generator of such a recipe, with weights not yet initialised."""
    settings, channels = recipe.generator, geometry.shape[2]
    new, network = functools.partial(Translator, geometry, settings=settings), nn.Module()
    match settings.kind:
        case "style":
            network = Restyler(geometry, settings)
        case "fourier":
            network = FrequencyMixer()
        case "super-resolution":
            network = SuperResolver(channels, settings)
        case "inpainting":
            network = new(classes=classes, dropping=True, masked=True)
        case "pairs":
            network = new(classes=classes, dropping=True)
        case _ if recipe.game.by_class:
            network = ByClass([new(classes=1) for _ in range(classes)])
        case _:
            network = new(classes=classes)
    return TranslationGenerator(network)


def translation_parts(parts: Parts, geometry: Geometry, classes: int, width: int) -> Parts:
    """Return the parts of a method whose samples start from one row each."""
    recipe, objective = parts.recipe, parts.recipe.objective
    pool = recipe.game.pool
    shape = (classes, pool, geometry.shape[2], *geometry.padded)
    terms = {
        cycle_term: objective.cycle,
        identity_term: objective.identity,
        style_term: objective.content + objective.style,
        pixel_term: objective.reconstruction * recipe.generator.facts.known,
    }
    held = (*(term for term, weight in terms.items() if weight), *parts.generator_terms)
    step, first = parts.step, terms_step
    if style_term in held:
        step, first = style_step, autoencoding_step
    elif pool:
        step = pooled_step
    return replace(
        parts,
        draw=functools.partial(draw_rows, recipe, geometry, width),
        make=functools.partial(make_images, recipe, geometry),
        step=step,
        generator_terms=held,
        first_step=first,
        first_share=objective.reconstruct_only if held else 0.0,
        numbers={"pool": shape, "pooled": (classes,)} if pool else {},
    )


def draw_rows(
    recipe: Recipe, geometry: Geometry, width: int, seed: int, step: int, turn: int, batch: Batch
) -> GeneratorInput:
    """Choose the row that each sample of a batch starts from, with its style or mask."""
    rng, n = rng_for(seed, "noise", step, turn), len(batch.y)
    z = torch.from_numpy(rng.standard_normal((n, width), dtype=np.float32)).to(batch.y.device)
    match recipe.generator.kind:
        case "pairs":
            source = SourceRows(batch.x.chunk(2, dim=1)[1])
        case "super-resolution":
            inner = cropped(batch.x, geometry.shape[:2])
            source = SourceRows(lowered(inner, recipe.generator.scale))
        case "inpainting":
            masks = torch.from_numpy(drawn_masks(n, geometry.padded, rng)).to(batch.x)
            source = SourceRows(batch.x, batch.y, masks=masks)
        case _:
            others = torch.from_numpy(rows_of_others(batch.y.cpu().numpy(), rng)).to(batch.y.device)
            source = SourceRows(batch.x[others], batch.y[others])
            if recipe.generator.facts.styled:
                source = replace(source, styles=batch.x)
    return GeneratorInput(z, batch.y, source)


def rows_of_others(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw for each row of a batch a row of another class, (N,).

    Without another class it is a row of the same class, and without another row the row itself.

    >>> rows_of_others(np.array([0, 0, 1]), np.random.default_rng(0)).tolist()[:2]
    [2, 2]
    """
    order = rng.random((len(labels), len(labels)))
    order += labels[:, None] == labels[None]
    order += np.eye(len(labels))
    others: NDArray[np.int64] = order.argmin(axis=1)
    return others


def drawn_masks(n: int, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw n rectangles (n, 1, H, W), a quarter to .6 of each side long: 1 inside, else 0."""
    masks = np.ones((n, 1, *size), dtype=np.float32)
    for axis, side in enumerate(size, start=2):
        share = LEAST_MASK + (MOST_MASK - LEAST_MASK) * rng.random(n)
        length = np.maximum(np.round(share * side), 1).astype(np.int64)
        first = (rng.random(n) * (side - length + 1)).astype(np.int64)
        place = np.arange(side)
        inside = (place >= first[:, None]) & (place < (first + length)[:, None])  # (n, side)
        masks *= inside.reshape(n, 1, *(side if k == axis else 1 for k in (2, 3)))
    return masks


def make_images(
    recipe: Recipe, geometry: Geometry, network: nn.Module, inputs: GeneratorInput
) -> GeneratorOutput:
    """Make the samples as D sees them; for `pairs` followed by their source rows."""
    source = cast(SourceRows, inputs.source)
    images: Tensor = network(inputs)
    match recipe.generator.kind:
        case "pairs":
            images = torch.cat([images, source.rows.to(images.dtype)], dim=1)
        case "super-resolution":
            images = edge_padded(images, geometry.padded)
    return GeneratorOutput(images, source=source)


def cycle_term(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Compute cycle * E|G(G(x, y), y_x) - x| of rows x with classes y_x; pixels are in -1..1.

    Sources: Zhu et al. 2017, eq. 2; Choi et al. 2018, eq. 4.
    """
    source = cast(SourceRows, output.source)
    back = _drawn(state, parts, output.x, cast(Tensor, source.labels))
    error = F.l1_loss(back.float(), source.rows)
    return parts.recipe.objective.cycle * error, {"cycle": error.detach()}


def identity_term(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Compute identity * E|G(x, y) - x| of rows of class y. Source: Zhu et al. 2017, 5.2."""
    error = F.l1_loss(_drawn(state, parts, batch.x, batch.y).float(), batch.x)
    return parts.recipe.objective.identity * error, {"identity": error.detach()}


def pixel_term(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Compute reconstruction * E|G - x| for known rows x. Source: Isola et al. 2017, eq. 3."""
    error = F.l1_loss(output.x.float(), batch.x)
    return parts.recipe.objective.reconstruction * error, {"reconstruction": error.detach()}


def style_term(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Compute the content and style errors of a Restyler's samples.

    content * E|E(G) - t|^2 + style * sum over levels E|mu - mu_s|^2 + E|sigma - sigma_s|^2, with t
    the decoded code and E the last level of the encoder. Source: Huang & Belongie 2017, eq. 11 to
    13.
    """
    source, network, objective = output.source, _restyler(state), parts.recipe.objective
    assert source is not None
    assert source.styles is not None
    with parts.compute.autocast():
        levels = [level.float() for level in network.features(output.x)]
        with torch.no_grad():
            wanted = [moments(level.float()) for level in network.features(source.styles)]
            own = network.features(source.rows)[-1].float()
            target = (own - moments(own)[0]) / moments(own)[1] * wanted[-1][1] + wanted[-1][0]
    content = F.mse_loss(levels[-1], target)
    style = torch.stack(
        [
            F.mse_loss(mine, theirs)
            for level, theirs_of in zip(levels, wanted, strict=True)
            for mine, theirs in zip(moments(level), theirs_of, strict=True)
        ]
    ).sum()
    total = objective.content * content + objective.style * style
    return total, {"content": content.detach(), "style": style.detach()}


def autoencoding_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Update a Restyler's encoder and decoder to reproduce a row in its own style."""
    own = batches[-1]
    with parts.compute.autocast():
        images = _restyler(state)(own.x, own.x)
    error = F.l1_loss(images.float(), own.x)
    descend(state.generator_optimiser, error)
    return {"reconstruction": error.detach()}


def style_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Update a Restyler's decoder; a trained encoder would make all styles equal."""
    encoder = _restyler(state).encoder
    encoder.requires_grad_(False)
    losses = terms_step(state, parts, batches)
    encoder.requires_grad_(True)
    return losses


def pooled_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Update G, then D on a pool of past samples. Source: Zhu et al. 2017, section 4."""
    batch, output = earlier_d_steps(state, parts, batches)
    losses = generator_step(state, parts, batch, output)
    new = output.x.detach().float()
    rng = rng_for(state.noise_seed, "pool", state.step)
    shown = from_pool(state.numbers["pool"], state.numbers["pooled"], new, batch.y, rng)
    return losses | discriminator_step(state, parts, batch, GeneratorOutput(shown))


@torch.no_grad()
def from_pool(
    pool: Tensor, held: Tensor, new: Tensor, labels: Tensor, rng: np.random.Generator
) -> Tensor:
    """Return the samples (N, C, H, W) for D: new ones, or with probability 1/2 past ones.

    pool (K, most, C, H, W) is filled with the new samples of each class, held (K,) counts them. A
    new sample then replaces the past one that is shown in its place.
    """
    shown = new.clone()
    for row, label in enumerate(labels.tolist()):
        n = int(held[label])
        if n < pool.shape[1]:
            pool[label, n] = new[row]
            held[label] += 1
        elif rng.random() < 0.5:
            place = int(rng.integers(n))
            shown[row] = pool[label, place]
            pool[label, place] = new[row]
    return shown


def _drawn(state: TrainState, parts: Parts, rows: Tensor, labels: Tensor) -> Tensor:
    """Draw rows (N, C, H, W) as classes (N,)."""
    with parts.compute.autocast():
        z = rows.new_zeros(len(rows), 0)
        images: Tensor = state.generator(GeneratorInput(z, labels, SourceRows(rows)))
    return images


def _restyler(state: TrainState) -> Restyler:
    return cast(Restyler, cast(TranslationGenerator, state.generator).network)
