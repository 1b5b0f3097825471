"""The one training loop. Start here: it knows no images, no tables, no files, no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from gan_augment.data.batches import Batches
from gan_augment.distributed import World, world
from gan_augment.errors import DivergedError
from gan_augment.training.callbacks import Callback, StopFlag, StopRequested
from gan_augment.training.monitor import (
    COLLAPSE_SCORE,
    Best,
    Score,
    Scorer,
    all_finite,
    collapsed,
    score_steps,
)
from gan_augment.training.parts import (
    Arrays,
    Losses,
    Parts,
    TrainState,
    load_state,
    state_arrays,
)
from gan_augment.training.schedule import (
    d_steps_at,
    d_weight,
    ema_decay,
    follow,
    rate_multiplier,
)

OBSERVE_EVERY_STEPS = 20
ROLLBACKS_ALLOWED = 3


@dataclass
class Run:
    """One run: its parts, data, state, and who watches.

    world: the ranks that train it together; rank 0 scores, saves and tells.
    scorer: scores the averaged generator ten times in a run; without one the last one is kept.
    save(state, best): writes a checkpoint; called after each tenth of a run, when
    `checkpoint_due()` says so, and on a stop.
    last_good: where a rollback goes, the state after the last tenth that found nothing wrong.
    healthy: {class: its last good spread}, for `collapsed`.
    """

    parts: Parts
    batches: Batches
    state: TrainState
    steps: int
    scorer: Scorer | None = None
    callbacks: Sequence[Callback] = ()
    best: Best = field(default_factory=Best)
    save: Callable[[TrainState, Best], None] = lambda state, best: None
    checkpoint_due: Callable[[], bool] = lambda: False
    stop: StopFlag = field(default_factory=StopFlag)
    last_good: Arrays = field(default_factory=dict)
    healthy: dict[str, float] = field(default_factory=dict)
    world: World = field(default_factory=world)


def train(run: Run) -> Best:
    """Train, keep the best averaged generator, survive bad numbers and collapse.

    Raises StopRequested after saving when a signal came; DivergedError after three rollbacks
    in vain.
    """
    state = run.state
    due = score_steps(run.steps, run.parts.first_steps(run.steps))
    if state.step < run.steps:
        run.last_good = run.last_good or state_arrays(state)
    clock = _Clock(state.step)
    while state.step < run.steps:
        losses = one_step(run)
        scored = state.step in due
        observed = scored or state.step % OBSERVE_EVERY_STEPS == 0
        trouble = _observe(run, losses, clock, scored) if observed else None
        if trouble:
            _roll_back(run, *trouble)
            clock = _Clock(state.step)
            continue
        if scored:
            run.last_good, clock = state_arrays(state), _Clock(state.step)
        if scored or (observed and run.checkpoint_due()):
            run.save(state, run.best)
        heard = run.world.heard(run.stop.signal)
        if heard is not None and state.step < run.steps:
            _leave(run, losses, heard)
    return run.best


def one_step(run: Run) -> Losses:
    """Set the rates, draw, step D and G, average."""
    parts, state, recipe = run.parts, run.state, run.parts.recipe
    state.progress = state.step / run.steps
    _set_rates(state, parts, state.progress)
    first = parts.first_step if state.step < parts.first_steps(run.steps) else None
    accuracy = float(state.numbers["d_accuracy"]) if recipe.game.balanced else 0.5
    turns = 1 if first else d_steps_at(recipe, state.step, accuracy)
    batches = [
        run.batches.at(state.noise_seed, state.step, turn) for turn in reversed(range(turns))
    ]
    state.generator.train()
    losses = (first or parts.step)(state, parts, batches)
    scalars = [number for number in state.numbers.values() if number.ndim == 0]
    run.world.average([*losses.values(), *scalars])  # a pool stays with its rank
    follow(state.average, state.generator, ema_decay(state.step * recipe.batch, recipe.batch))
    state.step += 1
    return losses


def _set_rates(state: TrainState, parts: Parts, progress: float) -> None:
    recipe = parts.recipe
    factor = rate_multiplier(recipe.schedule, progress) * 0.5**state.retries
    balanced = 1.0
    if recipe.game.balanced:
        balanced = d_weight(float(state.numbers["d_accuracy"]))
    for optimiser, rate in (
        (state.generator_optimiser, recipe.generator_optimiser.rate),
        (state.discriminator_optimiser, recipe.discriminator_optimiser.rate * balanced),
    ):
        for group in optimiser.param_groups:
            group["lr"] = rate * factor


def _observe(run: Run, losses: Losses, clock: _Clock, scored: bool) -> tuple[str, str] | None:
    """Record the losses and the score; return what is wrong and what may cure it, or None."""
    if not all_finite(run.state, losses):
        cure = "Try --precision float32 (precision='float32') or lower rates."
        return "a loss or a weight was not a finite number", cure
    state, batch = run.state, run.parts.recipe.batch
    event: dict[str, object] = {"event": "step", "step": state.step, "images": state.step * batch}
    event |= {name: round(float(value), 6) for name, value in losses.items()}
    event["augment_probability"] = round(float(state.numbers["augment_probability"]), 4)
    event["images_per_s"] = round(clock.steps_per_s(state.step) * batch, 1)
    _tell(run, event)
    if not (scored and run.scorer):
        return None
    best, score = run.best.value, _score(run, run.scorer)
    lost = collapsed(score, run.healthy)
    if lost is None or score.value <= COLLAPSE_SCORE * max(best, 0.0):
        return None
    name, spread = lost
    reason = (
        f"class {name!r} lost its variety (its samples differ {spread:.2f} times as much as its "
        f"real rows do, {run.healthy[name]:.2f} times before)"
    )
    return reason, "Fewer steps, lower rates or more rows of the class may cure it."


def _score(run: Run, scorer: Scorer) -> Score:
    state, began_s = run.state, time.monotonic()
    score = Score(**run.world.first(lambda: asdict(scorer.score(state.average))))
    is_best = run.best.offer(score, state)
    _tell(
        run,
        {
            "event": "score",
            "step": state.step,
            "value": score.value,
            "parts": dict(score.parts),
            "eligible": score.eligible,
            "best": is_best,
            "seconds": round(time.monotonic() - began_s, 3),
        },
    )
    return score


def _roll_back(run: Run, reason: str, cure: str) -> None:
    """Back to the last good state with other noise and half the rates; three times at most."""
    state, failed_at, retries = run.state, run.state.step, run.state.retries + 1
    load_state(state, run.last_good)
    state.retries = retries
    event = {"step": state.step, "failed_at": failed_at, "reason": reason}
    if retries <= ROLLBACKS_ALLOWED:
        _tell(run, {"event": "rollback", "retries": retries, **event})
        return
    _tell(run, {"event": "stop", **event})
    raise DivergedError(
        f"training stopped at step {failed_at}, after {ROLLBACKS_ALLOWED} rollbacks with halved "
        f"rates: {reason}. The best scored generator, if there is one, is kept. {cure}"
    )


def _leave(run: Run, losses: Losses, signal: int) -> None:
    if all_finite(run.state, losses):
        run.save(run.state, run.best)
    _tell(run, {"event": "stop", "step": run.state.step, "reason": f"signal {signal}"})
    run.world.heard()  # whoever leaves first ends the others
    raise StopRequested(signal)


def _tell(run: Run, event: dict[str, object]) -> None:
    for callback in run.callbacks:
        callback.on_event(event)


class _Clock:
    """Steps a second since the last reading."""

    def __init__(self, step: int) -> None:
        self._step, self._time_s = step, time.monotonic()

    def steps_per_s(self, step: int) -> float:
        now_s = time.monotonic()
        rate = (step - self._step) / max(now_s - self._time_s, 1e-9)
        self._step, self._time_s = step, now_s
        return rate
