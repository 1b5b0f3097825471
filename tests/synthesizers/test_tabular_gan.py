"""What a user of `TabularGAN` relies on."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from gan_augment import TabularGAN
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    NotFittedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.training.callbacks import StopFlag, StopRequested

IDS = ["key", "ticket"]


def assert_as_in_training(made: LabelledTable, read: ReadTable) -> None:
    """Schema equal; every level seen in training; every number within the training range."""
    seen, frame = read.table.frame, made.frame
    assert list(frame.columns) == list(seen.columns)
    assert frame.dtypes.equals(seen.dtypes)
    for column in read.schema.columns:
        cells, known = frame[column.name].dropna(), seen[column.name].dropna()
        assert seen[column.name].isna().any() or len(cells) == len(frame), column.name
        if column.kind in ("categorical", "boolean", "constant"):
            assert set(cells) <= set(known), column.name
        elif column.kind != "id" and len(cells):
            assert cells.min() >= known.min(), column.name
            assert cells.max() <= known.max(), column.name


def global_states() -> tuple[bytes, bytes, object]:
    numbers = np.random.get_state()[1].tobytes()  # noqa: NPY002
    return torch.random.get_rng_state().numpy().tobytes(), numbers, random.getstate()


# counts, labels, sequences


@pytest.mark.parametrize("n", [0, 1, 10, 1_024, 1_025, 3_000])
def test_the_label_asked_is_the_label_given_at_any_count(table_gan, n):
    made = table_gan.sample({"odd": n, "well": 3, "ill": n})
    assert made.counts == {"alone": 0, "ill": n, "odd": n, "well": 3}
    odd, well, ill = (made.names.index(name) for name in ("odd", "well", "ill"))
    assert made.labels.tolist() == [odd] * n + [well] * 3 + [ill] * n
    assert len(made.frame) == 2 * n + 3
    assert made.ids[n] == "synthetic-well-000000"


def test_nothing_asked_is_an_empty_table_of_the_same_columns(table, table_gan):
    for counts in ({}, {"ill": 0}, {"ill": 0, "odd": 0}):
        made = table_gan.sample(counts)
        assert len(made) == 0
        assert_as_in_training(made, table)


def test_the_first_rows_are_the_same_however_many_are_asked_for(table_gan):
    many = table_gan.sample({"ill": 1_100}).frame
    for n in (1, 10, 100, 1_024, 1_025):
        assert_frame_equal(table_gan.sample({"ill": n}).frame, many[:n])


def test_rows_do_not_depend_on_the_other_classes_asked_for(table_gan):
    alone = table_gan.sample({"ill": 50}).frame.drop(columns=IDS)
    among = table_gan.sample({"odd": 70, "ill": 50, "well": 9}).frame.drop(columns=IDS)
    assert_frame_equal(among[70:120].reset_index(drop=True), alone)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (1_000, 1_030), (1_024, 1_100), (7, 7)])
def test_a_range_is_a_piece_of_the_whole(table_gan, start, stop):
    whole = table_gan.sample({"ill": 1_100}).frame
    piece = table_gan.sample_range("ill", start, stop, first_id=start)
    assert_frame_equal(piece, whole[start:stop].reset_index(drop=True))


def test_another_seed_gives_other_rows(table_gan):
    one, two = (table_gan.sample({"ill": 8}, random_state=seed).frame for seed in (0, 1))
    assert (one["number"] != two["number"]).all()


# determinism, globals


def test_the_same_fit_gives_the_same_bytes_whatever_the_global_random_state(
    table, table_gan, fit_table
):
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    random.seed(3)
    before, threads = global_states(), torch.get_num_threads()
    again = fit_table(table, steps=6)
    assert_frame_equal(again.sample({"ill": 64}).frame, table_gan.sample({"ill": 64}).frame)
    assert again.meta_ == table_gan.meta_
    assert global_states() == before
    assert torch.get_num_threads() == threads


def test_another_seed_of_the_fit_gives_another_model(table, table_gan, fit_table):
    other = fit_table(table, steps=6, random_state=1)
    one, two = other.sample({"ill": 64}).frame, table_gan.sample({"ill": 64}).frame
    assert (one["number"] != two["number"]).any()


def test_the_users_frame_stays_as_it_is(make_table, fit_table):
    read = make_table({"well": 40, "ill": 5})
    data = read.table
    before, labels = data.frame.copy(deep=True), data.labels.copy()
    fit_table(read).sample({"ill": 5})
    assert_frame_equal(data.frame, before)
    assert np.array_equal(data.labels, labels)


def test_rows_do_not_depend_on_the_callers_threads_which_come_back(
    table_gan, small_table, fit_table
):
    before = torch.get_num_threads()
    one = table_gan.sample({"ill": 64}).frame
    torch.set_num_threads(2)
    try:
        assert_frame_equal(table_gan.sample({"ill": 64}).frame, one)
        fit_table(small_table({"many": 30, "few": 5}))
        assert torch.get_num_threads() == 2
        flag = StopFlag()
        flag.signal = 15
        read = small_table({"many": 30, "few": 5})
        with pytest.raises(StopRequested):
            TabularGAN(steps=3, device="cpu", threads=1).fit(read.table, stop=flag)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_schema_is_inferred_where_it_is_not_given(table, table_gan):
    gan = TabularGAN(steps=6, device="cpu", threads=1).fit(table.table)
    assert gan.schema_.columns == table.schema.columns
    assert_frame_equal(gan.sample({"ill": 9}).frame, table_gan.sample({"ill": 9}).frame)


# columns


def test_made_rows_have_the_schema_of_the_training_rows(table, table_gan):
    made = table_gan.sample({"ill": 500, "odd": 50, "alone": 5, "well": 300})
    assert_as_in_training(made, table)
    assert made.frame["graded"].cat.categories.tolist() == ["low", "high", "unused"]
    assert made.frame["graded"].cat.ordered


def test_numbers_are_written_as_in_the_training_data(table_gan):
    frame = table_gan.sample({"ill": 300}).frame
    assert (frame["cents"] == frame["cents"].round(2)).all()
    assert all(-value.as_tuple().exponent == 2 for value in frame["decimal"])
    assert (frame["zoned"].dt.tz_convert("UTC").dt.floor("h") == frame["zoned"]).all()
    assert (frame["spiked"] == 0).mean() > 0.1


def test_missing_cells_are_made_where_training_has_some_and_nowhere_else(table, table_gan):
    frame, seen = table_gan.sample({"well": 800}).frame, table.table.frame
    for name in seen.columns:
        share, known = frame[name].isna().mean(), seen[name].isna().mean()
        assert share == known if known in (0, 1) else 0.02 < share < 0.6, name


def test_ids_continue_and_constants_stay(table, table_gan):
    frame = table_gan.sample({"ill": 3, "odd": 2}).frame
    last = table.table.frame["key"].max()
    assert frame["key"].tolist() == [last + i for i in range(1, 6)]
    assert frame["ticket"].tolist() == [f"synthetic-{i:06d}" for i in range(1, 6)]
    assert (frame["fixed"] == "always").all()
    assert frame["nothing"].isna().all()


ODD_FRAMES = {
    "one number": {"x": np.arange(45.0) % 7},
    "one column of levels": {"c": list("abc") * 15},
    "levels alone": {"c": list("abc") * 15, "d": list("pqrst") * 9, "e": [True, False, False] * 15},
    "all but one constant": {"k": ["same"] * 45, "m": [1] * 45, "x": np.arange(45.0) % 11},
    "names that are numbers": {0: np.arange(45.0) % 7, 1: list("abc") * 15},
    "a moment alone": {"t": pd.date_range("2020-01-01", periods=45, freq="h", tz="Asia/Tokyo")},
    "mostly missing": {"x": [1.5, 2.5, 2.25, *[np.nan] * 42], "y": [None] * 40 + list("ababa")},
    "huge and tiny": {"x": [1.7e308, -1.7e308, 5e-324] * 15, "y": np.arange(45) * 5e-324},
    "beyond 2^53": {"x": 2**62 + np.arange(45) % 9, "y": np.arange(45.0) % 4},
    "one row differs": {"x": [1.0] * 44 + [2.0]},
}


@pytest.mark.parametrize("columns", ODD_FRAMES.values(), ids=ODD_FRAMES)
@pytest.mark.parametrize("recipe", ["anchored", "free"])
def test_odd_frames_are_learned_and_come_back_in_kind(columns, recipe, fit_table):
    read = read_frame(pd.DataFrame(columns), y=["few"] * 12 + ["many"] * 33)
    made = fit_table(read, classes="few", recipe=recipe).sample({"few": 40, "many": 40})
    assert_as_in_training(made, read)


def test_kinds_that_the_user_names_are_kept(fit_table):
    frame = pd.DataFrame({"code": [1, 2, 7] * 15, "x": np.arange(45.0)})
    read = read_frame(
        frame, y=["few"] * 8 + ["many"] * 37, overrides=Overrides.of(categorical=["code"])
    )
    made = fit_table(read).sample({"few": 200}).frame
    assert set(made["code"]) <= {1, 2, 7}
    assert made["code"].dtype == frame["code"].dtype


@pytest.mark.parametrize("labels", [["a", "b"], [True, False], [2.5, 1.5], [7, 3], ["é ü", "a,b"]])
def test_labels_of_any_type_name_the_classes(labels, small_table, fit_table):
    read = small_table({"few": 6, "many": 30})
    read = read_frame(read.table.frame, y=[labels[0]] * 6 + [labels[1]] * 30)
    gan = fit_table(read)
    rare = min(gan.classes_, key=gan.classes_.get)
    assert gan.topped_up_ == (rare,)
    assert gan.sample({rare: 4}).counts[rare] == 4


# classes of few rows


def test_a_lone_row_is_repeated(table, table_gan):
    (row,) = np.flatnonzero(table.table.labels == table.table.names.index("alone"))
    own = table.table.frame.iloc[[row] * 20].reset_index(drop=True).drop(columns=IDS)
    made = table_gan.sample({"alone": 20}).frame.drop(columns=IDS)
    assert_frame_equal(made, own, check_exact=False, rtol=1e-5, atol=1e-5)
    assert table_gan.meta_.few["alone"] == 1


def test_two_to_nine_rows_are_jittered_and_recorded(table, table_gan):
    own = table.table.frame[table.table.labels == table.table.names.index("odd")]
    made = table_gan.sample({"odd": 400}).frame
    assert table_gan.meta_.few == {"alone": 1, "odd": 5}
    rows = {tuple(row) for row in own[["text", "flag", "many", "graded"]].to_numpy()}
    assert {tuple(row) for row in made[["text", "flag", "many", "graded"]].to_numpy()} == rows
    assert made["number"].nunique() > 300
    near = np.abs(made["number"].to_numpy()[:, None] - own["number"].to_numpy()).min(axis=1)
    assert 0 < np.median(near) < own["number"].std()


@pytest.mark.parametrize("recipe", ["anchored", "free"])
@pytest.mark.parametrize("rare", [1, 2, 9, 10, 11])
def test_classes_of_any_size_are_drawn(rare, recipe, small_table, fit_table):
    read = small_table({"many": 60, "few": rare})
    gan = fit_table(read, recipe=recipe)
    assert_as_in_training(gan.sample({"few": 30}), read)
    assert gan.meta_.few == ({"few": rare} if rare < 10 else {})


def test_a_table_of_two_rows_is_enough(fit_table):
    read = read_frame(pd.DataFrame({"x": [1.0, 2.0]}), y=["a", "b"])
    gan = fit_table(read, classes="all")
    assert gan.sample({"a": 3, "b": 2}).frame["x"].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("recipe", ["anchored", "free"])
def test_a_class_without_rows_is_drawn_nothing_of_and_says_why(recipe, small_table):
    read = small_table({"many": 40, "few": 4})
    data = LabelledTable(
        read.table.frame, read.table.labels, read.table.ids, class_names=("few", "many", "none")
    )
    gan = TabularGAN(recipe=recipe, steps=3, device="cpu", threads=1).fit(data)
    assert len(gan.sample({"none": 0})) == 0
    with pytest.raises(DataError, match="'none'"):
        gan.sample({"none": 1})


# errors


def test_an_unknown_class_is_named_with_the_nearest_one(table_gan, small_table, fit_table):
    with pytest.raises(UnknownClassError, match="Did you mean 'ill'"):
        table_gan.sample({"il": 1})
    with pytest.raises(UnknownClassError, match="Did you mean 'few'"):
        fit_table(small_table({"many": 30, "few": 5}), classes=["fwe"])


@pytest.mark.parametrize("n", [-1, 1.5])
def test_a_count_that_is_none_is_refused(table_gan, n):
    with pytest.raises(UsageError, match="0 or more"):
        table_gan.sample({"ill": n})


def test_rows_to_start_from_are_refused_until_a_recipe_takes_them(table, table_gan):
    with pytest.raises(UsageError, match="source"):
        table_gan.sample({"ill": 1}, source=table.table)


def test_what_is_not_fitted_says_so(tmp_path):
    for call in (
        lambda gan: gan.sample({"ill": 1}),
        lambda gan: gan.sample_range("ill", 0, 1),
        lambda gan: gan.save(tmp_path / "model"),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            call(TabularGAN())


def test_no_rare_class_is_refused_with_the_counts(small_table, fit_table):
    with pytest.raises(NoRareClassError, match=r"a.*6.*b.*6"):
        fit_table(small_table({"a": 6, "b": 6}))


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_a_seed_that_is_none_is_refused(seed, small_table, fit_table):
    with pytest.raises(UsageError, match="random_state"):
        fit_table(small_table({"many": 30, "few": 5}), random_state=seed)


@pytest.mark.parametrize("settings", [{"steps": 0}, {"steps": -3}, {"steps": 1.5}, {"budget_s": 0}])
def test_a_length_that_is_none_is_refused(settings, small_table, fit_table):
    with pytest.raises(UsageError, match=next(iter(settings))):
        fit_table(small_table({"many": 30, "few": 5}), **settings)


def test_a_recipe_that_is_none_of_tables_is_refused(small_table, fit_table):
    with pytest.raises(UsageError, match="Did you mean 'anchored'"):
        fit_table(small_table({"many": 30, "few": 5}), recipe="ancored")


def test_a_schema_of_another_table_is_refused(small_table):
    read, gan = small_table({"many": 30, "few": 5}), TabularGAN(steps=3, device="cpu")
    for frame, said in (
        (read.table.frame.rename(columns={"x": "z"}), "'z'"),
        (read.table.frame[["k", "x", "c"]], "'k', 'x', 'c'"),
        (read.table.frame.assign(k=[np.nan, *range(34)]), "'k' has 1 cells"),
        (read.table.frame.assign(c=["new", *"abcab" * 6, *"abca"]), "'c' has 1 cells"),
    ):
        data = LabelledTable(frame, read.table.labels, read.table.ids)
        with pytest.raises(DataError, match=said):
            gan.fit(data, schema=read.schema)


def test_infinite_numbers_are_refused_with_the_column(small_table):
    read = small_table({"many": 30, "few": 5})
    frame = read.table.frame.assign(x=[np.inf, *range(34)])
    data = LabelledTable(frame, read.table.labels, read.table.ids)
    with pytest.raises(DataError, match="'x' holds 1 infinite"):
        TabularGAN(steps=3).fit(data)


def test_rows_do_not_depend_on_how_many_blocks_are_made_at_once(table_gan):
    alone, many = table_gan._sampler, 5 * 1_024 + 7
    one = alone.cells(0, "any", 3, many, 0, workers=1)
    three = alone.cells(0, "any", 3, many, 0, workers=3)
    for name, cells in one.items():
        np.testing.assert_array_equal(cells, three[name])


# without trials


def test_without_trials_the_last_of_the_steps_asked_for_is_kept(small_table):
    small = small_table({"ill": 12, "well": 60}).table
    gan = TabularGAN(steps=3, trials=False, threads=1).fit(small)
    assert (gan.meta_.chosen, gan.meta_.trials) == ("step 3", {})
    assert "no trials were asked for" in gan.meta_.reason


def test_no_steps_at_all_are_interpolation_alone(small_table, tmp_path):
    small = small_table({"ill": 12, "well": 60}).table
    gan = TabularGAN(steps=0, trials=False, threads=1).fit(small)
    assert gan.meta_.chosen == "interpolation"
    gan.save(tmp_path / "model")
    again = TabularGAN.load(tmp_path / "model", threads=1)
    name = next(iter(gan.classes_))
    assert_frame_equal(again.sample({name: 5}).frame, gan.sample({name: 5}).frame)


@pytest.mark.parametrize(("settings", "why"), [({"recipe": "free"}, "noise"), ({}, "1 or more")])
def test_nothing_trained_is_refused_where_it_makes_no_sense(settings, why, small_table):
    gan = TabularGAN(steps=0, trials="recipe" not in settings, **settings)
    with pytest.raises(UsageError, match=why):
        gan.fit(small_table({"ill": 12, "well": 60}).table)


def test_a_twin_as_chosen_gives_the_rows_of_the_original(fit_table, small_table):
    small = small_table({"ill": 12, "well": 60})
    gan = fit_table(small)
    twin = gan.as_chosen(gan.random_state).fit(small.table, schema=small.schema)
    name = gan.topped_up_[0]
    assert twin.meta_.trials == {}
    assert_frame_equal(twin.sample({name: 9}).frame, gan.sample({name: 9}).frame)
