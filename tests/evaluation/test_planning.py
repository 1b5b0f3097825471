"""The plan: how many fits there will be, and what a budget leaves out, in which order."""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import UsageError
from gan_augment.evaluation.arms import ON_TOP
from gan_augment.evaluation.learners import learner_of
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import OPTIONAL_ARMS, Costs, Design, Setup, designed
from gan_augment.evaluation.protocol import plan_protocol
from gan_augment.evaluation.start import evaluate, prepare
from gan_augment.generators.time_budget import Forecast
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, changed, digits, options, table

SHORT = options(learner="logistic", folds=2, repeats=1, n_jobs=1)
CURVES = "the curves of the share of generated rows and of real rows"
CHEAP = "smaller amounts of repeats and SMOTE than 1 of the majority"
AMOUNTS = "smaller amounts of the GAN's rows than 1 of the majority"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "least"),
    [
        (changed(SHORT, generator=Noisy(), arms="all", to=(0.5, 1.0)), 9),
        (changed(SHORT, generator=Noisy(), to=(0.1, 0.2, 1.0)), 7),  # two amounts add nothing
        (changed(SHORT, generator=Noisy(), to=(1.0,), curves=False, learner="neighbours"), 4),
        (changed(SHORT, generator=TabularGAN(), steps=2, arms=("permuted",), to=(1.0,)), 5),
    ],
)
def test_the_plan_counts_the_fits_that_the_journal_tells(
    asked: EvaluationOptions, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans, lines = [], []
    append = Journal.append
    monkeypatch.setattr(
        Journal, "append", lambda self, line: (lines.append(line), append(self, line))
    )
    evaluate(table(), asked, on_plan=plans.append)
    kinds = [line["kind"] for line in lines]
    assert kinds.count("cell") >= 2 * least
    assert plans[0].fits.learners == 4 * kinds.count("cell")
    assert plans[0].fits.generators == kinds.count("generator")


def test_amounts_that_add_nothing_are_not_planned() -> None:
    counts = {"common": 60, "rare": 28}
    asked = changed(SHORT, generator=Noisy(), classes=("rare",), to=(0.1, 0.4, 1.0), curves=False)
    found = prepare(table(counts), asked)
    gan = [c.key for c in found.setup.candidates if c.generated]
    assert gan == ["gan@1"]
    assert found.fits.learners == 2 * 4 * len(found.setup.candidates)


def planned(options: EvaluationOptions, costs: Costs) -> Design:
    """The design for data with splits, without fitting anything."""
    return designed(undesigned(options), costs, processes=1)


@functools.cache
def drawn_once(images: bool) -> Any:
    return digits() if images else table({"common": 60, "rare": 8})


def undesigned(options: EvaluationOptions) -> Setup[Any]:
    """The setup with the full design: of images where nobody named a learner of tables."""
    images = options.learner is None
    data: Any = drawn_once(images)
    rare = ("2",) if images else ("rare",)
    protocol = plan_protocol(data, rare, folds=options.folds, repeats=options.repeats)
    everything = Design(
        repeats=protocol.repeats,
        to=options.to,
        cheap_to=options.to,
        curves=options.curves,
        steps=options.fit.steps,
    )
    return Setup[Any](
        options=options,
        data=data,
        protocol=protocol,
        learner=learner_of(options.learner, data),
        generator=ImageGAN() if images else TabularGAN(),
        rare=rare,
        design=everything,
    )


COSTS = Costs(0.1, Forecast(steps=100, fixed_s=0.0, step_s=0.01))


def test_a_budget_leaves_out_in_the_documented_order_and_says_so() -> None:
    free = options(learner="logistic", folds=5, force=True)
    ladder = [planned(changed(free, budget_s=float(s)), COSTS) for s in np.geomspace(5000, 1, 200)]
    told = list(dict.fromkeys(design.left_out for design in ladder))
    repeats = [f"{n} of 3 repeats of the folds" for n in (1, 2)]
    over = "nothing more can be left out: it will take longer than the budget"
    assert told == [
        (),
        (CURVES,),
        (CURVES, CHEAP),
        (CURVES, CHEAP, repeats[0]),
        (CURVES, CHEAP, repeats[1]),
        (CURVES, CHEAP, repeats[1], AMOUNTS),
        (CURVES, CHEAP, repeats[1], AMOUNTS, over),
    ]
    last = ladder[-1]
    assert (last.repeats, last.to, last.cheap_to, last.curves) == (1, (1.0,), (1.0,), False)


def test_repeats_that_were_asked_for_are_not_left_out() -> None:
    tight = options(learner="logistic", folds=5, repeats=3, budget_s=1.0, force=True)
    tight = planned(tight, COSTS)
    assert tight.repeats == 3


def test_without_a_budget_nothing_is_left_out() -> None:
    assert planned(options(learner="logistic"), COSTS).left_out == ()


def test_the_time_of_a_gan_becomes_steps_once() -> None:
    asked = options(learner="logistic", gan_budget_s=0.5)
    steps = planned(asked, COSTS).steps
    assert steps == 50
    assert COSTS.generators is not None
    assert COSTS.generators.seconds(steps) == pytest.approx(0.5)
    assert COSTS.generators.seconds(0) == 0
    assert planned(changed(asked, steps=7), COSTS).steps == 7


OF_IMAGES = Costs(1.0, Forecast(steps=10_000, fixed_s=10.0, step_s=0.04))
CNN = options(learner=None, folds=3, repeats=1, force=True)


def test_inner_folds_of_images_are_carried_by_a_budget_for_all_steps_of_every_fit() -> None:
    least = next(
        s
        for s in range(0, 20000, 50)
        if planned(changed(CNN, budget_s=float(s + 1)), OF_IMAGES).inner
    )
    # 12 fits of 410 s, 22 arms and amounts four times, three diagnoses
    assert 12 * 410 + 4 * 22 * 3 < least < 1.3 * (12 * 410 + 4 * 22 * 3)
    carried = planned(changed(CNN, budget_s=float(least + 50)), OF_IMAGES)
    assert (carried.steps, carried.left_out, carried.to) == (10_000, (), CNN.to)
    without = planned(changed(CNN, budget_s=float(least - 50)), OF_IMAGES)
    assert (without.inner, without.to, without.cheap_to) == (False, (1.0,), (1.0,))
    assert without.left_out[0].startswith("inner folds: no amount is chosen (gan to parity)")
    assert planned(changed(CNN, steps=3), OF_IMAGES).inner is False  # nobody said there is time
    assert planned(changed(CNN, arms="auto", steps=3), OF_IMAGES).inner is True


def test_twenty_minutes_of_two_idle_cores_buy_a_long_tail_4000_steps_and_every_arm() -> None:
    """Fashion-MNIST, 500 rows of seven classes and 30 of three: seconds on an idle core."""
    costs = Costs(11.0, Forecast(steps=10_000, fixed_s=40.0, step_s=0.055))
    design = designed(undesigned(changed(CNN, budget_s=1200.0)), costs, processes=2)
    assert design.steps is not None
    assert design.steps >= 4000
    assert design.no_arms == ()


def test_every_gan_of_images_gets_its_steps_before_any_arm_that_nobody_named() -> None:
    seconds = [*np.geomspace(2000, 700, 20), *np.arange(700.0, 500, -3), *np.geomspace(500, 100, 9)]
    designs = [planned(changed(CNN, budget_s=s), OF_IMAGES) for s in seconds]
    kept = [d for d in designs if d.steps is not None and d.steps >= 4000]
    gone = [d.no_arms for d in kept]
    optional = OPTIONAL_ARMS[2:]  # permuted and plain have to be asked for
    assert [gone[0], gone[-1]] == [(), optional]
    assert all(more == less[: len(more)] for more, less in itertools.pairwise(gone))
    poor = [d for d in designs if d.steps is not None and d.steps < 4000]
    assert poor, "a budget of 100 s holds no three fits of 4,000 steps"
    assert {d.no_arms for d in poor} == {optional}
    assert poor[-1].steps == 1250  # (60 s - 10 s) / 0.04 s
    assert poor[-1].left_out[-1].startswith("nothing more can be left out")
    assert "which is worth judging from 4,000 on; a budget of" in poor[0].left_out[-1]
    idle = designed(undesigned(changed(CNN, budget_s=270.0)), OF_IMAGES, processes=2)
    assert set(idle.no_arms) == set(ON_TOP)  # a third fit leaves the second process idle
    named = changed(CNN, arms=("cmo", "smote"), budget_s=100.0)
    assert planned(named, OF_IMAGES).no_arms == ()


def test_images_of_a_recipe_that_trains_nothing_are_planned_within_the_budget_too() -> None:
    costs = Costs(4.0, Forecast(steps=0, fixed_s=2.0, step_s=0.0))
    full = planned(changed(CNN, budget_s=10_000.0), costs)
    assert (full.inner, full.curves, full.no_arms) == (True, True, ())
    for budget_s in (400.0, 100.0):
        asked = changed(CNN, budget_s=budget_s)
        design = planned(asked, costs)
        assert not design.inner
        assert costs.seconds(replace(undesigned(asked), design=design)) <= budget_s
    with pytest.raises(UsageError, match="has no room for the least that gives a verdict"):
        planned(changed(CNN, budget_s=20.0, force=False), costs)


def test_a_forecast_waits_for_generators_side_by_side_and_fits_the_rest_beside_them() -> None:
    asked = changed(CNN, arms=("mixup", "gan+mixup"), diagnostics=False, curves=False, steps=2250)
    setup = replace(undesigned(asked), design=planned(asked, OF_IMAGES))
    assert setup.fits == (3, 12, 6)  # none and mixup wait for no generator
    assert OF_IMAGES.seconds(setup, 1) == pytest.approx(3 * 100 + 12 * 1.25)
    assert OF_IMAGES.seconds(setup, 2) == pytest.approx(2 * 100 + 3 * 1.25)
    assert OF_IMAGES.seconds(setup, 3) == pytest.approx(100 + 6 * 1.25 / 3 + 2 * 1.25)


def test_a_design_comes_back_from_json() -> None:
    design = Design(
        repeats=3, to=(0.5, 1.0), cheap_to=(1.0,), curves=False, steps=None, left_out=("a", "b")
    )
    stored = json.loads(json.dumps(design.model_dump()))
    assert Design.model_validate(stored) == design
    del stored["inner"], stored["no_arms"]  # of a journal that an earlier version began
    assert Design.model_validate(stored) == design


def test_a_plan_is_told_in_lines_before_any_fit() -> None:
    told = prepare(table(), changed(SHORT, generator=Noisy(), to=(1.0,))).lines()
    assert told[0].startswith("plan: 2 folds x 1; 64 learner fits; about ")
    assert "none, class_weight, oversample, smote, gan, auto" in told[1]
    assert told[2].startswith("topped up: rare (16 rows)")


@pytest.mark.parametrize(("steps", "says"), [(None, "untrained"), (7, "7 steps each")])
def test_a_plan_says_how_long_generators_of_tables_train(steps: int | None, says: str) -> None:
    told = prepare(table(), changed(SHORT, steps=steps, to=(1.0,))).lines()
    assert f"8 generator fits ({says}), " in told[0]
