"""The baselines: exactly the rows asked for, from the training rows, with clear refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import DataError, NotFittedError, UnknownClassError, UsageError
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.generators.generator import Generator
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE

MODELS = [Repeats(), Smote()]
KINDS = {
    "numbers": ["size", "weight"],
    "categories": ["colour", "whole"],
    "both": ["size", "colour", "weight", "whole", "seen"],
}


def toy_table(common: int = 60, rare: int = 8, columns: list[str] | None = None) -> Labelled:
    """Two classes; numbers, categories, booleans and dates."""
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
def test_smote_takes_numbers_categories_and_both(kinds: str) -> None:
    table = toy_table(columns=KINDS[kinds])
    made = Smote().fit(table).sample({"bad": 40}).frame
    own = table.frame[table.labels == 1]
    for name in made:
        if name in KINDS["categories"]:
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


@pytest.mark.parametrize(("common", "rare", "asked"), [(60, 1, "bad"), (60, 0, "good")])
def test_smote_refuses_a_class_of_one_row_and_a_single_class(common, rare, asked) -> None:
    with pytest.raises(DataError, match="two classes"):
        Smote().fit(toy_table(common, rare)).sample({asked: 1})


def test_smote_takes_fewer_neighbours_in_a_smaller_class() -> None:
    assert Smote().fit(toy_table(rare=2)).sample({"bad": 9}).counts["bad"] == 9


def test_smote_fills_missing_cells() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=40), "c": rng.choice(["a", "b"], 40)}).astype(
        {"c": object}
    )
    frame.loc[::4, "x"], frame.loc[::3, "c"] = np.nan, None
    ids = np.array([f"row-{i}" for i in range(40)])
    data = TABLE.of(frame, np.repeat([0, 1], 20), ids, class_names=("good", "bad"))
    made = Smote().fit(data).sample({"bad": 30}).frame
    assert made["x"].notna().all()
    assert set(made["c"].dropna()) <= {"a", "b"}
    assert made["c"].isna().any()
