"""The baselines: exactly the rows asked for, from the training rows, with clear refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_augment.data.splits import judging_folds
from gan_augment.errors import DataError, NotFittedError, UnknownClassError, UsageError
from gan_augment.generators.baselines import GaussianSmote, Repeats, Smote, TunedSmote
from gan_augment.generators.generator import Generator
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE

MODELS = [Repeats(), Smote(), GaussianSmote(), TunedSmote()]
KINDS = {
    "numbers": ["size", "weight"],
    "levels": ["colour", "whole"],
    "both": ["size", "colour", "weight", "whole", "seen"],
}


def toy_table(common: int = 60, rare: int = 8, columns: list[str] | None = None) -> Labelled:
    """Two classes; numbers, levels, booleans and moments."""
    n, rng = common + rare, np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n).round(2),
            "colour": rng.choice(["red", "green", "blue"], n),
            "weight": rng.integers(10, 500, n),
            "whole": rng.random(n) < 0.5,
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9999, n), "min"),
        },
        index=[f"at-{i}" for i in range(n)],
    )
    labels = np.repeat([0, 1], [common, rare])
    ids = np.array([f"row-{i}" for i in range(n)])
    return TABLE.of(frame[columns or KINDS["both"]], labels, ids, class_names=("good", "bad"))


@pytest.fixture(scope="module")
def table() -> Labelled:
    return toy_table()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("counts", [{"bad": 7}, {"bad": 30, "good": 2}, {"good": 0}, {}])
def test_the_rows_are_those_asked_for_in_that_order(
    model: Generator, counts: dict[str, int], table: Labelled
) -> None:
    made = model.fit(table).sample(counts)
    named = [made.names[label] for label in made.labels]
    assert named == [name for name, n in counts.items() for _ in range(n)]
    assert made.ids.tolist() == [
        f"synthetic-{name}-{i:06d}" for name, n in counts.items() for i in range(n)
    ]
    pd.testing.assert_series_equal(made.frame.dtypes, table.frame.dtypes)
    assert made.frame.index.equals(pd.RangeIndex(len(made)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_seed_repeats_its_rows_and_another_gives_others(
    model: Generator, table: Labelled
) -> None:
    first, again, other = (model.fit(table).sample({"bad": 20}, seed).frame for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_global_randomness_and_the_callers_frame_stay_as_they_are(
    model: Generator, table: Labelled
) -> None:
    state, before = np.random.get_state()[1].copy(), table.frame.copy(deep=True)  # noqa: NPY002
    model.fit(table).sample({"bad": 5})
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    pd.testing.assert_frame_equal(table.frame, before)


def test_repeats_are_training_rows_of_their_class_each_as_often_give_or_take_one(
    table: Labelled,
) -> None:
    made = Repeats().fit(table).sample({"bad": 19}).frame
    assert sorted(made.groupby(list(made.columns)).size()) == [2] * 5 + [3] * 3
    own = table.frame[table.labels == 1]
    assert made.merge(own.drop_duplicates(), how="inner").shape == made.shape


def test_the_first_repeats_are_the_same_however_many_are_asked_for(table: Labelled) -> None:
    model = Repeats().fit(table)
    few, many = model.sample({"bad": 5}).frame, model.sample({"bad": 50}).frame
    pd.testing.assert_frame_equal(few, many[:5])


def test_repeats_of_pictures_keep_pixels_and_groups(toy) -> None:
    from dataclasses import replace

    grouped = replace(toy, groups=np.arange(len(toy)))
    made = Repeats().fit(grouped).sample({"ugly": 8})
    assert made.counts == {"good": 0, "bad": 0, "ugly": 8}
    assert np.array_equal(made.pixels, toy.pixels[made.groups])


@pytest.mark.parametrize("kinds", KINDS)
def test_smote_takes_numbers_levels_and_both(kinds: str) -> None:
    table = toy_table(columns=KINDS[kinds])
    made = Smote().fit(table).sample({"bad": 40}).frame
    own = table.frame[table.labels == 1]
    for name in made:
        if name in KINDS["levels"]:
            assert set(made[name]) <= set(own[name])
        else:
            assert made[name].between(own[name].min(), own[name].max()).all()


def test_smote_on_numbers_is_imbalanced_learns() -> None:
    from imblearn.over_sampling import SMOTE

    from gan_augment.rng import derived_seed

    table = toy_table(columns=["size"])
    seed = derived_seed(3, "smote") % (2**32 - 1)
    theirs = SMOTE(sampling_strategy={1: 20}, random_state=seed)
    rows = theirs.fit_resample(table.frame.to_numpy(), table.labels)[0][len(table) :, 0]
    made = Smote().fit(table).sample({"bad": 12}, random_state=3).frame["size"]
    assert made.tolist() == pytest.approx(rows, abs=0.0051)


def test_new_smote_rows_lie_between_training_rows_and_are_not_copies() -> None:
    table = toy_table(columns=["size", "weight"])
    made = Smote().fit(table).sample({"bad": 40}).frame
    own = table.frame[table.labels == 1]
    assert len(made.merge(own)) < len(made) / 2


def test_smote_refuses_missing_values_and_names_the_columns(table: Labelled) -> None:
    from dataclasses import replace

    frame = table.frame.copy()
    frame.iloc[3, frame.columns.get_loc("size")] = np.nan
    frame.iloc[4, frame.columns.get_loc("colour")] = None
    with pytest.raises(DataError, match=r"\['size', 'colour'\] hold missing values.*Fill"):
        Smote().fit(replace(table, rows=frame))


def test_smote_refuses_a_class_of_k_rows_and_says_how_many_it_expects() -> None:
    model = Smote().fit(toy_table(rare=5))
    with pytest.raises(DataError, match=r"'bad' has 5 rows.*expects 6 or more.*k_neighbors"):
        model.sample({"bad": 1})
    assert Smote(k_neighbors=4).fit(toy_table(rare=5)).sample({"bad": 1}).counts["bad"] == 1


def test_smote_refuses_a_single_class() -> None:
    table = toy_table(rare=0)
    with pytest.raises(DataError, match=r"all of class 'good'.*two classes"):
        Smote().fit(table).sample({"good": 1})


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_what_cannot_be_asked_for_is_refused(model: Generator) -> None:
    with pytest.raises(NotFittedError, match="is not fitted"):
        type(model)().sample({"bad": 1})
    model.fit(toy_table(rare=0))
    with pytest.raises(UnknownClassError, match=r"'bda'.*Did you mean 'bad'"):
        model.sample({"bda": 1})
    with pytest.raises(UsageError, match="-1 samples of 'good'"):
        model.sample({"good": -1})
    with pytest.raises(DataError, match="'bad' has no training row"):
        model.sample({"bad": 1})
    with pytest.raises(UsageError, match="k_neighbors=0"):
        Smote(k_neighbors=0).fit(toy_table())


def test_smote_fills_missing_cells_where_it_is_told_to() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=40), "c": rng.choice(["a", "b"], 40)}).astype(
        {"c": object}
    )
    frame.loc[::4, "x"], frame.loc[::3, "c"] = np.nan, None
    ids = np.array([f"row-{i}" for i in range(40)])
    data = TABLE.of(frame, np.repeat([0, 1], 20), ids, class_names=("good", "bad"))
    with pytest.raises(DataError, match="missing='fill'"):
        Smote().fit(data)
    made = Smote(missing="fill").fit(data).sample({"bad": 30}).frame
    assert made["x"].notna().all()
    assert set(made["c"].dropna()) <= {"a", "b"}
    assert made["c"].isna().any()


# the Gaussian form, and the tuned one


def test_rows_have_the_mean_and_covariance_of_a_neighbourhood() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(6, 4)) @ rng.normal(size=(4, 4)) * [1, 10, 100, 0.1]
    ids = np.array([f"row-{i}" for i in range(6)])
    data = TABLE.of(pd.DataFrame(rows, columns=list("abcd")), np.repeat([0, 1], 3), ids)
    made = GaussianSmote().fit(data)._around(np.tile(rows, (20_000, 1, 1)), rng)
    spread = rows.std(axis=0)
    assert np.abs((made.mean(axis=0) - rows.mean(axis=0)) / spread).max() < 0.03
    unit = np.outer(spread, spread)
    expected = np.cov(rows.T, bias=True)  # 1 / (K + 1) of the K + 1 rows
    np.testing.assert_allclose(np.cov(made.T) / unit, expected / unit, atol=0.03)


def test_of_two_rows_a_gaussian_lies_on_their_line_and_levels_are_the_commonest() -> None:
    x = [-10.01, 10.03, 0.25, 2.5]
    frame = pd.DataFrame({"x": x, "y": 2 * np.array(x), "c": ["p", "q", "r", "r"]})
    ids = np.array([f"row-{i}" for i in range(4)])
    data = TABLE.of(frame, np.array([0, 0, 1, 1]), ids, class_names=("good", "bad"))
    made = GaussianSmote().fit(data).sample({"bad": 50}).frame
    np.testing.assert_allclose(made["y"], 2 * made["x"], atol=0.03)
    assert set(made["c"]) == {"r"}
    assert made["x"].min() < 0.25  # not only between the two


def test_a_neighbourhood_knows_no_units() -> None:
    rng, ids = np.random.default_rng(0), np.array([f"row-{i}" for i in range(30)])
    frame = pd.DataFrame({"x": rng.normal(size=30), "y": rng.normal(size=30)})
    made = []
    for unit in (1, 1000):
        data = TABLE.of(frame.assign(y=unit * frame["y"]), np.repeat([0, 1], 15), ids)
        made.append(GaussianSmote(2).fit(data).sample({"1": 50}).frame["x"])
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)


def test_a_tuned_k_is_smote_of_a_k_that_held_out_rows_prefer() -> None:
    data = toy_table(rare=20)
    tuned = TunedSmote().fit(data)
    recall = {k: [] for k in TunedSmote.NEIGHBOURS}
    folds = judging_folds(data.labels, None, folds=3, seed=0)
    for fold in range(3):
        for k, values in recall.items():
            values.append(tuned._recall(k, folds != fold, folds == fold))
    means = {k: np.mean(values) for k, values in recall.items()}
    assert means[tuned.k_neighbors] == max(means.values())
    assert len(set(means.values())) > 1
    plain = Smote(tuned.k_neighbors).fit(data).sample({"bad": 9}).frame
    pd.testing.assert_frame_equal(tuned.sample({"bad": 9}).frame, plain)


def test_a_tuned_k_is_one_that_the_smallest_class_allows() -> None:
    assert TunedSmote().fit(toy_table(rare=4)).k_neighbors <= 2
