"""Successive halving: who survives, what a tie does, what a budget holds, what is held out."""

import re

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import DataError, DivergedError, UsageError
from gan_augment.generators import choose
from gan_augment.generators.choose import Plan, Task, aligned, choose_recipe, halve, held_out
from gan_augment.generators.generator import RunContext
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.generators.time_budget import Forecast
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES

SCORES = {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2, "e": 0.1}


def halved(scores=SCORES, noise=0.0, slow=(), progress=None, **plan):
    """The result of rounds whose scores are known, a noise between the seeds added."""

    def fit(name, steps, seed):
        score = scores[name]
        score = None if score is None else score + noise * (seed - 0.5)
        return {"recipe": name, "steps": steps, "seed": seed, "score": score, "seconds": 1.0}

    speeds = {name: Forecast(100, 0.5, 0.02 if name in slow else 0.01) for name in scores}
    return halve(Plan(speeds, 0.1, **{"most": 400, **plan}), fit, progress or Progress())


def table(counts: dict[str, int], groups=None) -> Labelled:
    rng, n = np.random.default_rng(0), sum(counts.values())
    labels = np.repeat(np.arange(len(counts)), [*counts.values()])
    frame = pd.DataFrame(rng.normal(size=(n, 2)) + labels[:, None], columns=["x", "y"])
    ids = np.array([f"row-{i}" for i in range(n)])
    return TABLE.of(frame, labels, ids, groups, class_names=tuple(counts))


def test_the_better_half_survives_with_twice_the_steps_and_two_seeds_at_the_end():
    found = halved()
    assert [len(one["recipes"]) for one in found["rounds"]] == [5, 3, 2]
    assert [one["steps"] for one in found["rounds"]] == [100, 200, 400]
    assert found["rounds"][-1]["recipes"] == ["e", "d"]
    assert (found["winner"], found["tied"]) == ("e", ["e"])
    assert [one["seeds"] for one in found["rounds"]] == [1, 2, 2]
    assert len(found["trials"]) == 5 + 6 + 4


def test_the_live_table_has_scores_by_round_and_survivors_first():
    shown = []

    class Listener(Progress):
        def advance(self, done: int, text: str = "") -> None:
            shown.append(text)

    found = halved(progress=Listener())
    assert found["table"][0] == ["recipe", "ms a step", "100 steps", "200 steps", "400 steps"]
    assert {row[0] for row in found["table"][1:3]} == {"d", "e"}
    assert found["table"][-1][3:] == ["", ""]
    news, *table = shown[-1].splitlines()
    assert news == "d, 400 steps, seed 1: score 0.2 in 1.0 s"
    assert table == aligned(found["table"])


def test_within_noise_the_cheapest_wins_and_that_is_said():
    found = halved(noise=0.3, slow="e")
    assert found["tied"] == ["e", "d"]
    assert found["winner"] == "d"
    assert "within noise" in found["why"]


def test_a_round_that_would_have_no_more_steps_is_left_out_and_the_reason_is_named():
    class Listener(Progress):
        told = ""

        def warn(self, text: str) -> None:
            self.told = text

    listener = Listener()
    found = halved(most=20, progress=listener)
    assert len(found["rounds"]) == 1
    assert listener.told == "steps are too few for the last round: those so far decide"


def test_one_seed_each_tells_no_noise_and_that_is_said():
    found = halved({"a": 1.0, "b": 2.0, "c": 3.0}, left_s=2.0)
    assert {one["seed"] for one in found["trials"]} == {0}
    assert "noise is unknown" in found["why"]


def test_a_rival_that_diverged_at_last_is_named_instead_of_a_distance():
    assert halved({"a": 1.0, "b": None})["why"] == "b diverged in the last round, a did not"


def test_no_trial_has_more_steps_than_its_recipe(monkeypatch):
    steps = []

    def fit(gan, data, run, **how):
        steps.append((gan.recipe.name, gan.steps))
        return gan

    speed = Forecast(600, 0.0, 0.001)
    monkeypatch.setattr(TabularGAN, "forecast", lambda *_: speed)
    monkeypatch.setattr(TabularGAN, "fit", fit)
    short = RECIPES["table"]["free"].model_copy(update={"steps": 30})
    recipes = {"anchored": RECIPES["table"]["anchored"], "free": short}
    gan, data = TabularGAN(device="cpu", threads=1), table({"common": 80, "rare": 20})
    task = Task(prototype=gan, data=data, recipes=recipes, run=RunContext(), most=600)
    choose_recipe(task, lambda train, held: lambda gan, seed: 0.0)
    assert set(steps[1:]) == {("anchored", 600), ("free", 30)}


def test_a_recipe_that_diverged_is_out_and_nothing_else_is_an_error():
    assert "e" not in halved({**SCORES, "e": None})["rounds"][1]["recipes"]
    with pytest.raises(DivergedError, match="every recipe"):
        halved(dict.fromkeys("abc"))


def test_a_budget_is_planned_again_by_what_trials_took():
    plan = Plan({"a": Forecast(9, 0.0, 0.1), "b": Forecast(9, 0.0, 0.1)}, 0.0, 10_000, 100.0)
    assert plan.steps("ab", [2]) == 250  # two seeds of two recipes
    plan.learn([{"recipe": "a", "steps": 100, "seconds": 20.0}])
    assert plan.steps("ab", [2]) == 100  # 80 s are left, and a step takes twice as long


def test_where_the_budget_is_spent_second_seeds_and_rounds_are_left_out():
    found = halved({"a": 1.0, "b": 2.0, "c": 3.0}, left_s=3.5)
    assert [(one["recipe"], one["seed"]) for one in found["trials"]][3:] == [("a", 1)]
    assert (found["winner"], [one["steps"] for one in found["rounds"]]) == ("a", [20])


def task_of(recipes: int, budget_s: float, share: float = 1.0) -> Task:
    return Task(
        prototype=TabularGAN(),
        data=table({"common": 8, "rare": 2}),
        recipes=dict(list(RECIPES["table"].items())[:recipes]),
        run=RunContext(),
        most=4000,
        budget_s=budget_s,
        share=share,
    )


def check(task: Task) -> None:
    speeds = dict.fromkeys(task.recipes, Forecast(9, 1.0, 0.1))
    Plan(speeds, 0.1, 4000, task.budget_s, share=task.share).check(task)


def test_a_refused_budget_is_the_users_and_one_that_would_do_is_named():
    with pytest.raises(UsageError, match=r"--budget .* or --recipes gaussian,anchored"):
        check(task_of(6, 20.0))
    with pytest.raises(UsageError, match="a budget of 8 s") as whole:
        check(task_of(2, 8.0))
    with pytest.raises(UsageError, match="a budget of 16 s") as half:
        check(task_of(2, 8.0, share=0.5))
    needed = [int(re.search(r"--budget (\d+)s", str(one.value))[1]) for one in (whole, half)]
    assert needed[1] == pytest.approx(2 * needed[0], abs=10)


def test_a_quarter_of_each_class_is_held_out_and_groups_stay_whole():
    groups = np.repeat(np.arange(60), 2)
    train, held = held_out(table({"common": 80, "rare": 40}, groups), ("rare",), 0)
    assert held.counts == {"common": 20, "rare": 10}
    assert not set(train.groups) & set(held.groups)


def test_too_few_rows_to_hold_out_are_refused():
    with pytest.raises(DataError, match=r"5 rows of 'rare' are too few .* Add rows up to 8"):
        held_out(table({"common": 80, "rare": 5}), ("rare",), 0)


@pytest.mark.slow
def test_a_generator_that_chooses_keeps_the_recipe_of_the_winner(monkeypatch):
    monkeypatch.setattr(TabularGAN, "forecast", lambda *_: Forecast(4, 0.1, 0.01))
    monkeypatch.setattr(choose, "SMALLEST_RUN_STEPS", 2)
    gan = TabularGAN(recipe="choose", steps=4, device="cpu", threads=1)
    gan.fit(table({"common": 80, "rare": 20}))
    assert gan.recipe == "choose"
    assert gan.meta_.recipe.name in RECIPES["table"]
    assert gan.sample({"rare": 3}).counts["rare"] == 3
