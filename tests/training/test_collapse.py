"""A class that loses its variety sends a run back; one that never had any does not."""

from __future__ import annotations

import numpy as np
import pytest

from gan_augment.errors import DivergedError
from gan_augment.training.loop import train
from gan_augment.training.monitor import Score, SpreadWatch
from gan_augment.training.parts import state_arrays


class Told:
    def __init__(self) -> None:
        self.events = []

    def on_event(self, event) -> None:
        self.events.append(dict(event))

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["event"] == kind]


class Spreads:
    """A scorer that says, score after score, how varied the class 'crack' is; lower is better."""

    def __init__(self, *spreads: float) -> None:
        self.left = list(spreads)
        self.value = 100.0

    def score(self, generator) -> Score:
        spread = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        self.value -= 1
        return Score(self.value, eligible=spread >= 0.3, spread={"crack": spread, "dent": 0.8})


def watched(toy_run, *spreads: float):
    run, told = toy_run(50, objective={"reconstruct_only": 0.0}), Told()  # scores at 5, 10, ...
    run.scorer, run.callbacks = Spreads(*spreads), [told]
    return run, told


def test_a_class_that_loses_its_variety_sends_the_run_back_to_the_last_good_score(toy_run):
    run, told = watched(toy_run, 0.7, 0.9, 0.2, 0.8)
    saved = []
    run.save = lambda state, best: saved.append(state.step)
    train(run)
    (event,) = told.of("rollback")
    assert (event["failed_at"], event["step"], event["retries"]) == (15, 10, 1)
    assert event["reason"] == (
        "class 'crack' lost its variety (its samples differ 0.20 times as much as its real rows "
        "do, 0.90 times before)"
    )
    assert run.state.step == 50
    assert run.state.rate_scale == 0.5
    assert saved == list(range(5, 55, 5))  # each once: the collapsed state of step 15 never


def test_a_generator_that_never_had_variety_is_not_sent_back(toy_run):
    run, told = watched(toy_run, 0.1, 0.2, 0.4, 0.2, 0.1)
    train(run)
    assert not told.of("rollback")
    assert run.state.retries == 0


def test_a_class_that_keeps_collapsing_stops_the_run_with_the_best_kept(toy_run):
    run, told = watched(toy_run, 0.7, 0.9, 0.1)
    with pytest.raises(DivergedError, match=r"step 15.*3 rollbacks.*'crack'.*0.10.*0.90"):
        train(run)
    assert [event["retries"] for event in told.of("rollback")] == [1, 2, 3]
    (stop,) = told.of("stop")
    assert "'crack'" in stop["reason"]
    assert run.best.step == 10
    assert run.best.arrays


def test_collapses_and_numbers_that_are_not_finite_share_the_three_rollbacks(toy_run):
    run, told = watched(toy_run, 0.7, 0.9, 0.1)
    run.state.retries = 2
    with pytest.raises(DivergedError):
        train(run)
    assert [event["retries"] for event in told.of("rollback")] == [3]


def test_of_several_lost_classes_the_worst_is_named():
    watch = SpreadWatch()
    assert watch.collapsed(Score(1.0, spread={"a": 0.9, "b": 0.6, "c": 0.1})) is None
    assert watch.collapsed(Score(1.0, spread={"a": 0.2, "b": 0.1, "c": 0.0})) == ("b", 0.1)
    assert watch.healthy == {"a": 0.9, "b": 0.6}


def test_the_rolled_back_run_draws_other_noise(toy_run):
    plain, _ = watched(toy_run, 0.9)
    back, _ = watched(toy_run, 0.9, 0.2, 0.9)
    train(plain)
    train(back)
    one, other = state_arrays(plain.state), state_arrays(back.state)
    assert any(not np.array_equal(one[k], other[k]) for k in one if k.startswith("generator/"))
