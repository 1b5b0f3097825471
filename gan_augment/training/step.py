"""Training steps: free functions over explicit state, one optimiser each. No files, no clocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_augment.data.batches import Batch
from gan_augment.losses.penalties import lecam
from gan_augment.training.parts import Losses, Made, Parts
from gan_augment.training.penalties import slope_penalties
from gan_augment.training.state import TrainState

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
        discriminator_step(state, parts, batch, made.x, turn=turn + 1)
    batch = batches[-1]
    made = generate(state, parts, batch)
    losses = discriminator_step(state, parts, batch, made.x.detach())
    return losses | generator_step(state, parts, batch, made)


def generate(state: TrainState, parts: Parts, batch: Batch, turn: int = 0) -> Made:
    """The generator's answer to a batch, with the graph where gradients are on."""
    inputs = parts.draw(state.noise_seed, state.step, turn, batch)
    with parts.machine.autocast():
        return parts.make(state.generator, inputs)


def discriminator_step(
    state: TrainState, parts: Parts, batch: Batch, fake: Tensor, turn: int = 0
) -> Losses:
    """One update of D on a batch and as many fakes. Leaves G and its optimiser alone.

    turn: which of a G step's D steps, 0 for the last.
    """
    objective, optimiser = parts.recipe.objective, state.discriminator_optimiser
    with parts.machine.autocast():
        real_logits = state.discriminator(parts.seen(parts, state, batch.x, "real", turn), batch.y)
        fake_logits = state.discriminator(parts.seen(parts, state, fake, "fake", turn), batch.y)
    real_logits, fake_logits = real_logits.float(), fake_logits.float()
    loss = parts.loss.discriminator(real_logits, fake_logits)
    total = loss
    images_seen = state.step * len(batch.y)
    if objective.lecam and images_seen >= objective.lecam_from_images:
        numbers = state.numbers
        total = total + objective.lecam * lecam(
            real_logits, fake_logits, numbers["real_logit"], numbers["fake_logit"]
        )
    penalty, terms = slope_penalties(state, parts, batch, fake, turn)
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
    with parts.machine.autocast():
        logits = state.discriminator(parts.seen(parts, state, made.x, "improved", 0), batch.y)
    logits = logits.float()
    loss = parts.loss.generator(_logits_beside(state, parts, batch, logits), logits)
    losses = {"g_loss": loss.detach()}
    if parts.generator_term is not None:
        term, more = parts.generator_term(state, parts, batch, made)
        loss, losses = loss + term, losses | more
    update_generator(state, loss)
    for weight in weights:
        weight.requires_grad_(True)
    return losses


@torch.no_grad()
def _logits_beside(state: TrainState, parts: Parts, batch: Batch, fake: Tensor) -> Tensor:
    """D's logits on the reals of a G step, (N,), where the loss compares with them; else (0,)."""
    if not parts.loss.generator_sees_reals:
        return fake.new_empty(0)
    with parts.machine.autocast():
        seen = parts.seen(parts, state, batch.x, "beside improved", 0)
        logits: Tensor = state.discriminator(seen, batch.y)
    return logits.float()


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
