"""A time budget turned into steps, once, by a short timing probe on a throwaway state."""

from __future__ import annotations

import time
from collections.abc import Callable

from gan_augment.data.batches import PairedBatches
from gan_augment.training.build import Parts
from gan_augment.training.monitor import SCORES_A_RUN
from gan_augment.training.state import new_state
from gan_augment.training.step import adversarial_step, reconstruction_step

PROBE_S = 3.0
WARM_UP_STEPS = 3
SMALLEST_RUN_STEPS = 20


def steps_for_budget(parts: Parts, batches: PairedBatches, budget_s: float, score_s: float) -> int:
    """How many steps fit into `budget_s` seconds with scores of `score_s` each; at least 20."""
    recipe, state = parts.recipe, new_state(parts, seed=0)
    probe_s = min(PROBE_S, budget_s / 20)

    def adversarial() -> None:
        turns = [batches.at(0, state.step, turn) for turn in range(recipe.d_steps)]
        adversarial_step(state, parts, turns)
        state.step += 1

    def alone() -> None:
        reconstruction_step(state, parts, [batches.at(0, state.step)])
        state.step += 1

    step_s = _seconds_each(adversarial, probe_s)
    share = recipe.objective.reconstruct_only if parts.anchored else 0.0
    if share:
        step_s = (1 - share) * step_s + share * _seconds_each(alone, probe_s / 2)
    left_s = budget_s - (SCORES_A_RUN + 1) * score_s - 2 * probe_s
    return max(SMALLEST_RUN_STEPS, int(left_s / step_s))


def _seconds_each(step: Callable[[], None], least_s: float) -> float:
    """The mean time of one step, unit: seconds, after a warm-up."""
    for _ in range(WARM_UP_STEPS):
        step()
    start_s, done = time.monotonic(), 0
    while done < WARM_UP_STEPS or time.monotonic() - start_s < least_s:
        step()
        done += 1
    return (time.monotonic() - start_s) / done
