"""Successive halving: who survives, what a tie does, what is held out; budgets of a fit."""

import re

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import DataError, DivergedError, UsageError
from gan_augment.generators import choose
from gan_augment.generators.choose import Task, choose_recipe, first_steps, halve, held_out
from gan_augment.generators.generator import RunContext
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.generators.time_budget import Forecast, check_useful
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES

SCORES = {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2, "e": 0.1}


def halved(scores=SCORES, noise=0.0, slow=(), late=lambda: False):
    """The result of rounds whose scores are known, a noise between the seeds added."""

    def fit(name, steps, seed):
        score = scores[name]
        score = None if score is None else score + noise * (seed - 0.5)
        return {"recipe": name, "steps": steps, "seed": seed, "score": score, "seconds": 1.0}

    step_ms = {name: 20 if name in slow else 10 for name in scores}
    return halve(step_ms, 100, fit, Progress(), late)


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


def test_within_noise_the_cheapest_wins_and_that_is_said():
    found = halved(noise=0.3, slow="e")
    assert found["tied"] == ["e", "d"]
    assert found["winner"] == "d"
    assert "within noise" in found["why"]


def test_a_rival_that_diverged_at_last_is_named_instead_of_a_distance():
    assert halved({"a": 1.0, "b": None})["why"] == "b diverged in the last round, a did not"


def test_where_the_time_is_out_the_rounds_so_far_decide():
    found = halved({"a": 1.0, "b": 2.0, "c": 3.0}, late=lambda: True)
    assert [(one["recipe"], one["seed"]) for one in found["trials"]] == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
    ]
    assert (found["winner"], [one["steps"] for one in found["rounds"]]) == ("a", [100])


def test_the_first_round_has_as_many_steps_as_the_budget_holds():
    speeds = [Forecast(9, 1.0, 0.1)] * 3
    # rounds of 3 and 2 recipes with two seeds, each score .5 s: 15 s, and 1.4 s for each step
    steps, fixed_s, step_s = first_steps(speeds, 0.5, 10_000, 155.7)
    assert (steps, fixed_s, step_s) == (100, pytest.approx(15), pytest.approx(1.4))
    assert first_steps(speeds, 0.5, 120, 155.0)[0] == 60
    assert first_steps(speeds, 0.5, 120, 9.0)[0] == 0


def test_a_budget_too_short_for_the_first_round_is_refused(monkeypatch):
    monkeypatch.setattr(TabularGAN, "forecast", lambda *_: Forecast(9, 1.0, 0.1))
    gan = TabularGAN(recipe="choose", budget_s=8.0, device="cpu", threads=1)
    with pytest.raises(UsageError, match="budget of 8 s"):
        gan.fit(table({"common": 80, "rare": 20}))


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
    monkeypatch.setattr(choose, "held_out_score", lambda *_: lambda gan, seed: 0.0)
    choose_recipe(task)
    assert set(steps[1:]) == {("anchored", 600), ("free", 30)}


def test_a_recipe_that_diverged_is_out_and_nothing_else_is_an_error():
    assert "e" not in halved({**SCORES, "e": None})["rounds"][1]["recipes"]
    with pytest.raises(DivergedError, match="every recipe"):
        halved(dict.fromkeys("abc"))


def test_a_quarter_of_each_class_is_held_out_and_groups_stay_whole():
    groups = np.repeat(np.arange(60), 2)
    train, held = held_out(table({"common": 80, "rare": 40}, groups), ("rare",), 0)
    assert held.counts == {"common": 20, "rare": 10}
    assert not set(train.groups) & set(held.groups)


def test_too_few_rows_to_hold_out_are_refused():
    with pytest.raises(DataError, match=r"5 rows of 'rare' are too few .* up to 8"):
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


# the budget of a fit


def test_a_budget_of_few_steps_says_which_one_would_do():
    class Warned(Progress):
        said = ""

        def warn(self, text: str) -> None:
            self.said = text

    heard = Warned()
    check_useful(400, 60.0, 10.0, 0.1, 16, heard)
    assert heard.said == ""
    check_useful(30, 60.0, 40.0, 0.5, 16, heard)
    assert re.search(r"30 steps .* 400 .* --budget 5m", heard.said)
    with pytest.raises(UsageError, match=r"buys 3 steps here.* --budget 5m"):
        check_useful(3, 40.0, 40.0, 0.5, 16, heard)
