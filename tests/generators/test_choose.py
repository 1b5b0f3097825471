"""Successive halving: who survives, what a tie does, what is held out; budgets of a fit."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import DataError, DivergedError, UsageError
from gan_augment.generators import choose
from gan_augment.generators.choose import choose_recipe, first_steps, halve, held_out
from gan_augment.generators.generator import RunContext
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.generators.time_budget import Forecast, check_useful, enough
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.options import seconds
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES

SCORES = {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2, "e": 0.1}


def halved(scores=SCORES, noise=0.0, slow=(), end_s=math.inf, least=100):
    """The result of rounds whose scores are known, a noise between the seeds added."""

    def score(name, steps, seed):
        return None if scores[name] is None else scores[name] + noise * (seed - 0.5)

    step_ms = {name: 20 if name in slow else 10 for name in scores}
    return halve(step_ms, dict.fromkeys(scores, least), 100, score, Progress(), end_s)


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
    found = halved({"a": 1.0, "b": 2.0, "c": 3.0}, end_s=0.0)
    assert [(one["recipe"], one["seed"]) for one in found["trials"]] == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
    ]
    assert (found["winner"], [one["steps"] for one in found["rounds"]]) == ("a", [100])


def test_under_a_minimum_of_steps_nothing_is_decided():
    assert halved(least=400)["winner"] == "e"  # the last of three rounds has 400
    found = halved(least=401)
    assert found["winner"] is None
    assert "undecided: 400 steps" in found["why"]


def test_the_first_round_has_as_many_steps_as_the_budget_holds():
    speeds = [Forecast(9, 1.0, 0.1)] * 3
    # rounds of 3 and 2 recipes with two seeds, each score .5 s: 15 s, and 1.4 s for each step
    steps, fixed_s, step_s = first_steps(speeds, 0.5, 10_000, 155.7)
    assert (steps, fixed_s, step_s) == (100, pytest.approx(15), pytest.approx(1.4))
    assert first_steps(speeds, 0.5, 120, 155.0)[0] == 60
    assert first_steps(speeds, 0.5, 120, 9.0)[0] == 0
    assert first_steps(speeds, 0.5, 30, 155.0)[0] == 20  # of a recipe that has 30 itself


def chosen(monkeypatch, speed, budget_s, **recipes):
    """Choose among recipes of a known speed, whose fits cost nothing; return their steps."""
    steps = []

    def fit(gan, data, run, **how):
        steps.append((gan.recipe.name, gan.steps))
        return gan

    monkeypatch.setattr(TabularGAN, "forecast", lambda *_: speed)
    monkeypatch.setattr(TabularGAN, "fit", fit)
    monkeypatch.setattr(choose, "held_out_score", lambda *_: lambda gan, seed: 0.0)
    gan, data = TabularGAN(device="cpu", threads=1), table({"common": 80, "rare": 20})
    choose_recipe(gan, data, recipes, RunContext(), budget_s)
    return steps[1:]


def test_a_budget_too_short_for_the_first_round_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="budget of 8 s"):
        chosen(monkeypatch, Forecast(9, 1.0, 0.1), 8.0, **RECIPES["table"])


def test_no_trial_has_more_steps_than_its_recipe(monkeypatch):
    short = RECIPES["table"]["free"].model_copy(update={"steps": 30})
    recipes = {"anchored": RECIPES["table"]["anchored"], "free": short}
    steps = chosen(monkeypatch, Forecast(600, 0.0, 0.001), 900.0, **recipes)
    assert set(steps) == {("anchored", 600), ("free", 30)}


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


# the budget of a fit


def test_a_budget_of_few_steps_says_which_one_would_do():
    class Warned(Progress):
        said = ""

        def warn(self, text: str) -> None:
            self.said = text

    heard = Warned()
    check_useful(400, 400, 60.0, 10.0, 0.1, heard)
    assert heard.said == ""
    check_useful(30, 400, 60.0, 40.0, 0.5, heard)
    assert re.search(r"30 steps .* 400 .* --budget 5m", heard.said)
    with pytest.raises(UsageError, match=r"buys 3 steps here.* budget='5m'"):
        check_useful(3, 400, 40.0, 40.0, 0.5, heard)


@pytest.mark.parametrize("needed_s", [4, 40, 93, 300, 420, 2_000, 30_000])
def test_a_budget_that_a_refusal_names_suffices_in_the_next_call(needed_s):
    """Timed steps differ by a fifth between calls."""
    assert seconds(enough(needed_s)) >= 1.2 * needed_s
    assert seconds(enough(needed_s)) <= 2.5 * needed_s or enough(needed_s) == "10s"
