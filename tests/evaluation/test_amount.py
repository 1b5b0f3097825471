"""What is relied on where an amount is chosen by inner cross-validation."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_augment import Repeats, TabularGAN, TopUp, read_frame
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.amount import (
    DEFAULT,
    LADDER,
    NOTHING,
    SOURCES,
    Amount,
    AmountScores,
    Trial,
    choose_amount,
    plain_makers,
    plan_for,
    score_amounts,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.recipes import RECIPES

PARITY = Amount("gan", 1.0)


def table(counts: dict[str, int], holes: bool = False) -> Labelled:
    rng = np.random.default_rng(0)
    y = [name for name, n in counts.items() for _ in range(n)]
    x = rng.normal(size=(len(y), 3))
    if holes:
        x[::7, 0] = np.nan
    return read_frame(x, y=y).table


def scores(**means: float) -> AmountScores:
    """Five trials without noise an amount: none, repeats_50, gan_100, ..."""
    by_amount = {}
    for name, mean in means.items():
        source, _, percent = name.partition("_")
        amount = Amount(source, int(percent or 0) / 100)
        by_amount[amount] = np.full(5, mean)
    return AmountScores({"recall": by_amount}, {})


# the rule


def test_the_default_is_taken_where_nothing_else_is_clearly_better():
    choice = choose_amount(scores(none=0.5, repeats_25=0.6, gan_100=0.7), "recall")
    assert choice.amount == choice.best == DEFAULT
    assert "nothing 0.500" in choice.reason


def test_what_is_clearly_better_than_the_default_is_taken_nothing_included():
    better = choose_amount(scores(none=0.5, smote_25=0.8, gan_100=0.7), "recall")
    assert better.amount == Amount("smote", 0.25)
    assert choose_amount(scores(none=0.8, smote_25=0.7, gan_100=0.7), "recall").amount == NOTHING


def test_of_equally_good_amounts_the_least_is_the_best():
    choice = choose_amount(scores(none=0.5, smote_10=0.8, repeats_25=0.8, gan_100=0.7), "recall")
    assert choice.amount == Amount("smote", 0.1)
    assert choose_amount(scores(none=0.7, gan_100=0.7), "recall").amount == NOTHING


def test_of_as_many_rows_the_plainer_source_is_less():
    same = [amount.source for amount in LADDER if amount.to == 0.5]
    assert same == ["repeats", "smote", "gan"]
    assert LADDER[0] == NOTHING
    assert [amount.to for amount in LADDER] == sorted(amount.to for amount in LADDER)


def test_the_default_is_left_for_more_than_one_corrected_standard_error():
    d = np.array([0.3, -0.1, 0.2, -0.2, 0.1])  # mean .06; s / sqrt(5) = .0927, corrected .1391
    smote = Amount("smote", 0.5)
    base = {DEFAULT: np.full(5, 0.5), NOTHING: 0.4 + d}  # the same deviations, pooled
    choice = choose_amount(AmountScores({"f1": base | {smote: 0.5 + d}}, {}), "f1")
    assert (choice.amount, choice.best) == (DEFAULT, smote)
    assert choice.error == pytest.approx(d.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4))
    assert "within one standard error" in choice.reason
    clear = choose_amount(AmountScores({"f1": base | {smote: 0.59 + d}}, {}), "f1")
    assert clear.amount == smote
    assert "more than one standard error" in clear.reason


def test_the_standard_error_is_pooled_over_the_amounts():
    calm, wild = np.array([0.02, 0.04, 0.03]), np.array([0.4, -0.5, 0.0])
    figures = {DEFAULT: np.full(3, 0.5), NOTHING: 0.5 + wild, Amount("smote", 0.5): 0.5 + calm}
    choice = choose_amount(AmountScores({"f1": figures}, {}), "f1")
    pooled = (calm.var(ddof=1) + wild.var(ddof=1)) / 2
    assert choice.error == pytest.approx(np.sqrt(pooled * (1 / 3 + 1 / 2)))
    assert choice.amount == DEFAULT


def test_what_all_folds_share_does_not_count_as_noise():
    folds, smote = np.array([0.1, 0.9, 0.2, 0.8, 0.5]), Amount("smote", 1.0)
    figures = {NOTHING: folds, smote: folds + 0.02, DEFAULT: folds + 0.01}
    assert choose_amount(AmountScores({"f1": figures}, {}), "f1").amount == smote


def test_a_default_that_is_not_above_nothing_gives_way_to_what_is():
    d = np.array([0.2, -0.2, 0.1, -0.1, 0.0])
    figures = {NOTHING: np.full(5, 0.5), DEFAULT: 0.49 + d, Amount("repeats", 0.5): 0.51 + d / 2}
    choice = choose_amount(AmountScores({"f1": figures}, {}), "f1")
    assert choice.amount == Amount("repeats", 0.5)
    assert "not above nothing" in choice.reason


def test_without_the_default_the_best_is_taken():
    choice = choose_amount(scores(none=0.5, repeats_25=0.6, smote_50=0.55), "recall")
    assert choice.amount == Amount("repeats", 0.25)


def test_folds_that_cannot_tell_are_left_out_and_none_at_all_adds_nothing():
    nan = np.array([np.nan, 0.5, 0.5])
    figures = {NOTHING: nan, PARITY: nan + 0.2}
    assert choose_amount(AmountScores({"f1": figures}, {}), "f1").amount == PARITY
    figures = {NOTHING: nan * np.nan, PARITY: nan}
    choice = choose_amount(AmountScores({"f1": figures}, {}), "f1")
    assert (choice.amount, "could be judged" in choice.reason) == (NOTHING, True)


def test_a_single_fold_proves_nothing():
    one = {NOTHING: np.array([0.5]), PARITY: np.array([0.9])}
    assert choose_amount(AmountScores({"f1": one}, {}), "f1").amount == NOTHING


@given(st.lists(st.floats(0, 1), min_size=13, max_size=13), st.integers(0, 99))
def test_the_choice_is_the_default_or_the_best_and_never_below_nothing(means, seed):
    noise = np.random.default_rng(seed).normal(0, 0.1, (len(LADDER), 5))
    by_amount = {a: m + e for a, m, e in zip(LADDER, means, noise, strict=True)}
    choice = choose_amount(AmountScores({"f1": by_amount}, {}), "f1")
    assert choice.amount in (DEFAULT, choice.best)
    assert choice.mean[choice.best] == max(choice.mean.values())
    assert choice.mean[choice.amount] >= choice.mean[NOTHING]


# the trials


def test_held_rows_are_never_seen_nor_what_is_added_made_from_them():
    data = table({"ill": 12, "well": 60})
    known = []

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        assert not set(trial.seen) & set(trial.held)
        assert len(trial.seen) + len(trial.held) == len(data)
        known.append((trial.fold, trial.amount))
        if trial.added is not None and trial.amount.source == "repeats":
            seen = data.frame.iloc[trial.seen]
            again = seen.iloc[trial.added.layout.source].to_numpy()
            assert (trial.added.data.frame.to_numpy() == again).all()
        return {"score": 0.0}

    found = score_amounts(data, judge, plain_makers(["ill"]), classes=["ill"], folds=4)
    assert len(known) == len(set(known)) == 4 * len(found.figures["score"])
    assert set(found.figures["score"]) == {
        a for a in LADDER if a == NOTHING or (a.source in ("repeats", "smote") and a.to > 0.2)
    }


def test_gaussian_borrow_is_the_recipe_features_with_the_calibrated_covariance_alone():
    data = table({"ill": 12, "well": 60})
    made = plain_makers(["ill"])["gaussian_borrow"](data, 3).sample({"ill": 40}, random_state=1)
    recipe = RECIPES["table"]["features"]
    settings = recipe.generator.model_copy(update={"borrowed": 0.0, "reach": 1.0})
    recipe = recipe.model_copy(update={"generator": settings})
    gan = TabularGAN(recipe=recipe, threads=1, device="cpu", random_state=3).fit(data)
    assert made.frame.equals(gan.sample({"ill": 40}, random_state=1).frame)
    assert made.counts["ill"] == 40


def test_synthesizers_are_fitted_on_the_rows_seen_alone():
    data = table({"ill": 12, "well": 60})
    known: list[list[str]] = []
    newest: list[list[str]] = []

    def maker(part: Labelled, seed: int) -> Repeats[Labelled]:
        known.append(part.ids.tolist())
        newest.append(known[-1])
        return Repeats[Labelled]().fit(part)

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        assert all(ids == data.ids[trial.seen].tolist() for ids in newest)
        newest.clear()
        return {"score": 0.0}

    score_amounts(data, judge, dict.fromkeys(SOURCES, maker), classes=["ill"], folds=4)
    assert len(known) == 3 * 4


def test_every_class_ends_with_the_fraction_of_the_majority_that_is_asked_for():
    data = table({"ill": 12, "odd": 40, "well": 60})
    plan = plan_for(Amount("smote", 0.5), data, ["ill", "odd"])
    assert {name: (end.total, end.synthetic) for name, end in plan.items()} == {
        "ill": (30, 18),
        "odd": (40, 0),
        "well": (60, 0),
    }
    of_gan = plan_for(PARITY, data, ["ill"], TopUp(to=3, synthetic_share=1.0, companions=False))
    assert (of_gan["ill"].synthetic, of_gan["ill"].total) == (48, 60)


def test_the_same_seed_gives_the_same_trials_and_another_seed_others():
    data = table({"ill": 12, "well": 60})

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        made = 0.0 if trial.added is None else trial.added.data.frame.to_numpy().sum()
        return {"score": float(made + data.frame.to_numpy()[trial.held].sum())}

    def run(seed: int) -> list[float]:
        makers = plain_makers(["ill"])
        found = score_amounts(data, judge, makers, classes=["ill"], folds=3, seed=seed)
        return [float(v) for values in found.figures["score"].values() for v in values]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(
    ("counts", "groups", "always_seen"),
    [
        ({"ill": 12, "well": 60}, np.arange(72) // 3, 0),
        ({"ill": 6, "well": 30}, np.array([3] * 8 + [-1] * 28), 8),  # a class of one group
    ],
)
def test_groups_stay_on_one_side(counts, groups, always_seen):
    data = table(counts)
    data = TABLE.of(data.frame, data.labels, data.ids, groups, data.class_names)

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        assert not (set(groups[trial.seen]) & set(groups[trial.held])) - {-1}
        assert set(range(always_seen)) <= set(trial.seen)
        return {"score": 0.0}

    score_amounts(data, judge, plain_makers(["ill"]), classes=["ill"])


def test_a_source_that_cannot_serve_the_data_is_left_out_and_says_why():
    data = table({"ill": 12, "well": 60}, holes=True)
    makers = plain_makers(["ill"])
    found = score_amounts(data, lambda trial: {"score": 0.0}, makers, classes=["ill"], folds=3)
    assert {amount.source for amount in found.figures["score"]} == {"none", "repeats"}
    assert "missing values" in found.left_out["smote"]


def test_classes_of_a_few_rows_and_of_one_are_no_obstacle_and_no_warning():
    data = table({"lone": 1, "few": 3, "well": 30})

    def twin(part: Labelled, seed: int) -> TabularGAN:
        gan = TabularGAN(classes="all", random_state=seed, threads=1)
        return gan.fit(part)

    makers = plain_makers(["lone", "few"]) | {"gan": twin}

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        assert 0 in trial.seen, "the lone row"
        assert set(data.labels[trial.seen]) == {0, 1, 2}
        return {"score": 0.0}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score_amounts(data, judge, makers, classes=["lone", "few"])
    assert {len(values) for values in found.figures["score"].values()} == {5}
    assert found.left_out == {}


def test_nothing_is_judged_before_anything_is_fitted():
    made = []

    def maker(part: Labelled, seed: int) -> Repeats[Labelled]:
        made.append(len(part))
        return Repeats[Labelled]().fit(part)

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        raise DataError("no such label")

    with pytest.raises(DataError, match="no such label"):
        score_amounts(table({"a": 4, "b": 9}), judge, {"repeats": maker}, classes=["a"])
    assert made == []


def test_ids_are_numbered_on_in_the_folds_as_in_the_end():
    y = ["ill"] * 12 + ["well"] * 60
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=72), "row_id": np.arange(72)})
    read = read_frame(frame, y=y)

    def judge(trial: Trial[Labelled]) -> dict[str, float]:
        if trial.added is not None:
            assert trial.added.data.frame["row_id"].min() > 71
        return {"score": 0.0}

    makers = plain_makers(["ill"])
    score_amounts(read.table, judge, makers, classes=["ill"], schema=read.schema)


@pytest.mark.parametrize(
    ("source", "to", "why"),
    [
        ("gans", 1.0, "Did you mean 'gan'"),
        ("gan", 0.0, "fraction"),
        ("none", 0.5, "fraction"),
        ("smote", 1.5, "fraction"),
    ],
)
def test_an_amount_that_is_none_is_refused(source, to, why):
    with pytest.raises(UsageError, match=why):
        Amount(source, to)


def test_nothing_as_the_default_is_left_only_for_what_is_clearly_better() -> None:
    noise = np.array([0.02, -0.02, 0.0])
    figures = {NOTHING: np.full(3, 0.5), Amount("smote", 0.25): 0.505 + noise}
    figures[Amount("gan", 1.0)] = 0.51 - noise
    kept = choose_amount(AmountScores({"f1": figures}, {}), "f1", NOTHING)
    assert kept.amount == NOTHING
    assert "within one standard error" in kept.reason
    figures[Amount("gan", 1.0)] = 0.56 - noise
    better = choose_amount(AmountScores({"f1": figures}, {}), "f1", NOTHING)
    assert better.amount == Amount("gan", 1.0)
