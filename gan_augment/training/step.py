"""Training steps: free functions over explicit state, one optimiser each. No files, no clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.data.batches import Batch
from gan_augment.distributed import average_gradients
from gan_augment.losses.penalties import (
    Critic,
    between,
    lecam,
    one_centred,
    zero_centred,
)
from gan_augment.networks.ensembles import Discriminators
from gan_augment.networks.layers import ConditionalDiscriminator, split_verdict
from gan_augment.rng import rng_for
from gan_augment.training.parts import GeneratorOutput, Losses, Parts, TrainState

LECAM_DECAY = 0.99
LECAM_FROM_IMAGES = 1000
ACCURACY_DECAY = 0.99
ADAPT_EVERY_STEPS = 4
ADAPT_IMAGES = 20_000
ADAPT_TARGET = 0.6
MOST_PROBABILITY = 0.8

Formula = Callable[[Critic, Tensor, Tensor], Tensor]
Against = Callable[[TrainState, Parts, Batch, GeneratorOutput], Tensor]
"""What G minimises against D, ()."""


def adversarial_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Take the D steps, one per batch, and one G step on the samples of the last D step.

    Sharing these samples saves a second decoding.
    """
    batch, output = earlier_d_steps(state, parts, batches)
    losses = discriminator_step(state, parts, batch, output)
    return losses | generator_step(state, parts, batch, output)


def earlier_d_steps(
    state: TrainState, parts: Parts, batches: Sequence[Batch]
) -> tuple[Batch, GeneratorOutput]:
    """Train D by all D steps of a G step but the last, on samples without gradients for G.

    Return the batch of the last D step, and its samples with their graph.
    """
    for turn, batch in enumerate(batches[:-1], start=1):
        with torch.no_grad():
            output = generate(state, parts, batch, turn=turn)
        discriminator_step(state, parts, batch, output, turn=turn)
    return batches[-1], generate(state, parts, batches[-1])


def generate(state: TrainState, parts: Parts, batch: Batch, turn: int = 0) -> GeneratorOutput:
    """Generate samples for a batch, with the graph where gradients are on."""
    with parts.compute.autocast():
        inputs = parts.draw(state.noise_seed, state.step, turn, batch)
        return parts.make(state.generator, inputs)


def terms_step(state: TrainState, parts: Parts, batches: Sequence[Batch]) -> Losses:
    """Update G by its own terms, before the adversary joins or without one."""
    batch = batches[-1]
    output = generate(state, parts, batch)
    each = [term(state, parts, batch, output) for term in parts.generator_terms]
    loss = torch.stack([weighted_term for weighted_term, _ in each]).sum()
    descend(state.generator_optimiser, loss)
    return {"g_loss": loss.detach()} | {k: v for _, named in each for k, v in named.items()}


def discriminator_step(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput, turn: int = 0
) -> Losses:
    """Update D on a batch and as many fakes. G and its optimiser do not change.

    turn: which of a G step's D steps, 0 for the last.
    """
    objective = parts.recipe.objective
    samples = output.x.detach()
    with parts.compute.autocast():  # around both, so that weights are cast once
        real, real_classes = verdict(state, parts, batch.x, batch.y, "real", turn)
        fake, fake_classes = verdict(state, parts, samples, batch.y, "fake", turn)
    loss = total = parts.loss.discriminator(real, fake)
    total = total + _class_term(parts, real_classes, batch.y)
    total = total + objective.drift * real.square().mean()
    if parts.recipe.discriminator.condition == "auxiliary" and objective.fake_classes:
        total = total + _class_term(parts, fake_classes, batch.y)
    images_seen = state.step * parts.recipe.batch
    if objective.lecam and images_seen >= LECAM_FROM_IMAGES:
        numbers = state.numbers
        total = total + objective.lecam * lecam(
            real, fake, numbers["real_logit"], numbers["fake_logit"]
        )
    penalty, terms = slope_penalties(state, parts, batch, samples, turn)
    descend(state.discriminator_optimiser, total + penalty)
    if objective.clip:  # as Arjovsky et al. 2017 do after each D step
        with torch.no_grad():
            for weight in state.discriminator.parameters():
                weight.clamp_(-objective.clip, objective.clip)
    _observe_logits(state, parts, real.detach(), fake.detach(), turn)
    means = {"real_logit": real.detach().mean(), "fake_logit": fake.detach().mean()}
    return {"d_loss": loss.detach()} | terms | means


def generator_step(
    state: TrainState,
    parts: Parts,
    batch: Batch,
    output: GeneratorOutput,
    against: Against | None = None,
) -> Losses:
    """Update G (and its encoder) on samples that it just generated. D does not change.

    against: what G minimises against D, by default D as it is.
    """
    weights = list(state.discriminator.parameters())
    for weight in weights:
        weight.requires_grad_(False)
    loss = (against or against_d)(state, parts, batch, output)
    losses = {"g_loss": loss.detach()}
    for term in parts.generator_terms:
        weighted, more = term(state, parts, batch, output)
        loss, losses = loss + weighted, losses | more
    descend(state.generator_optimiser, loss)
    for weight in weights:
        weight.requires_grad_(True)
    return losses


def verdict(
    state: TrainState, parts: Parts, x: Tensor, y: Tensor, which: str, turn: int = 0
) -> tuple[Tensor, Tensor | None]:
    """D's logits (N,), float32, of reals or samples as D sees them, and its class logits if any.

    which: names the augmentation's random draws.
    """
    with parts.compute.autocast():
        seen = parts.augment(parts, state, x, which, turn)
        of_d: Tensor = state.discriminator(seen, y)
    return split_verdict(of_d.float())


def against_d(state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput) -> Tensor:
    """Compute G's loss against D: the adversarial term, and for an ACGAN the class term."""
    weight = parts.recipe.objective.adversary
    if not weight:
        return output.x.new_zeros((), dtype=torch.float32)
    fake, classes = verdict(state, parts, output.x, batch.y, "improved")
    real = fake[:0]
    if parts.loss.generator_sees_reals:
        with torch.no_grad():
            real, _ = verdict(state, parts, batch.x, batch.y, "beside improved")
    loss = generator_loss(parts, real, fake)
    return weight * (loss + _class_term(parts, classes, batch.y))


def generator_loss(parts: Parts, real: Tensor, fake: Tensor) -> Tensor:
    """G's loss () by the logits of every discriminator, (J N,) each; real: where it sees any.

    Source of the mean over discriminators: Durugkar et al. 2017, section 3.
    """
    game = parts.recipe.game
    of_each = [real.tensor_split(game.discriminators), fake.tensor_split(game.discriminators)]
    losses = torch.stack([parts.loss.generator(*each) for each in zip(*of_each, strict=True)])
    return losses.mean()


def _class_term(parts: Parts, classes: Tensor | None, y: Tensor) -> Tensor | float:
    """Compute the weighted cross entropy of D's class logits (N, K), -E ln p(y | x); or 0."""
    if classes is None:
        return 0.0
    return parts.recipe.objective.classes * F.cross_entropy(classes, y)


def feature_matching(
    state: TrainState, parts: Parts, batch: Batch, output: GeneratorOutput
) -> tuple[Tensor, Losses]:
    """Squared distance of D's mean features of fakes from those of reals, a class at a time.

    Mean over the classes of the batch and the features, times the recipe's weight.
    Source: Salimans et al. 2016, section 3.1, by class.
    """
    discriminator = cast(ConditionalDiscriminator, state.discriminator)
    with torch.no_grad():
        real = discriminator.features(batch.x, batch.y)
    gap = discriminator.features(output.x.float(), batch.y) - real
    member = F.one_hot(batch.y).to(gap.dtype)  # (N, K)
    count = member.sum(dim=0)  # (K,)
    distance = (member.T @ gap / count.clamp_min(1)[:, None]).square().mean(dim=1).sum()
    distance = distance / (count > 0).sum()
    return parts.recipe.objective.feature_matching * distance, {"matching": distance.detach()}


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimiser down a loss, along the mean of its gradients over ranks."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(weight for group in optimiser.param_groups for weight in group["params"])
    optimiser.step()


def _observe_logits(
    state: TrainState, parts: Parts, real: Tensor, fake: Tensor, turn: int = 0
) -> None:
    """Move the running means, and every few steps the augmentation's probability (ADA's rule).

    p += sign(E sign D(real) - target) B / 20,000, within 0 and its maximum; the mean is over all D
    steps since the last move, which comes with the last of a G step (turn 0).
    Source: Karras et al. 2020.
    """
    numbers = state.numbers
    numbers["real_logit"].lerp_(real.mean(), 1 - LECAM_DECAY)
    numbers["fake_logit"].lerp_(fake.mean(), 1 - LECAM_DECAY)
    numbers["real_sign"].add_(real.sign().mean())
    numbers["d_steps_seen"].add_(1)
    if parts.recipe.game.balanced:
        right = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        numbers["d_accuracy"].lerp_(right, 1 - ACCURACY_DECAY)
    if turn == 0 and state.step % ADAPT_EVERY_STEPS == ADAPT_EVERY_STEPS - 1:
        mean_sign = numbers["real_sign"] / numbers["d_steps_seen"]
        direction = (mean_sign - ADAPT_TARGET).sign()
        numbers["augment_probability"].add_(direction * (len(real) / ADAPT_IMAGES)).clamp_(
            0, MOST_PROBABILITY
        )
        numbers["real_sign"].zero_()
        numbers["d_steps_seen"].zero_()


def slope_penalties(
    state: TrainState, parts: Parts, batch: Batch, fake: Tensor, turn: int
) -> tuple[Tensor, Losses]:
    """Return the weighted sum () of the penalties due at this D step, and each term by name.

    In float32, and on samples as they are, not as D sees them. A penalty of every k-th D step has
    k times its weight: the mean over k steps is that of every step (lazy regularisation, Karras et
    al. 2020).
    """
    total, terms = fake.new_zeros((), dtype=torch.float32), Losses()
    real, fake = batch.x.float(), fake.detach().float()
    objective, d_step = parts.recipe.objective, state.step * parts.recipe.d_steps + turn

    def uniform(name: str, *shape: int) -> Tensor:
        rng = rng_for(state.noise_seed, name, state.step, turn)
        return torch.from_numpy(rng.random(shape, dtype=np.float32)).to(real.device)

    # name: weight, every so many D steps, formula, the points where D's slope is looked at
    kinds: dict[str, tuple[float, int, Formula, Callable[[], Tensor]]] = {
        "r1": (objective.r1, objective.r1_every, zero_centred, lambda: real),
        "r2": (objective.r2, objective.r1_every, zero_centred, lambda: fake),
        "gradient_penalty": (
            objective.gradient_penalty,
            1,
            one_centred,
            lambda: between(real, fake, uniform("gradient_penalty", len(real))),
        ),
    }
    for name, (weight, every, formula, points) in kinds.items():
        if weight and d_step % every == 0:
            y = batch.y
            each = [formula(critic, points(), y) for critic in _critics(state.discriminator)]
            penalty = torch.stack(each).mean()
            total = total + weight * every * penalty
            terms[name] = penalty.detach()
    return total, terms


def _critics(network: nn.Module) -> list[Critic]:
    """Return each discriminator of D as a function to logits, since slopes add up."""

    def critic_of(member: nn.Module) -> Critic:
        return lambda x, y: split_verdict(member(x, y))[0]

    members = network.members if isinstance(network, Discriminators) else [network]
    return [critic_of(member) for member in members]
