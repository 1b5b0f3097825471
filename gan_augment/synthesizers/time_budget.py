"""Time budgets: a step timed on a throwaway state, a budget as steps, the forecast of a fit."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gan_augment import devices
from gan_augment.data.batches import Batches
from gan_augment.training.parts import Parts, Step, new_state

PROBE_S = 3.0
ROW_PROBE_S = 0.2
"""Of a table, whose steps take milliseconds."""
WARM_UP_STEPS = 3
SMALLEST_RUN_STEPS = 20


def thread_speeds(
    parts: Parts, batches: Batches, probe_s: float, may_choose: bool
) -> dict[int, float]:
    """The seconds of a step by the number of torch threads, as far as more of them are faster.

    may_choose: fewer threads than `parts` has are timed as well: on a busy machine the threads of a
    step wait for each other (two on two busy cores ran ten times slower than one).
    """
    allowed, speeds = parts.compute.threads, {}
    doubled = [2**k for k in range(allowed.bit_length()) if 2**k < allowed]
    for n in [*doubled, allowed] if may_choose else [allowed]:
        speeds[n] = step_seconds(parts, batches, n, probe_s)
        if speeds[n] > 1.1 * min(speeds.values()):
            break  # more threads were slower already
    return speeds


def step_seconds(parts: Parts, batches: Batches, threads: int, probe_s: float) -> float:
    """The mean time of a step over a whole run, on so many threads, tried for `probe_s` seconds."""
    recipe, state = parts.recipe, new_state(parts, seed=0)

    def seconds_each(step: Step, turns: int, least_s: float) -> float:
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

    with devices.threads(threads):
        step_s = seconds_each(parts.step, recipe.d_steps, probe_s)
        if parts.first_step is None:
            return step_s
        share = parts.first_share
        return (1 - share) * step_s + share * seconds_each(parts.first_step, 1, probe_s / 2)


def steps_within(
    budget_s: float, step_s: float, after_s: Callable[[int], float] = lambda _: 0
) -> int:
    """How many steps of `step_s` seconds a budget holds; at least 20.

    after_s: the seconds after so many steps, never fewer for more steps.

    >>> steps_within(100, 0.1), steps_within(100, 0.1, lambda steps: 30 * (steps > 500))
    (1000, 700)
    """
    most = range(int(budget_s / step_s) + 1)
    steps = bisect_right(most, budget_s, key=lambda n: n * step_s + after_s(n)) - 1
    return max(SMALLEST_RUN_STEPS, steps)


@dataclass(frozen=True)
class Forecast:
    """How long fits on data like this take, with one thread, before one is made.

    steps: of the recipe, or as requested. fixed_s: of any fit. step_s: of one more step.
    """

    steps: int
    fixed_s: float
    step_s: float

    def seconds(self, steps: int | None = None) -> float:
        """Of one fit of so many steps; None is `steps`."""
        return self.fixed_s + (self.steps if steps is None else steps) * self.step_s

    def steps_within(self, budget_s: float) -> int:
        """How many steps a fit has time for; at least 20."""
        return steps_within(budget_s - self.fixed_s, self.step_s)
