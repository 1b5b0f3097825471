"""Steps and terms of published methods: growing networks, path lengths, unrolled steps of D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from gan_augment.data.batches import Batch
from gan_augment.networks.growing import Growing, faded, level_at, place
from gan_augment.networks.layers import split_verdict
from gan_augment.networks.style import StyleGenerator
from gan_augment.recipes import OptimiserSettings
from gan_augment.rng import rng_for
from gan_augment.training.parts import GeneratorOutput, Losses, Parts, Step, TrainState
from gan_augment.training.step import (
    discriminator_step,
    earlier_d_steps,
    generator_loss,
    generator_step,
)

ADAM_EPSILON = 1e-8
PATH_EVERY = 4
"""G steps from one computation of the path length to the next."""
PATH_RATE = 0.01
"""Rate of the running mean of path lengths."""

Moments = list[tuple[Tensor, Tensor]]


def growing_step(step: Step, state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Take a step at the level of the run's progress, on reals that are faded like the samples.

    The optimisers' moments are reset at the start of a level. Source: Karras et al. 2018, sections
    2 and A.1.
    """
    networks = (state.generator, state.discriminator, state.average)
    growing = [m for network in networks for m in network.modules() if isinstance(m, Growing)]
    stages, before = growing[0].stages, growing[0].place()[0]
    level = level_at(state.progress, parts.recipe.game.grow, stages)
    for module in growing:
        module.level.fill_(level)
    if place(level)[0] != before:
        state.generator_optimiser.state.clear()
        state.discriminator_optimiser.state.clear()

    return step(state, parts, [replace(b, x=faded(b.x, level, stages)) for b in batches])


def path_length(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Compute StyleGAN2's E (|J^T n| - a)^2 every fourth G step, with four times the weight.

    J = dG/dw, n normal noise over the pixels' root, a the running mean of |J^T n|, in the state's
    numbers. On half of a batch, in float32. Source: Karras et al. 2020, section 3.2.
    """
    objective = parts.recipe.objective
    if state.step % PATH_EVERY:
        return output.x.new_zeros(()), {}
    half = max(len(batch.y) // 2, 1)
    y = batch.y[:half]
    rng, lengths = rng_for(state.noise_seed, "path length", state.step), []
    for network in [m for m in state.generator.modules() if isinstance(m, StyleGenerator)]:
        z = torch.from_numpy(rng.standard_normal((half, network.noise_width), dtype=np.float32))
        z = z.to(y.device)
        label = y % network.mapping.embed.num_embeddings  # 0 in a network for a single class
        w = network.mapping(z[:, : network.code], label)
        styles = w.expand(len(network.layers), -1, -1)
        images = network.draw(styles, z[:, 2 * network.code + 2 :])
        pixels = rng.standard_normal((half, *images.shape[1:]), dtype=np.float32)
        length = slope_lengths(images, w, torch.from_numpy(pixels).to(y.device))
        lengths.append(length)
    length = torch.cat(lengths)
    mean = state.numbers["path_length"]
    mean.lerp_(length.detach().mean(), PATH_RATE)
    term = (length - mean).square().mean()
    return objective.path_length * PATH_EVERY * term, {"path": mean.detach().clone()}


def slope_lengths(images: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    """Return |J^T n| / sqrt(H W) of each row (N,): change of images per change of styles."""
    seen = (images * noise).sum() / (images.shape[2] * images.shape[3]) ** 0.5
    (slope,) = torch.autograd.grad(seen, w, create_graph=True)
    return slope.square().sum(dim=1).sqrt()


def unrolled_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Update G through K simulated steps of D, then take D's one real step.

    theta^(k+1) = theta^k - eta grad L_D(theta^k), k < K, from D's weights theta^0; G minimises
    L_G(theta_G, theta^K) through these steps; then D takes its step from theta^0. Source: Metz et
    al. 2017, "Unrolled Generative Adversarial Networks", eq. 4 to 7.
    """
    batch, output = earlier_d_steps(state, parts, batches)
    losses = generator_step(state, parts, batch, output, unrolled_loss)
    return losses | discriminator_step(state, parts, batch, output)


def unrolled_loss(state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput) -> Tensor:
    """Return L_G () with a graph through K simulated steps of D, whose state stays unchanged.

    It is 0 if the adversary's weight is 0.
    """
    if not parts.recipe.objective.adversary:
        return output.x.new_zeros((), dtype=torch.float32)
    network, settings = state.discriminator, parts.recipe.discriminator_optimiser
    real = parts.augment(parts, state, batch.x, "real", 0)
    fake = parts.augment(parts, state, output.x, "fake", 0)
    names = [name for name, _ in network.named_parameters()]
    weights = [weight.detach().requires_grad_() for weight in network.parameters()]
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def logits(x: Tensor) -> Tensor:
        now = dict(zip(names, weights, strict=True)) | buffers
        with parts.compute.autocast():
            verdicts: Tensor = functional_call(network, now, (x, batch.y))
        return split_verdict(verdicts.float())[0]

    moments, steps_done = adam_moments(state.discriminator_optimiser)
    for k in range(1, parts.recipe.game.unrolled + 1):
        loss = parts.loss.discriminator(logits(real), logits(fake))
        slopes = torch.autograd.grad(loss, weights, create_graph=True)
        rate = float(state.discriminator_optimiser.param_groups[0]["lr"])
        weights, moments = moved(weights, slopes, moments, settings, rate, steps_done + k)
    fakes = logits(fake)
    reals = logits(real) if parts.loss.generator_sees_reals else fakes[:0]
    return parts.recipe.objective.adversary * generator_loss(parts, reals, fakes)


def moved(
    weights: Sequence[Tensor],
    slopes: Sequence[Tensor],
    moments: Moments,
    settings: OptimiserSettings,
    rate: float,
    step: int,
) -> tuple[list[Tensor], Moments]:
    """Return weights and moments after a step of SGD or Adam, differentiably.

    Source: Kingma & Ba 2015, algorithm 1; step counts from 1.
    """
    if settings.name == "sgd":
        return [w - rate * g for w, g in zip(weights, slopes, strict=True)], moments
    first, second = settings.betas
    after, kept = [], []
    for weight, slope, (mean, square) in zip(weights, slopes, moments, strict=True):
        mean = first * mean + (1 - first) * slope
        square = second * square + (1 - second) * slope.square()
        kept.append((mean, square))
        # inside the root as well: its slope at 0 is endless
        deviation = (square / (1 - second**step) + ADAM_EPSILON**2).sqrt() + ADAM_EPSILON
        after.append(weight - rate * mean / (1 - first**step) / deviation)
    return after, kept


def adam_moments(optimiser: torch.optim.Optimizer) -> tuple[Moments, int]:
    """Return the moments of each weight (zeros before the first step) and the steps taken."""
    moments, steps = [], 0
    for weight in optimiser.param_groups[0]["params"]:
        slots = optimiser.state.get(weight, {})
        zero = torch.zeros_like(weight)
        moments.append((slots.get("exp_avg", zero), slots.get("exp_avg_sq", zero)))
        steps = int(slots.get("step", steps))
    return moments, steps
