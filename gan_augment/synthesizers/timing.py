"""A time budget turned into steps, once, by a short timing probe on a throwaway state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gan_augment import devices
from gan_augment.data.batches import PairedBatches
from gan_augment.training.build import Parts
from gan_augment.training.monitor import SCORES_A_RUN, Scorer
from gan_augment.training.state import new_state
from gan_augment.training.step import adversarial_step, reconstruction_step

PROBE_S = 3.0
WARM_UP_STEPS = 3
SMALLEST_RUN_STEPS = 20


@dataclass(frozen=True)
class Pace:
    """How a budget is spent: steps, on so many torch threads, and why that number."""

    steps: int
    threads: int
    reason: str


def pace_for_budget(
    parts: Parts, batches: PairedBatches, scorer: Scorer, budget_s: float, may_choose: bool
) -> Pace:
    """How many steps fit into `budget_s` seconds, the scores of the run included.

    At least 20 steps. may_choose: one thread is timed as well and taken where it is faster: on a
    busy machine the threads of a step wait for each other (two on two busy cores ran ten times
    slower).
    """
    began_s, allowed = time.monotonic(), parts.machine.threads
    scorer.score(new_state(parts, seed=0).average)
    score_s = time.monotonic() - began_s
    speeds = {
        n: _step_s(parts, batches, n, min(PROBE_S, budget_s / 20))
        for n in sorted({allowed, 1} if may_choose else {allowed})
    }
    fastest = min(speeds, key=lambda n: speeds[n])
    left_s = budget_s - (SCORES_A_RUN + 1) * score_s - (time.monotonic() - began_s)
    steps = max(SMALLEST_RUN_STEPS, int(left_s / speeds[fastest]))
    timed = ", ".join(f"{parts.recipe.batch / speeds[n]:.0f} images/s with {n}" for n in speeds)
    return Pace(steps, fastest, f"threads {fastest}: {timed}")


def _step_s(parts: Parts, batches: PairedBatches, threads: int, probe_s: float) -> float:
    """Seconds of a step over a whole run, on so many threads."""
    recipe, state = parts.recipe, new_state(parts, seed=0)

    def adversarial() -> None:
        turns = [batches.at(0, state.step, turn) for turn in range(recipe.d_steps)]
        adversarial_step(state, parts, turns)
        state.step += 1

    def alone() -> None:
        reconstruction_step(state, parts, [batches.at(0, state.step)])
        state.step += 1

    share = recipe.objective.reconstruct_only if parts.anchored else 0.0
    with devices.threads(threads):
        step_s = _seconds_each(adversarial, probe_s)
        if share:
            step_s = (1 - share) * step_s + share * _seconds_each(alone, probe_s / 2)
    return step_s


def _seconds_each(step: Callable[[], None], least_s: float) -> float:
    """The mean time of one step, unit: seconds, after a warm-up."""
    for _ in range(WARM_UP_STEPS):
        step()
    start_s, done = time.monotonic(), 0
    while done < WARM_UP_STEPS or time.monotonic() - start_s < least_s:
        step()
        done += 1
    return (time.monotonic() - start_s) / done
