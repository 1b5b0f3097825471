"""Time budgets: a step timed on a throwaway state, a budget as steps, the forecast of a fit."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gan_augment import machine
from gan_augment.data.batches import Batches
from gan_augment.errors import UsageError
from gan_augment.machine import Precision
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe
from gan_augment.training.parts import Parts, Step, new_state
from gan_augment.training.schedule import MOST_BALANCING_STEPS

TIMING_SHARE = 0.1
"""Of a budget, what timing may take."""
PROBE_S = 3.0
ROW_PROBE_S = 0.2
"""Of a table, whose steps take milliseconds."""
LARGE_PX = 64
LARGE_MEASURED = (
    "a CNN told samples of 28 px after 5,110 steps from real ones in 66 of 100 cases, of 64 px "
    "after 2,000 steps in 97 (docs/photos.md)"
)
"""Of `recipes_compare.md` (Fashion-MNIST) and `images_rivals.md` (magnetic tiles)."""
WARM_UP_STEPS = 3
LEAST_PROBE_S = 0.2
LEAST_PART = 4
"""Rows of a batch that are timed in place of it."""
SMALLEST_RUN_STEPS = 20
SMALLEST_SIDE = 8
USEFUL_ROWS = 6400
"""Drawn by a run of fewer, an anchored generator is about where it began, at interpolation."""


def seconds_by_parts(
    work: Callable[[int], object], whole: int, within_s: float, least: int = 1
) -> float:
    """The seconds of `work(whole)`, timed within `within_s` by parts of it, each twice the last.

    The last two stand for the whole, as a line through both.
    """
    n, part_s = min(least, whole), list[float]()
    if n < whole:
        work(n)  # imports and kernels that are made once
    while True:
        began_s = time.monotonic()
        work(n)
        part_s.append(time.monotonic() - began_s)
        if n == whole:
            return part_s[-1]
        if sum(part_s) + 2 * part_s[-1] > within_s:
            more_s = part_s[-1] - part_s[-2] if len(part_s) > 1 else part_s[-1] / 2
            return part_s[-1] + max(0.0, more_s) * (whole - n) / (n / 2)
        n = min(2 * n, whole)


def step_seconds(parts: Parts, batches: Batches, probe_s: float) -> float:
    """Return the mean seconds of a step over a whole run, measured for `probe_s` seconds.

    A slow step is timed on a part of its batch. A step that has as many D steps as the
    game's balance asks for is timed with the most; WGAN's long ones that come again are a part of
    the mean, those that a run begins with are not (`opening_s`).
    """
    recipe, state = parts.recipe, new_state(parts, seed=0)
    steps_are_balanced = recipe.game.balance == "weight and steps"
    turns = MOST_BALANCING_STEPS if steps_are_balanced else recipe.d_steps
    state.progress = 1.0  # networks that grow are timed at their full side
    _ = state.generator_optimiser, state.discriminator_optimiser  # torch imports for seconds

    def seconds_each(step: Step, turns: int, least_s: float) -> float:
        def of_part(rows: int) -> None:
            part = batches.part(rows)
            step(state, parts, [part.at(0, state.step, turn) for turn in range(turns)])

        parts_s = max(least_s / 2, LEAST_PROBE_S)
        part_s = seconds_by_parts(of_part, recipe.batch, parts_s, LEAST_PART)
        if part_s * (WARM_UP_STEPS + 1) > least_s:
            return part_s
        started_s, done = time.monotonic(), -WARM_UP_STEPS
        while done < 1 or time.monotonic() - started_s < least_s:
            step(state, parts, [batches.at(0, state.step, turn) for turn in range(turns)])
            state.step += 1
            if parts.compute.device.type == "cuda":
                torch.cuda.synchronize()  # what is only begun takes no time
            done += 1
            if done == 0:
                started_s = time.monotonic()
        return (time.monotonic() - started_s) / done

    with machine.threads(parts.compute.threads):
        step_s = seconds_each(parts.step, turns, probe_s)
        step_s *= 1 + _long_step(recipe) / recipe.game.long_every
        if parts.first_step is None:
            return step_s
        share = parts.first_share
        return (1 - share) * step_s + share * seconds_each(parts.first_step, 1, probe_s / 2)


def opening_s(recipe: Recipe, step_s: float) -> float:
    """The seconds that the long D steps a run begins with (WGAN's) take, beside steps of `step_s`.

    >>> from gan_augment.recipes import RECIPES
    >>> wgan = RECIPES["image"]["wgan"]
    >>> round(opening_s(wgan, 0.6), 3), opening_s(RECIPES["image"]["free"], 0.6)
    (230.21, 0.0)
    """
    each = _long_step(recipe)
    return recipe.game.long_first * each / (1 + each / recipe.game.long_every) * step_s


def _long_step(recipe: Recipe) -> float:
    """How many plain steps a long one takes beside its own, a step of G counting as one of D."""
    longer = recipe.game.long_d_steps - recipe.d_steps if recipe.game.long_d_steps else 0
    return max(longer, 0) / (recipe.d_steps + 1)


def steps_within(
    budget_s: float, step_s: float, after_s: Callable[[int], float] = lambda _: 0
) -> int:
    """How many steps of `step_s` seconds a budget holds; at least 0.

    after_s: the seconds after so many steps, never fewer for more steps.

    >>> steps_within(100, 0.1), steps_within(100, 0.1, lambda steps: 30 * (steps > 500))
    (1000, 700)
    """
    most = range(max(0, int(budget_s / step_s)) + 1)
    return max(0, bisect_right(most, budget_s, key=lambda n: n * step_s + after_s(n)) - 1)


def check_useful(
    steps: int,
    budget_s: float,
    fixed_s: float,
    step_s: float,
    batch: int,
    progress: Progress,
    size: Sequence[int] = (),
) -> None:
    """Raise UsageError for a budget of under 20 steps, warn of one that is hardly of use, and of
    large images tell what others took.

    Both say which budget would do, and which image size. fixed_s: what a fit takes beside its steps
    of `step_s` seconds. size: (height, width) of images.
    """
    useful = max(SMALLEST_RUN_STEPS, USEFUL_ROWS // batch)
    what = f"a budget of {budget_s:g} s buys {steps} steps here"
    if steps >= useful:
        if size and max(size) >= LARGE_PX:
            progress.note(bought_in_words(steps, budget_s, size))
        return
    needed_s = fixed_s + useful * step_s
    cure = f"--budget {duration(1.1 * needed_s)} (budget_s=)"
    share = math.sqrt(budget_s / needed_s)  # the time goes by pixels
    smaller = "x".join(str(int(side * share) // 4 * 4) for side in size)
    if size and min(size) * share >= SMALLEST_SIDE:
        cure += f" would do, or --image-size {smaller} (image_size=)"
    else:
        cure += " would do"
    if steps < SMALLEST_RUN_STEPS:
        raise UsageError(f"{what}, and a run has {SMALLEST_RUN_STEPS} at least; {cure}")
    progress.warn(f"{what}, and fewer than {useful} are hardly of use; {cure}")


def bought_in_words(steps: int, budget_s: float, size: Sequence[int]) -> str:
    """Say how many steps of large images, (height, width) px, a budget buys, and what others took.

    >>> bought_in_words(400, 60.0, (48, 64))[:53]
    'a budget of 60 s buys 400 steps here, at 64 x 48 px; '
    """
    bought = f"a budget of {budget_s:g} s buys {steps} steps here"
    return f"{bought}, at {size[1]} x {size[0]} px; {LARGE_MEASURED}"


def duration(seconds: float) -> str:
    """Seconds, rounded up, as `--budget` reads them.

    >>> duration(42), duration(61), duration(200)
    ('50s', '70s', '4m')
    """
    return f"{10 * math.ceil(seconds / 10)}s" if seconds <= 90 else f"{math.ceil(seconds / 60)}m"


@dataclass(frozen=True)
class Forecast:
    """How long fits on data like this take, with one thread, before one is made.

    steps: of the recipe, or as requested. fixed_s: of any fit. step_s: of one more step.
    precision: of the fit; "auto" is the rule's.
    """

    steps: int
    fixed_s: float
    step_s: float
    precision: Precision = "auto"

    def seconds(self, steps: int | None = None) -> float:
        """Of one fit of so many steps; None is `steps`."""
        return self.fixed_s + (self.steps if steps is None else steps) * self.step_s

    def steps_within(self, budget_s: float) -> int:
        """How many steps a fit has time for; at least 20."""
        return max(SMALLEST_RUN_STEPS, steps_within(budget_s - self.fixed_s, self.step_s))
