"""Time budgets: time a step on a throwaway state, convert a budget into steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from gan_augment import machine
from gan_augment.data.batches import Batches
from gan_augment.errors import UsageError
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe
from gan_augment.training.parts import Parts, Step, new_state
from gan_augment.training.schedule import LONG_EVERY_STEPS, LONG_FIRST_STEPS, MOST_BALANCING_STEPS

SMALLEST_RUN_STEPS = 20
USEFUL_ROWS = 6400
"""With fewer drawn rows an anchored generator hardly differs from interpolation."""


@dataclass(frozen=True)
class Forecast:
    """The expected duration of a fit: steps, seconds outside them, and seconds per step."""

    steps: int
    fixed_s: float
    step_s: float

    def seconds(self, steps: int | None = None) -> float:
        """Return the seconds of a fit of the given number of steps, by default `steps`."""
        return self.fixed_s + (self.steps if steps is None else steps) * self.step_s


def step_seconds(parts: Parts, batches: Batches, probe_s: float) -> float:
    """Return the mean time of a step over a whole run, timed for about `probe_s` seconds.

    A game that balances D is timed with its most D steps. The mean includes the recurring long D
    steps of WGAN, but not those at the start (`opening_s`).
    """
    recipe, state = parts.recipe, new_state(parts, seed=0)
    turns = MOST_BALANCING_STEPS if recipe.game.balanced else recipe.d_steps
    state.progress = 1.0  # growing networks are timed at their full side
    _ = state.generator_optimiser, state.discriminator_optimiser  # imports of torch take seconds

    def seconds_each(step: Step, turns: int, least_s: float) -> float:
        began_s, done = time.monotonic(), -1  # the first step is not counted
        while done < 1 or time.monotonic() - began_s < least_s:
            step(state, parts, [batches.at(0, state.step, turn) for turn in range(turns)])
            state.step += 1
            if parts.compute.device.type == "cuda":
                torch.cuda.synchronize()
            done += 1
            if done == 0:
                began_s = time.monotonic()
        return (time.monotonic() - began_s) / done

    with machine.threads(parts.compute.threads):
        step_s = seconds_each(parts.step, turns, probe_s)
        step_s *= 1 + _long_step(recipe) / LONG_EVERY_STEPS
        if parts.first_step is None:
            return step_s
        share = parts.first_share
        return (1 - share) * step_s + share * seconds_each(parts.first_step, 1, probe_s / 2)


def opening_s(recipe: Recipe, step_s: float) -> float:
    """Return the extra seconds of the long D steps at the start of a WGAN run.

    >>> from gan_augment.recipes import RECIPES
    >>> wgan = RECIPES["image"]["wgan"]
    >>> round(opening_s(wgan, 0.6), 3), opening_s(RECIPES["image"]["free"], 0.6)
    (230.21, 0.0)
    """
    each = _long_step(recipe)
    return LONG_FIRST_STEPS * each / (1 + each / LONG_EVERY_STEPS) * step_s


def _long_step(recipe: Recipe) -> float:
    """Return the extra length of a long step in plain steps; a G step counts as a D step."""
    longer = recipe.game.long_d_steps - recipe.d_steps if recipe.game.long_d_steps else 0
    return max(longer, 0) / (recipe.d_steps + 1)


def useful_steps(recipe: Recipe) -> int:
    """Return the steps below which a fit hardly differs from one without training.

    >>> from gan_augment.recipes import RECIPES
    >>> useful_steps(RECIPES["image"]["anchored"]), useful_steps(RECIPES["table"]["anchored"])
    (400, 25)
    """
    useful = min(recipe.steps, max(SMALLEST_RUN_STEPS, USEFUL_ROWS // recipe.batch))
    return useful * recipe.generator.trained


def check_useful(
    steps: int,
    useful: int,
    budget_s: float,
    fixed_s: float,
    step_s: float,
    progress: Progress,
    least: int = SMALLEST_RUN_STEPS,
) -> None:
    """Raise UsageError for a budget below `least` steps; warn about one below `useful` steps.

    Both messages name a budget that suffices. fixed_s: seconds of a fit other than its steps.
    """
    useful = max(SMALLEST_RUN_STEPS, useful)
    if steps >= useful:
        return
    longer = enough(fixed_s + useful * step_s)
    cure = f"--budget {longer} (budget={longer!r}), or smaller data, would do"
    bought = f"a budget of {budget_s:g} s buys {steps} steps here"
    if steps < least:
        raise UsageError(f"{bought}, and a run needs {least}; {cure}")
    progress.warn(f"{bought}, and fewer than {useful:,} are hardly useful; {cure}")


def enough(needed_s: float) -> str:
    """Return a round budget with a quarter to spare.

    Timed steps vary from call to call: the spare quarter makes the next call accept the budget.

    >>> enough(7), enough(95), enough(305)
    ('10s', '2m', '7m')
    """
    spare_s = 1.25 * needed_s
    return f"{math.ceil(spare_s / 10)}0s" if spare_s < 60 else f"{math.ceil(spare_s / 60)}m"
