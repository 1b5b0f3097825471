"""Training steps: free functions over explicit state, one optimiser each. No files, no clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from gan_augment.data.batches import Batch
from gan_augment.losses.penalties import lecam
from gan_augment.networks.generators import GeneratorInput
from gan_augment.training.parts import Losses, Made, Parts
from gan_augment.training.penalties import slope_penalties
from gan_augment.training.state import TrainState
from gan_augment.training.verdicts import Verdicts, verdicts, weighted

LECAM_DECAY = 0.99
ADAPT_EVERY_STEPS = 4
ADAPT_IMAGES = 20_000


def adversarial_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """One G step and its D steps, one a batch; the last D step judges the samples G then improves.

    So a step decodes once where drawing anew for G would decode twice.
    """
    for turn, batch in enumerate(batches[:-1]):
        with torch.no_grad():
            made = generate(state, parts, batch, turn=turn + 1)
        discriminator_step(state, parts, batch, made, turn=turn + 1)
    batch = batches[-1]
    made = generate(state, parts, batch)
    losses = discriminator_step(state, parts, batch, made)
    return losses | generator_step(state, parts, batch, made)


def generate(state: TrainState, parts: Parts, batch: Batch, turn: int = 0) -> Made:
    """The generator's answer to a batch, with the graph where gradients are on."""
    with parts.machine.autocast():
        return parts.make(state.generator, inputs_of(state, parts, batch, turn))


def inputs_of(state: TrainState, parts: Parts, batch: Batch, turn: int = 0) -> GeneratorInput:
    """What the generator is given for a batch at this step."""
    inputs = parts.draw(state.noise_seed, state.step, turn, batch)
    return replace(inputs, conditioning=parts.condition(state, batch.y, turn))


def discriminator_step(
    state: TrainState, parts: Parts, batch: Batch, made: Made, turn: int = 0
) -> Losses:
    """One update of D on a batch and as many fakes. Leaves G and its optimiser alone.

    turn: which of a G step's D steps, 0 for the last.
    """
    objective, optimiser = parts.recipe.objective, state.discriminator_optimiser
    made = _detached(made)
    with parts.machine.autocast():  # around both, so that weights are cast once
        real = verdicts(state, parts, Made(batch.x), batch.y, "real", turn)
        fake = verdicts(state, parts, made, batch.y, "fake", turn)
    loss = weighted(state, parts, parts.loss.discriminator, real, fake)
    total, real_logits, fake_logits = loss, real.overall, fake.overall
    images_seen = state.step * len(batch.y)
    if objective.lecam and images_seen >= objective.lecam_from_images:
        numbers = state.numbers
        total = total + objective.lecam * lecam(
            real_logits, fake_logits, numbers["real_logit"], numbers["fake_logit"]
        )
    penalty, terms = slope_penalties(state, parts, batch, made.x, turn)
    optimiser.zero_grad(set_to_none=True)
    (total + penalty).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    if objective.clip:
        _clip(state.discriminator, objective.clip)
    _observe_logits(state, parts, real_logits.detach(), fake_logits.detach(), turn)
    means = {"real_logit": real_logits.detach().mean(), "fake_logit": fake_logits.detach().mean()}
    return {"d_loss": loss.detach()} | terms | means


def generator_step(state: TrainState, parts: Parts, batch: Batch, made: Made) -> Losses:
    """One update of G (and its encoder) on samples it just made. Leaves D's side alone."""
    weights = list(state.discriminator.parameters())
    for weight in weights:
        weight.requires_grad_(False)
    fake = verdicts(state, parts, made, batch.y, "improved")
    real = _beside(state, parts, batch, fake)
    loss = weighted(state, parts, parts.loss.generator, real, fake)
    losses = {"g_loss": loss.detach()}
    if parts.generator_term is not None:
        term, more = parts.generator_term(state, parts, batch, made)
        loss, losses = loss + term, losses | more
    update_generator(state, loss)
    for weight in weights:
        weight.requires_grad_(True)
    return losses


@torch.no_grad()
def _beside(state: TrainState, parts: Parts, batch: Batch, fake: Verdicts) -> Verdicts:
    """D's logits on the reals of a G step where the loss compares with them; else empty ones."""
    if not parts.loss.generator_sees_reals:
        return Verdicts([head[:0] for head in fake.heads], fake.overall[:0])
    return verdicts(state, parts, Made(batch.x), batch.y, "beside improved")


def _detached(made: Made) -> Made:
    coarse = None if made.coarse is None else made.coarse.detach()
    return Made(made.x.detach(), coarse=coarse)


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
