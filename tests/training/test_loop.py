"""The loop: bit-equal resume, determinism, the best kept, rollback, stopping on a signal."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_augment.errors import DivergedError, ModelFileError
from gan_augment.recipes import ScheduleSettings
from gan_augment.training.callbacks import (
    HistoryFile,
    StopFlag,
    StopRequested,
    stop_on_signals,
)
from gan_augment.training.loop import one_step, train
from gan_augment.training.monitor import Best, Score, score_steps
from gan_augment.training.parts import load_network, load_state, network_arrays, state_arrays
from gan_augment.training.schedule import ema_decay, follow, rate_multiplier


class Told:
    def __init__(self) -> None:
        self.events = []

    def on_event(self, event) -> None:
        self.events.append(dict(event))

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["event"] == kind]


def equal(one, two) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(
    "changes", [{}, {"d_steps": 2, "generator_optimiser": {"name": "rmsprop"}}]
)
def test_ten_steps_are_five_and_save_and_load_and_five(toy_run, precision, changes):
    whole, first, second = (toy_run(10, precision=precision, **changes) for _ in range(3))
    for _ in range(10):
        one_step(whole)
    for _ in range(5):
        one_step(first)
    load_state(second.state, state_arrays(first.state))
    for _ in range(5):
        one_step(second)
    assert equal(state_arrays(whole.state), state_arrays(second.state))


def test_the_same_seed_gives_the_same_state_and_another_one_does_not(toy_run):
    runs = [toy_run(6, seed=seed) for seed in (0, 0, 1)]
    for run in runs:
        train(run)
    states = [state_arrays(run.state) for run in runs]
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_training_leaves_the_global_generators_as_they_were(toy_run):
    torch_before = torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    train(toy_run(4))
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert numpy_before == np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_scores_come_at_each_tenth_and_before_the_adversary_joins():
    assert score_steps(100, 16) == {10, 16, *range(20, 101, 10)}
    assert score_steps(3, 0) == {1, 2, 3}


def test_the_best_eligible_generator_is_kept_not_the_last(toy_run):
    run, told = toy_run(20), Told()
    values = iter([5.0, 3.0, 4.0, *[9.0] * 20])
    eligible = iter([True, False, *[True] * 20])

    class Scripted:
        def score(self, generator):
            return Score(next(values), {}, next(eligible))

    run.scorer, run.callbacks = Scripted(), [told]
    best = train(run)
    assert best.value == 4
    assert [event["best"] for event in told.of("score")][:4] == [True, False, True, False]
    assert not equal(best.arrays, network_arrays(run.state.average))


def test_a_not_finite_number_rolls_back_with_other_noise_and_half_the_rates(toy_run):
    run, told = toy_run(40), Told()
    run.callbacks = [told]
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
    (event,) = told.of("rollback")
    assert event["step"] <= 23 < event["failed_at"]
    assert run.state.retries == 1
    assert run.state.rate_scale == 0.5
    assert run.state.step == 40
    assert all(np.isfinite(value).all() for value in best.arrays.values())


def test_three_rollbacks_in_vain_end_the_run_with_the_best_kept(toy_run):
    run = toy_run(40)

    def broken(state, parts, batches):
        with torch.no_grad():
            next(state.discriminator.parameters()).fill_(float("inf"))
        return {"d_loss": torch.tensor(float("nan"))}

    saved = []
    run.save = lambda state, best: saved.append(state_arrays(state))
    run.parts = replace(run.parts, step=broken)
    with pytest.raises(DivergedError, match="3 rollbacks"):
        train(run)
    assert run.best.arrays
    for arrays in saved:
        assert all(np.isfinite(value).all() for value in arrays.values())


def test_a_signal_saves_and_leaves(toy_run):
    run, saved = toy_run(1000), []
    run.save = lambda state, best: saved.append(state.step)
    run.stop = StopFlag()
    told = Told()

    class Stopping:
        def on_event(self, event):
            if event["step"] >= 20:
                run.stop.signal = 15

    run.callbacks = [Stopping(), told]
    with pytest.raises(StopRequested) as stopped:
        train(run)
    assert stopped.value.signal == 15
    assert saved[-1] == run.state.step < 40
    assert told.events[-1]["event"] == "stop"


def test_handlers_come_back_after_a_run():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as flag:
        signal.raise_signal(signal.SIGTERM)
        assert flag.signal == signal.SIGTERM
        with pytest.raises(StopRequested):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_history_of_a_resumed_run_has_no_line_twice(tmp_path):
    path = tmp_path / "history.jsonl"
    history = HistoryFile(path)
    for step in (20, 40, 60):
        history.on_event({"event": "step", "step": step})
    path.write_text(path.read_text() + '{"event": "st')  # killed while writing
    HistoryFile(path).begin(40)
    steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
    assert steps == [20, 40]


def test_averaged_weights_work_from_the_first_step(toy_run):
    run = toy_run(10)
    one_step(run)
    arrays = [network_arrays(n) for n in (run.state.average, run.state.generator)]
    for name, value in arrays[0].items():
        np.testing.assert_allclose(value, arrays[1][name], atol=1e-3)


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
    ("name", "progress", "expected"),
    [
        ("constant", 0.9, 1),
        ("linear", 0.0, 1),
        ("linear", 1.0, 0.1),
        ("cosine", 0.5, 0.55),
        ("cosine", 1.0, 0.1),
    ],
)
def test_schedules_end_where_they_say(name, progress, expected):
    schedule = ScheduleSettings(name=name, end=0.1)
    assert rate_multiplier(schedule, progress) == pytest.approx(expected)


def test_warm_up_rises_from_0():
    schedule = ScheduleSettings(name="constant", warmup=0.2)
    assert [rate_multiplier(schedule, p) for p in (0, 0.1, 0.2, 0.5)] == [0, 0.5, 1, 1]


def test_weights_of_another_network_are_refused(toy_run):
    run, other = toy_run(), toy_run(generator={"code": 4, "width": 8})
    with pytest.raises(ModelFileError, match="shape"):
        load_network(run.state.generator, network_arrays(other.state.generator))
    with pytest.raises(ModelFileError, match="another network"):
        load_network(run.state.generator, network_arrays(run.state.discriminator))


def test_an_offer_that_is_not_better_is_refused(toy_run):
    best, state = Best(), toy_run().state
    assert best.offer(Score(1.0), state)
    assert not best.offer(Score(1.0), state)
    assert not best.offer(Score(0.5, eligible=False), state)
    assert not best.offer(Score(float("nan")), state)
