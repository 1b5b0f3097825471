"""A budget of an evaluation: planned again as units finish, kept, refused where nothing fits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gan_augment import TabularGAN
from gan_augment.errors import UsageError
from gan_augment.evaluation import schedule, start
from gan_augment.evaluation.plan import Costs, Plan, Setup
from gan_augment.evaluation.schedule import Pace, Task, run
from gan_augment.evaluation.start import evaluate
from gan_augment.generators.time_budget import Forecast
from gan_augment.progress import Progress
from gan_augment.storage.journal import Journal, Line
from tests.evaluation.drawn import Noisy, changed, options, table
from tests.evaluation.test_planning import undesigned

ASKED = options(learner="logistic", folds=5, n_jobs=1, diagnostics=False)
OUT = Path()


class Clock:
    """Time that goes by when a unit is done, `unit_s` seconds each."""

    def __init__(self, unit_s: float) -> None:
        self.now_s, self.unit_s, self.units = 0.0, unit_s, 0

    def __call__(self) -> float:
        return self.now_s

    def unit(self, kind: str, setup: Any, split: Any, name: Any, *more: Any) -> Line:
        """What the journal gets of a generator or a cell, after its time."""
        self.now_s, self.units = self.now_s + self.unit_s, self.units + 1
        about: dict[str, Any] = {"kind": kind, "repeat": split.repeat, "fold": split.fold}
        about |= {"error": None, "seconds": {"fit": self.unit_s}, "model": ""}
        if kind == "cell":
            return about | {"candidate": name.key}
        return about | {"level": name, "source": more[0]}


def paced(
    setup: Setup[Any], budget_s: float, unit_s: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[Setup[Any], Clock, Journal]:
    """The setup of what was judged of a plan that thought units would take a tenth of a second."""
    clock, journal = Clock(unit_s), Journal()
    monkeypatch.setattr(schedule, "run_cell", partial(clock.unit, "cell"))
    monkeypatch.setattr(schedule, "fit_generator", partial(clock.unit, "generator"))
    monkeypatch.setattr(schedule, "_lost", lambda line, folder: False)
    costs = Costs(0.02, Forecast(steps=10, fixed_s=0.0, step_s=0.01))
    plan = Plan(setup, 0.0, 1, (), costs)
    pace = Pace(plan, journal, budget_s, clock)
    return run(setup, journal, OUT, 1, Progress(), pace), clock, journal


@pytest.mark.parametrize("generator", [TabularGAN(steps=3), Noisy()])
@pytest.mark.parametrize("unit_s", [0.05, 0.5, 2.0, 4.0])
def test_a_budget_is_kept_however_wrong_the_plan_was(
    unit_s: float, generator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = replace(undesigned(changed(ASKED, curves=False)), generator=generator)
    judged, clock, _ = paced(setup, 120.0, unit_s, monkeypatch)
    assert clock.now_s <= 1.1 * 120
    assert len(judged.protocol.splits) >= 2
    assert {"none", "gan"} <= set(judged.arms)
    if unit_s == 0.05:
        assert judged.design == setup.design


def test_what_does_not_fit_is_left_out_in_the_order_of_the_plan_and_the_journal_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = undesigned(changed(ASKED, to=(0.5, 1.0)))
    judged, _, journal = paced(setup, 60.0, 1.0, monkeypatch)
    gone = judged.design.left_out
    assert gone[0].startswith("the curves of the share of generated rows")
    assert gone[1].startswith("smaller amounts of repeats and SMOTE")
    assert gone[2] == "2 of 3 repeats of the folds"
    assert journal.header is not None
    assert journal.header["planned"]["repeats"] == judged.design.repeats == 1


def test_folds_that_are_done_keep_their_arms_when_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = undesigned(changed(ASKED, to=(1.0,), curves=False, repeats=1))
    units = len(setup.candidates) + 4  # generators of a fold
    judged, clock, _ = paced(setup, 3.5 * units, 1.0, monkeypatch)
    assert len(judged.protocol.splits) == 3
    assert judged.arms == setup.arms
    assert judged.design.left_out[-1] == "1 of 4 folds: the time was up"
    assert clock.now_s <= 3.5 * units


def test_without_two_folds_there_is_no_verdict_unless_it_is_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = changed(ASKED, to=(1.0,), curves=False)
    with pytest.raises(UsageError, match="no two folds are judged"):
        paced(undesigned(asked), 10.0, 6.0, monkeypatch)
    forced = undesigned(changed(asked, force=True))
    judged, clock, _ = paced(forced, 10.0, 6.0, monkeypatch)
    assert len(judged.protocol.splits) == 2
    assert clock.units == 2 * (len(forced.candidates) + 4)  # no more than that


def test_a_budget_that_not_even_the_least_fits_into_is_refused_before_the_first_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "costs_of", lambda *_: Costs(1.0))
    monkeypatch.setattr(schedule, "run_cell", lambda *_: pytest.fail("a fit was begun"))
    asked = changed(ASKED, generator=Noisy(), budget_s=60.0)
    with pytest.raises(UsageError, match=r"--budget (\d+)m would do.*--force") as refused:
        evaluate(table(), asked)
    minutes = int(str(refused.value).split("--budget ")[1].split("m ")[0])
    started = start.prepare(table(), changed(asked, budget_s=60.0 * minutes))
    assert started.seconds <= 60 * minutes


@pytest.mark.slow
def test_a_verdict_says_on_how_many_folds_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, real = Clock(1.0), schedule.run_cell

    def cell(*args: Any) -> Line:
        clock.now_s += 1
        return {**real(*args), "seconds": {"fit": 1.0}}

    monkeypatch.setattr(schedule, "run_cell", cell)
    monkeypatch.setattr(start, "costs_of", lambda *_: Costs(0.01))
    monkeypatch.setattr(start, "Pace", lambda plan, journal, _: Pace(plan, journal, 17.5, clock))
    asked = changed(ASKED, generator=Noisy(), to=(1.0,), curves=False, repeats=1, folds=4)
    found = evaluate(table(), changed(asked, budget_s=22.0))
    assert found.sentence.endswith("It rests on 3 of 4 folds: the time was up.")
    assert "1 of 4 folds: the time was up" in found.to_dict()["protocol"]["left_out"]


def test_a_unit_without_its_generator_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, done = Journal(), list[str]()
    needs = (("generator", 0, 0, "g"),)
    waiting = Task(("cell", 0, 0, "gan@1"), lambda _: done.append("cell"), needs=needs)
    schedule._do(None, [waiting], journal, 1, Progress(), "fitting", None)
    assert not done
