"""The loop: bit-equal resume, determinism, the best kept, rollback, collapse, a stop by signal."""

from __future__ import annotations

import copy
import json
import signal
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_runs import Events

from gan_augment.errors import DivergedError, ModelFileError
from gan_augment.recipes import ScheduleSettings
from gan_augment.training.callbacks import (
    HistoryFile,
    StopFlag,
    StopRequested,
    stop_on_signals,
)
from gan_augment.training.loop import one_step, train
from gan_augment.training.monitor import Score
from gan_augment.training.parts import load_network, load_state, network_arrays, state_arrays
from gan_augment.training.schedule import ema_decay, follow, rate_multiplier


def equal(one, two) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


MIXED = {"d_steps": 2, "generator_optimiser": {"name": "rmsprop"}}


def resumed(new_run) -> dict[str, np.ndarray]:
    """Ten steps, which five steps, a load of their state and five more repeat bit for bit."""
    whole, first, second = (new_run() for _ in range(3))
    for _ in range(10):
        one_step(whole)
    for _ in range(5):
        one_step(first)
    load_state(second.state, state_arrays(first.state))
    for _ in range(5):
        one_step(second)
    arrays = state_arrays(whole.state)
    assert equal(arrays, state_arrays(second.state))
    return arrays


@pytest.mark.parametrize("changes", [{}, MIXED])
def test_ten_steps_are_five_and_save_and_load_and_five(any_run, changes):
    assert resumed(lambda: any_run(10, **changes))


def test_a_run_in_bf16_goes_on_bit_for_bit_too(toy_run):
    assert resumed(lambda: toy_run(10, precision="bf16", **MIXED))


def test_the_same_seed_gives_the_same_state_and_another_one_does_not(any_run):
    runs = [any_run(6, seed=seed) for seed in (0, 0, 1)]
    for run in runs:
        train(run)
    states = [state_arrays(run.state) for run in runs]
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_training_leaves_the_global_generators_as_they_were(any_run):
    torch_before = torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    train(any_run(4))
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert numpy_before == np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_the_best_eligible_generator_is_kept_not_the_last(toy_run):
    run, events = toy_run(20), Events()
    run.scorer, run.callbacks = Values(5.0, 3.0, 4.0, *[9.0] * 20, ineligible=(3.0,)), [events]
    best = train(run)
    assert best.value == 4
    assert [event["best"] for event in events.of("score")][:4] == [True, False, True, False]
    assert not equal(best.arrays, network_arrays(run.state.average))


def test_a_not_finite_number_rolls_back_with_other_noise_and_half_the_rates(any_run):
    run, events = any_run(40), Events()
    run.callbacks = [events]
    real, poisoned = run.parts.step, []

    def poison(state, parts, batches):
        losses = real(state, parts, batches)
        if state.step == 23 and not poisoned:
            poisoned.append(True)
            with torch.no_grad():
                next(state.generator.parameters()).fill_(float("nan"))
        return losses

    run.parts = replace(run.parts, step=poison)
    best = train(run)
    (event,) = events.of("rollback")
    assert event["step"] <= 23 < event["failed_at"]
    assert run.state.retries == 1
    rate = run.parts.recipe.generator_optimiser.rate
    assert run.state.generator_optimiser.param_groups[0]["lr"] <= rate / 2
    assert run.state.step == 40
    assert all(np.isfinite(value).all() for value in best.arrays.values())


def test_three_rollbacks_in_vain_end_the_run_with_the_best_kept(toy_run):
    run, saved = toy_run(40), []

    def broken(state, parts, batches):
        with torch.no_grad():
            next(state.discriminator.parameters()).fill_(float("inf"))
        return {"d_loss": torch.tensor(float("nan"))}

    run.save = lambda state, best: saved.append(state_arrays(state))
    run.parts = replace(run.parts, step=broken)
    with pytest.raises(DivergedError, match="3 rollbacks"):
        train(run)
    assert run.best.arrays
    assert all(np.isfinite(value).all() for arrays in saved for value in arrays.values())


def test_a_signal_saves_and_leaves(toy_run):
    run, saved, events = toy_run(1000), [], Events()
    run.save = lambda state, best: saved.append(state.step)
    run.stop = StopFlag()
    run.callbacks = [SignalAt(run.stop, 20), events]
    with pytest.raises(StopRequested) as stopped:
        train(run)
    assert stopped.value.signal == 15
    assert saved[-1] == run.state.step < 40
    assert events[-1]["event"] == "stop"


def test_a_signal_waits_for_the_end_of_a_step_and_a_second_one_or_one_outside_does_not():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as flag, suppress(StopRequested), flag.hold():
        signal.raise_signal(signal.SIGTERM)
        assert flag.signal == signal.SIGTERM
        with pytest.raises(StopRequested):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
    with stop_on_signals(), pytest.raises(StopRequested):
        signal.raise_signal(signal.SIGINT)
    with stop_on_signals() as flag, pytest.raises(StopRequested), flag.hold():  # in the last step
        signal.raise_signal(signal.SIGINT)


def test_the_history_of_a_resumed_run_has_no_line_twice(tmp_path):
    path = tmp_path / "history.jsonl"
    history = HistoryFile(path)
    for step in (20, 40, 60):
        history.on_event({"event": "step", "step": step})
    path.write_text(path.read_text() + '{"event": "st')  # killed while writing
    HistoryFile(path).begin(40)
    steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
    assert steps == [20, 40]


def test_the_average_halves_its_distance_in_its_half_life():
    layer = torch.nn.BatchNorm1d(1)
    average = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight.fill_(9.0)
        layer.running_mean.fill_(8.0)
        layer.num_batches_tracked.fill_(7)
    for _ in range(100):
        follow(average, layer, ema_decay(10**9, 100))
    assert average.weight.item() == pytest.approx(5)
    assert average.running_mean.item() == pytest.approx(4)
    assert average.num_batches_tracked.item() == 7


@pytest.mark.parametrize(
    ("schedule", "expected"),  # at these shares of a run
    [
        ({"name": "constant"}, [1, 1, 1, 1]),
        ({"name": "linear"}, [1, 0.5, 0.25, 0]),
        ({"name": "cosine"}, [1, 0.5, 0.1464, 0]),
        ({"name": "linear", "hold": 0.5}, [1, 1, 0.5, 0]),
    ],
)
def test_rates_follow_their_schedule(schedule, expected):
    rates = [rate_multiplier(ScheduleSettings(**schedule), share) for share in (0, 0.5, 0.75, 1)]
    assert rates == pytest.approx(expected, abs=1e-4)


def test_weights_of_another_network_are_refused(toy_run):
    run, other = toy_run(), toy_run(generator={"code": 4, "width": 8})
    with pytest.raises(ModelFileError, match="another network"):
        load_network(run.state.generator, network_arrays(other.state.generator))
    with pytest.raises(ModelFileError, match="another network"):
        load_network(run.state.generator, network_arrays(run.state.discriminator))


# a class that loses its variety


class Spreads:
    """A scorer with the given spreads of the class 'crack', one per score.

    Scores keep falling, but for `collapsed` times the last one where the spread is below .3.
    """

    def __init__(self, *spreads: float, collapsed: float = 2.1) -> None:
        self.left, self.collapsed, self.value = list(spreads), collapsed, 100.0

    def score(self, generator) -> Score:
        spread = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        low = spread < 0.3
        value = self.collapsed * self.value if low else self.value - 1
        self.value = self.value if low else value
        return Score(value, eligible=not low, spread={"crack": spread, "dent": 0.8})


def watched(toy_run, *spreads: float, **scores: float):
    run, events = toy_run(50, objective={"reconstruct_only": 0.0}), Events()  # scores at 5, 10, ...
    run.scorer, run.callbacks = Spreads(*spreads, **scores), [events]
    return run, events


def test_a_class_that_loses_its_variety_sends_the_run_back_to_the_last_good_score(toy_run):
    run, events = watched(toy_run, 0.7, 0.9, 0.2, 0.8)
    saved = []
    run.save = lambda state, best: saved.append(state.step)
    train(run)
    (event,) = events.of("rollback")
    assert (event["failed_at"], event["step"], event["retries"]) == (15, 10, 1)
    assert all(word in event["reason"] for word in ("'crack'", "0.20", "0.90"))
    assert (run.state.step, run.state.retries) == (50, 1)
    assert saved == list(range(5, 55, 5))  # each once: the collapsed state of step 15 never


@pytest.mark.parametrize(
    ("spreads", "worse"), [((0.1, 0.2, 0.4, 0.2, 0.1), 2.1), ((0.7, 0.2, 0.1), 1.9)]
)
def test_low_variety_from_the_start_or_with_a_good_score_is_no_collapse(toy_run, spreads, worse):
    run, events = watched(toy_run, *spreads, collapsed=worse)
    train(run)
    assert (events.of("rollback"), run.state.retries) == ([], 0)


@pytest.mark.parametrize(("before", "retries"), [(0, [1, 2, 3]), (2, [3])])  # other rollbacks count
def test_a_class_that_keeps_collapsing_stops_the_run_with_the_best_kept(toy_run, before, retries):
    run, events = watched(toy_run, 0.7, 0.9, 0.1)
    run.state.retries = before
    with pytest.raises(DivergedError, match=r"step 15.*3 rollbacks.*'crack'.*0.10.*0.90"):
        train(run)
    assert [event["retries"] for event in events.of("rollback")] == retries
    assert "'crack'" in events.of("stop")[0]["reason"]
    assert run.best.step == 10


# a run that ends before its last step


class SignalAt:
    """A callback that sets the flag of a signal at a step."""

    def __init__(self, flag: StopFlag, step: int) -> None:
        self.flag, self.step = flag, step

    def on_event(self, event) -> None:
        if event["step"] >= self.step:
            self.flag.signal = 15


class Values:
    """A scorer that gives these values, one after the other; all but `ineligible` may be kept."""

    def __init__(self, *values: float, ineligible: tuple[float, ...] = ()) -> None:
        self.left, self.ineligible = list(values), ineligible

    def score(self, generator) -> Score:
        value = self.left.pop(0)
        return Score(value, eligible=value not in self.ineligible)
