"""What a user of `TabularGAN` relies on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from gan_augment import TabularGAN
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import (
    DataError,
    UsageError,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE

IDS = ["key", "ticket"]


def assert_as_in_training(made: Labelled, read: ReadTable) -> None:
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


# counts, labels, sequences


def test_nothing_asked_is_an_empty_table_of_the_same_columns(table, table_gan):
    for counts in ({}, {"ill": 0}, {"ill": 0, "odd": 0}):
        made = table_gan.sample(counts)
        assert len(made) == 0
        assert_as_in_training(made, table)


# determinism, globals


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
@pytest.mark.parametrize(
    ("recipe", "steps"), [("gaussian", 0), ("features", 0), ("anchored", 3), ("free", 3)]
)
def test_odd_frames_are_learned_and_come_back_in_kind(columns, recipe, steps, fit_table):
    read = read_frame(pd.DataFrame(columns), y=["few"] * 12 + ["many"] * 33)
    gan = fit_table(read, classes="few", recipe=recipe, steps=steps)
    made = gan.sample({"few": 40, "many": 40})
    assert_as_in_training(made, read)


def test_kinds_that_the_user_names_are_kept(fit_table):
    frame = pd.DataFrame({"code": [1, 2, 7] * 15, "x": np.arange(45.0)})
    read = read_frame(
        frame, y=["few"] * 8 + ["many"] * 37, overrides=Overrides.of(categorical=["code"])
    )
    made = fit_table(read).sample({"few": 200}).frame
    assert set(made["code"]) <= {1, 2, 7}
    assert made["code"].dtype == frame["code"].dtype


@pytest.mark.parametrize("labels", [["a", "b"], [True, False], [2.0, 1.0], [7, 3], ["é ü", "a,b"]])
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


@pytest.mark.parametrize("recipe", ["gaussian", "features", "anchored", "free"])
@pytest.mark.parametrize("rare", [1, 2, 9, 10, 11])
def test_classes_of_any_size_are_drawn(rare, recipe, small_table, fit_table):
    read = small_table({"many": 60, "few": rare})
    gan = fit_table(read, recipe=recipe, steps=3 if recipe in ("anchored", "free") else 0)
    assert_as_in_training(gan.sample({"few": 30}), read)
    assert gan.meta_.few == ({"few": rare} if rare < 10 else {})


def test_a_table_of_two_rows_is_enough(fit_table):
    read = read_frame(pd.DataFrame({"x": [1.0, 2.0]}), y=["a", "b"])
    gan = fit_table(read, classes="all")
    assert gan.sample({"a": 3, "b": 2}).frame["x"].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0]


# errors


def test_a_schema_of_another_table_is_refused(small_table):
    read, gan = small_table({"many": 30, "few": 5}), TabularGAN(steps=3, device="cpu")
    for frame, said in (
        (read.table.frame.rename(columns={"x": "z"}), "'z'"),
        (read.table.frame[["k", "x", "c"]], "'k', 'x', 'c'"),
        (read.table.frame.assign(k=[np.nan, *range(34)]), "'k' has 1 cells"),
        (read.table.frame.assign(c=["new", *"abcab" * 6, *"abca"]), "'c' has 1 cells"),
    ):
        data = TABLE.of(frame, read.table.labels, read.table.ids)
        with pytest.raises(DataError, match=said):
            gan.fit(data, schema=read.schema)


def test_infinite_numbers_are_refused_with_the_column(small_table):
    read = small_table({"many": 30, "few": 5})
    frame = read.table.frame.assign(x=[np.inf, *range(34)])
    data = TABLE.of(frame, read.table.labels, read.table.ids)
    with pytest.raises(DataError, match="'x' holds 1 infinite"):
        TabularGAN(steps=3).fit(data)


def test_rows_do_not_depend_on_how_many_blocks_are_made_at_once(table_gan):
    alone, many = table_gan._sampler, 5 * 1_024 + 7
    one = alone.cells(0, "any", 3, many, 0, workers=1)
    three = alone.cells(0, "any", 3, many, 0, workers=3)
    for name, cells in one.items():
        np.testing.assert_array_equal(cells, three[name])


# not trained


def test_an_untrained_model_is_saved_and_comes_back(small_table, tmp_path):
    small = small_table({"ill": 12, "well": 60}).table
    gan = TabularGAN(threads=1).fit(small)
    gan.save(tmp_path / "model")
    again = TabularGAN.load(tmp_path / "model", threads=1)
    name = next(iter(gan.classes_))
    assert_frame_equal(again.sample({name: 5}).frame, gan.sample({name: 5}).frame)


def test_a_free_generator_of_no_steps_is_refused_as_noise(small_table):
    with pytest.raises(UsageError, match="noise"):
        TabularGAN(steps=0, recipe="free").fit(small_table({"ill": 12, "well": 60}).table)


def test_rows_that_would_not_fit_into_memory_are_refused_with_the_knobs_to_turn(monkeypatch):
    frame = pd.DataFrame({"size": np.arange(60) / 7, "shape": list("abc") * 20})
    read = read_frame(frame, y=["rare"] * 10 + ["common"] * 50)
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 60 * 8 * 6)
    with pytest.raises(DataError, match=r"60 rows of 4 numbers each .* \(--id a,b\)"):
        TabularGAN(steps=2).fit(read.table, schema=read.schema)
