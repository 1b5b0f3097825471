"""What D says of a batch: logits of one head, or of several with a weight each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from gan_augment.losses.adversarial import Side
from gan_augment.networks.discriminator import Discriminator
from gan_augment.training.borrowing import head_weights
from gan_augment.training.parts import Made, Parts
from gan_augment.training.state import TrainState


@dataclass(frozen=True)
class Verdicts:
    """Logits of a batch, float32 (N,), a tensor a head.

    overall: one number an image, (N,): the mean over the heads that see whole images, by weight.
    """

    heads: list[Tensor]
    overall: Tensor


def verdicts(
    state: TrainState, parts: Parts, made: Made, y: Tensor, which: str, turn: int = 0
) -> Verdicts:
    """All logits of samples (or of reals, `Made(x)`) as D sees them. which: names the random moves.

    A real's coarse image is its mean over 4 x 4 px.
    """
    with parts.machine.autocast():
        x = parts.seen(parts, state, made.x, which, turn)
        if not _has_heads(parts):
            logits = [state.discriminator(x, y)]
        else:
            coarse = None
            if parts.recipe.borrowing.shared_blocks:
                coarse = F.avg_pool2d(made.x, 4) if made.coarse is None else made.coarse
                coarse = parts.seen(parts, state, coarse, f"coarse {which}", turn)
            logits = _discriminator(state).heads(x, y, coarse)
    logits = [head.float() for head in logits]
    return Verdicts(logits, _overall(state, parts, logits))


def verdict(state: TrainState, parts: Parts) -> Callable[[Tensor, Tensor], Tensor]:
    """D's overall logits (N,) of images as they are: whose slope penalties look at."""
    if not _has_heads(parts):
        return state.discriminator
    return lambda x, y: _overall(state, parts, _discriminator(state).heads(x, y))


def weighted(state: TrainState, parts: Parts, side: Side, real: Verdicts, fake: Verdicts) -> Tensor:
    """One side's loss (), over all heads; `real` may have empty ones where the side reads none."""
    weights = head_weights(parts.recipe.borrowing, state.progress)
    terms = [
        weight * side(r, f) for weight, r, f in zip(weights, real.heads, fake.heads, strict=True)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _overall(state: TrainState, parts: Parts, logits: list[Tensor]) -> Tensor:
    if parts.recipe.borrowing.transition is None:
        return logits[0]
    by_class, without = head_weights(parts.recipe.borrowing, state.progress)[:2]
    return (by_class * logits[0] + without * logits[1]) / (by_class + without)


def _has_heads(parts: Parts) -> bool:
    return len(head_weights(parts.recipe.borrowing, 1.0)) > 1


def _discriminator(state: TrainState) -> Discriminator:
    if not isinstance(state.discriminator, Discriminator):
        raise TypeError("only the discriminator of images has several heads")
    return state.discriminator
