"""Training steps: free functions over explicit state, one optimiser each. No files, no clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gan_augment.data.batches import Batch
from gan_augment.losses.penalties import (
    Critic,
    between,
    lecam,
    one_centred,
    perturbed,
    zero_centred,
)
from gan_augment.randomness import generator
from gan_augment.training.parts import GeneratorOutput, Losses, Parts, TrainState

LECAM_DECAY = 0.99
ADAPT_EVERY_STEPS = 4
ADAPT_IMAGES = 20_000

Formula = Callable[[Critic, Tensor, Tensor], Tensor]


def adversarial_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """One G step and its D steps, one a batch; the last D step judges the samples G then improves.

    So a step decodes once where drawing anew for G would decode twice.
    """
    for turn, batch in enumerate(batches[:-1]):
        with torch.no_grad():
            output = generate(state, parts, batch, turn=turn + 1)
        discriminator_step(state, parts, batch, output, turn=turn + 1)
    batch = batches[-1]
    output = generate(state, parts, batch)
    losses = discriminator_step(state, parts, batch, output)
    return losses | generator_step(state, parts, batch, output)


def generate(state: TrainState, parts: Parts, batch: Batch, turn: int = 0) -> GeneratorOutput:
    """The generator's samples for a batch, with the graph where gradients are on."""
    with parts.compute.autocast():
        inputs = parts.draw(state.noise_seed, state.step, turn, batch)
        return parts.make(state.generator, inputs)


def discriminator_step(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput, turn: int = 0
) -> Losses:
    """One update of D on a batch and as many fakes. Leaves G and its optimiser alone.

    turn: which of a G step's D steps, 0 for the last.
    """
    objective, optimiser = parts.recipe.objective, state.discriminator_optimiser
    samples = output.x.detach()
    with parts.compute.autocast():  # around both, so that weights are cast once
        real = logits(state, parts, batch.x, batch.y, "real", turn)
        fake = logits(state, parts, samples, batch.y, "fake", turn)
    loss = total = parts.loss.discriminator(real, fake)
    images_seen = state.step * len(batch.y)
    if objective.lecam and images_seen >= objective.lecam_from_images:
        numbers = state.numbers
        total = total + objective.lecam * lecam(
            real, fake, numbers["real_logit"], numbers["fake_logit"]
        )
    penalty, terms = slope_penalties(state, parts, batch, samples, turn)
    optimiser.zero_grad(set_to_none=True)
    (total + penalty).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    if objective.clip:
        _clip(state.discriminator, objective.clip)
    _observe_logits(state, parts, real.detach(), fake.detach(), turn)
    means = {"real_logit": real.detach().mean(), "fake_logit": fake.detach().mean()}
    return {"d_loss": loss.detach()} | terms | means


def generator_step(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> Losses:
    """One update of G (and its encoder) on samples it just output. Leaves D's side alone."""
    weights = list(state.discriminator.parameters())
    for weight in weights:
        weight.requires_grad_(False)
    fake = logits(state, parts, output.x, batch.y, "improved")
    loss = parts.loss.generator(_beside(state, parts, batch, fake), fake)
    losses = {"g_loss": loss.detach()}
    if parts.generator_term is not None:
        term, more = parts.generator_term(state, parts, batch, output)
        loss, losses = loss + term, losses | more
    update_generator(state, loss)
    for weight in weights:
        weight.requires_grad_(True)
    return losses


def logits(
    state: TrainState, parts: Parts, x: Tensor, y: Tensor, which: str, turn: int = 0
) -> Tensor:
    """D's logits (N,), float32, of reals or samples as D sees them. which: names the augmentation's
    random draws.
    """
    with parts.compute.autocast():
        seen = parts.augment(parts, state, x, which, turn)
        of_d: Tensor = state.discriminator(seen, y)
    return of_d.float()


@torch.no_grad()
def _beside(state: TrainState, parts: Parts, batch: Batch, fake: Tensor) -> Tensor:
    """D's logits on the reals of a G step where the loss compares with them; else empty ones."""
    if not parts.loss.generator_sees_reals:
        return fake[:0]
    return logits(state, parts, batch.x, batch.y, "beside improved")


@torch.no_grad()
def _clip(network: nn.Module, limit: float) -> None:
    """Every weight within -limit..limit, what Arjovsky et al. 2017 do after each D step."""
    for weight in network.parameters():
        weight.clamp_(-limit, limit)


def update_generator(state: TrainState, loss: Tensor) -> None:
    """One step of G's optimiser down a loss."""
    state.generator_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.generator_optimiser.step()


def _observe_logits(
    state: TrainState, parts: Parts, real: Tensor, fake: Tensor, turn: int = 0
) -> None:
    """Move the running means, and every few steps the augmentation's probability (ADA's rule).

    p += sign(E sign D(real) - target) B / 20,000, within 0 and its maximum; the mean is over all D
    steps since the last move, which comes with the last of a G step (turn 0).
    Source: Karras et al. 2020.
    """
    numbers, settings = state.numbers, parts.recipe.augment
    numbers["real_logit"].lerp_(real.mean(), 1 - LECAM_DECAY)
    numbers["fake_logit"].lerp_(fake.mean(), 1 - LECAM_DECAY)
    numbers["real_sign"].add_(real.sign().mean() / (ADAPT_EVERY_STEPS * parts.recipe.d_steps))
    if turn == 0 and state.step % ADAPT_EVERY_STEPS == ADAPT_EVERY_STEPS - 1:
        direction = (numbers["real_sign"] - settings.adaptive_target).sign()
        numbers["augment_probability"].add_(direction * (len(real) / ADAPT_IMAGES)).clamp_(
            0, settings.max_probability
        )
        numbers["real_sign"].zero_()


def slope_penalties(
    state: TrainState, parts: Parts, batch: Batch, fake: Tensor, turn: int
) -> tuple[Tensor, Losses]:
    """The weighted sum () of what is due at this D step, 0 for nothing, and each term alone.

    In float32, and on samples as they are, not as D sees them. A penalty of every k-th D step has
    k times its weight: the mean over k steps is that of every step (lazy regularisation, Karras et
    al. 2020).
    """
    total, terms = fake.new_zeros((), dtype=torch.float32), Losses()
    real, fake = batch.x.float(), fake.detach().float()
    objective, d_step = parts.recipe.objective, state.step * parts.recipe.d_steps + turn

    def uniform(name: str, *shape: int) -> Tensor:
        rng = generator(state.noise_seed, name, state.step, turn)
        return torch.from_numpy(rng.random(shape, dtype=np.float32)).to(real.device)

    # name: weight, every so many D steps, formula, the points where D's slope is looked at
    kinds: dict[str, tuple[float, int, Formula, Callable[[], Tensor]]] = {
        "r1": (objective.r1, objective.r1_every, zero_centred, lambda: real),
        "r2": (objective.r2, objective.r1_every, zero_centred, lambda: fake),
        "gradient_penalty": (
            objective.gradient_penalty,
            objective.penalty_every,
            one_centred,
            lambda: between(real, fake, uniform("gradient_penalty", len(real))),
        ),
        "dragan": (
            objective.dragan,
            objective.penalty_every,
            one_centred,
            lambda: perturbed(real, uniform("dragan", *real.shape)),
        ),
    }
    for name, (weight, every, formula, points) in kinds.items():
        if weight and d_step % every == 0:
            penalty = formula(state.discriminator, points(), batch.y)
            total = total + weight * every * penalty
            terms[name] = penalty.detach()
    return total, terms
