"""What the discriminator sees of images: moved, lit and cut at random, at the adaptive rate."""

from __future__ import annotations

from torch import Tensor

from gan_augment.augment.seen_by_d import apply, draw_moves
from gan_augment.randomness import generator
from gan_augment.training.parts import Parts
from gan_augment.training.state import TrainState


def seen_images(parts: Parts, state: TrainState, x: Tensor, which: str, turn: int) -> Tensor:
    """x (N, C, H, W), augmented with the current probability, by draws of its own."""
    rng = generator(state.noise_seed, "augment", which, state.step, turn)
    probability = float(state.numbers["augment_probability"])
    size = (int(x.shape[2]), int(x.shape[3]))
    return apply(x, draw_moves(parts.recipe.augment, size, len(x), probability, rng))
