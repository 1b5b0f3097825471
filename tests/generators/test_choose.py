"""The choice of a recipe: who wins, what a tie does, what is held out; budgets of a fit."""

import re

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import DataError, DivergedError, UsageError
from gan_augment.generators.choose import decide, held_out, planned_steps
from gan_augment.generators.time_budget import Forecast, check_useful, enough
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.options import seconds
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES

LEAST = dict.fromkeys("abc", 100)


def decided(scores, slow=(), steps=100):
    """The decision on {recipe: score of each seed}; each fit had `steps` steps."""
    trials = [
        {"recipe": name, "steps": steps, "seed": seed, "score": score}
        for name, own in scores.items()
        for seed, score in enumerate(own)
    ]
    return decide(trials, {name: 20 if name in slow else 10 for name in scores}, LEAST)


def table(counts: dict[str, int], groups=None) -> Labelled:
    rng, n = np.random.default_rng(0), sum(counts.values())
    labels = np.repeat(np.arange(len(counts)), [*counts.values()])
    frame = pd.DataFrame(rng.normal(size=(n, 2)) + labels[:, None], columns=["x", "y"])
    ids = np.array([f"row-{i}" for i in range(n)])
    return TABLE.of(frame, labels, ids, groups, class_names=tuple(counts))


def test_the_best_mean_score_wins():
    found = decided({"a": (0.5, 0.5), "b": (0.1, 0.1), "c": (0.3, 0.3)})
    assert (found["winner"], found["tied"], found["ranked"]) == ("b", ["b"], ["b", "c", "a"])
    assert "b is ahead of c by 0.2" in found["why"]


def test_within_noise_the_cheapest_wins_and_that_is_said():
    found = decided({"a": (0.1, 0.5), "b": (0.0, 0.4), "c": (9.0, 9.4)}, slow="b")
    assert found["tied"] == ["b", "a"]
    assert found["winner"] == "a"
    assert "within noise" in found["why"]


def test_a_rival_that_diverged_is_named_instead_of_a_distance():
    assert decided({"a": (1.0, 1.0), "b": (0.5, None)})["why"] == "b diverged, a did not"
    with pytest.raises(DivergedError, match="every recipe"):
        decided(dict.fromkeys("abc", (None, None)))


def test_where_the_time_is_out_one_seed_decides():
    assert decided({"a": (1.0, 1.5), "b": (0.5,)})["winner"] == "b"


def test_under_a_minimum_of_steps_nothing_is_decided():
    found = decided({"a": (1.0, 1.0), "b": (0.5, 0.5)}, steps=99)
    assert found["winner"] is None
    assert "undecided: 99 steps" in found["why"]


def steps_of(budget_s, spent_s=0.0, **speeds):
    recipes = {name: RECIPES["table"][name] for name in speeds}
    return planned_steps(recipes, speeds, budget_s - spent_s, budget_s, Progress())


def test_every_recipe_gets_the_steps_of_its_share_of_the_time():
    speeds = {"anchored": Forecast(600, 1.0, 0.1), "free": Forecast(600, 2.0, 0.2)}
    # four fits of 22.5 s, after a tenth for the scores
    assert steps_of(110.0, spent_s=10.0, **speeds) == {"anchored": 215, "free": 102}
    assert steps_of(1e6, **speeds) == {"anchored": 600, "free": 600}  # at most their own
    speeds["gaussian"] = Forecast(0, 0.5, 0.0)
    assert steps_of(100.0, **speeds)["gaussian"] == 0


def test_a_budget_too_short_for_a_recipe_is_refused():
    with pytest.raises(UsageError, match="budget of 8 s"):
        steps_of(8.0, anchored=Forecast(600, 1.0, 0.1), free=Forecast(600, 1.0, 0.1))


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
