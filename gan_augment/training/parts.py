"""`Parts`: what a step needs and what does not change during a run. Made by `build.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from gan_augment.data.batches import Batch
from gan_augment.devices import Machine
from gan_augment.losses.adversarial import AdversarialLoss
from gan_augment.networks.decoder import Conditioning
from gan_augment.networks.generators import GeneratorInput
from gan_augment.recipe_settings import Recipe

if TYPE_CHECKING:
    from gan_augment.training.state import TrainState

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Made:
    """What a generator made of a batch: x in its shape; codes (N, code) if it has codes.

    coarse: x as the shared blocks drew it, (N, C, H/4, W/4), if there are some.
    """

    x: Tensor
    codes: Tensor | None = None
    coarse: Tensor | None = None


Step = Callable[["TrainState", "Parts", Sequence[Batch]], Losses]
"""One G step with its D steps, one a batch: a free function over explicit state."""


@dataclass(frozen=True)
class Parts:
    """What a recipe was resolved to; swapping one part gives another GAN.

    draw(seed, step, turn, batch): what the generator is given for a batch, a pure function; labels
    are the batch's, and so are the rows that samples start from.
    condition(state, y, turn): how classes enter at this step, None as when sampling.
    make(generator, inputs): the samples, and the codes behind them if there are any.
    seen(parts, state, x, which, turn): x as D sees it, augmented by draws of its own.
    generator_term(state, parts, batch, made): what G minimises beside the adversary, or None.
    step: one step of the method. first_step: that of the first `first_share` of a run (none in a
    run of under `first_least` steps), or None.
    new_networks(seed): generator and discriminator with their first weights, a pure function.
    """

    recipe: Recipe
    machine: Machine
    loss: AdversarialLoss
    draw: Callable[[int, int, int, Batch], GeneratorInput]
    condition: Callable[[TrainState, Tensor, int], Conditioning | None]
    make: Callable[[nn.Module, GeneratorInput], Made]
    seen: Callable[[Parts, TrainState, Tensor, str, int], Tensor]
    generator_term: Callable[[TrainState, Parts, Batch, Made], tuple[Tensor, Losses]] | None
    step: Step
    first_step: Step | None
    new_networks: Callable[[int], tuple[nn.Module, nn.Module]]
    first_share: float = 0.0
    first_least: int = 0

    def first_steps(self, steps: int) -> int:
        """How many of a run's steps are first steps: before the adversary joins."""
        return round(self.first_share * steps) if steps >= self.first_least else 0
