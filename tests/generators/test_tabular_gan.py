"""What a user of `TabularGAN` relies on."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, SMOTENC
from pandas.testing import assert_frame_equal

from gan_augment import TabularGAN
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.errors import DataError, DivergedError, UsageError
from gan_augment.generators import row_sampler
from gan_augment.generators.generator import RunContext
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.recipes import RECIPES

IDS = ["key", "ticket"]


def assert_as_in_training(made: Labelled, read: ReadTable) -> None:
    """Schema equal; every level seen in training; every number within the training range."""
    seen, frame = read.table.frame, made.frame
    assert list(frame.columns) == list(seen.columns)
    assert frame.dtypes.equals(seen.dtypes)
    for column in read.schema.columns:
        cells, known = frame[column.name].dropna(), seen[column.name].dropna()
        assert seen[column.name].isna().any() or len(cells) == len(frame), column.name
        if column.kind in ("categorical", "constant"):
            assert set(cells) <= set(known), column.name
        elif column.kind != "id" and len(cells):
            assert cells.min() >= known.min(), column.name
            assert cells.max() <= known.max(), column.name


def test_nothing_asked_is_an_empty_table_of_the_same_columns(table, table_gan):
    for counts in ({}, {"ill": 0}, {"ill": 0, "odd": 0}):
        made = table_gan.sample(counts)
        assert len(made) == 0
        assert_as_in_training(made, table)


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
    "huge and tiny": {"x": [1e299, -1e299, 5e-324] * 15, "y": np.arange(45) * 5e-324},
    "beyond 2^53": {"x": 2**62 + np.arange(45) % 9, "y": np.arange(45.0) % 4},
    "one row differs": {"x": [1.0] * 44 + [2.0]},
}


@pytest.mark.parametrize("columns", ODD_FRAMES.values(), ids=ODD_FRAMES)
@pytest.mark.parametrize(
    ("recipe", "steps"), [("gaussian", 0), ("features", 0), ("anchored", 2), ("free", 2)]
)
def test_odd_frames_are_learned_and_come_back_in_kind(columns, recipe, steps, fit_table):
    read = read_frame(pd.DataFrame(columns), y=["few"] * 12 + ["many"] * 33)
    gan = fit_table(read, classes="few", recipe=recipe, steps=steps)
    made = gan.sample({"few": 40, "many": 40})
    assert_as_in_training(made, read)


def test_kinds_that_the_user_names_are_kept(fit_table):
    frame = pd.DataFrame({"code": [1, 2, 7] * 15, "x": np.arange(45.0)})
    read = read_frame(frame, y=["few"] * 8 + ["many"] * 37, overrides={"code": "categorical"})
    made = fit_table(read).sample({"few": 200}).frame
    assert set(made["code"]) <= {1, 2, 7}
    assert made["code"].dtype == frame["code"].dtype


def test_ids_are_not_invented_without_a_warning():
    frame = pd.DataFrame({"key": [f"k{i}" for i in range(45)], "x": np.arange(45.0)})
    read = read_frame(frame, y=["few"] * 8 + ["many"] * 37)
    with pytest.warns(UserWarning, match=r"new rows get new ids: 'key' \(45 of 45 differ\)"):
        TabularGAN(threads=1).fit(read.table, schema=read.schema)


# classes of few rows


@pytest.mark.parametrize("recipe", ["gaussian", "anchored"])
def test_a_lone_row_is_repeated(recipe, table):
    gan = TabularGAN(recipe=recipe, steps=0, threads=1).fit(table.table, run=RunContext())
    (row,) = np.flatnonzero(table.table.labels == table.table.names.index("alone"))
    own = table.table.frame.iloc[[row] * 20].reset_index(drop=True).drop(columns=IDS)
    made = gan.sample({"alone": 20}).frame.drop(columns=IDS)
    assert_frame_equal(made, own, check_exact=False, rtol=1e-5, atol=1e-5)


def test_five_rows_are_varied_with_their_levels_kept(table):
    gan = TabularGAN(threads=1).fit(table.table, run=RunContext(), schema=table.schema)
    own = table.table.frame[table.table.labels == table.table.names.index("odd")]
    made = gan.sample({"odd": 400}).frame
    rows = {tuple(row) for row in own[["text", "flag", "many", "graded"]].to_numpy()}
    assert {tuple(row) for row in made[["text", "flag", "many", "graded"]].to_numpy()} == rows
    assert made["number"].nunique() > 300


@pytest.mark.parametrize("recipe", ["gaussian", "features", "anchored", "free"])
@pytest.mark.parametrize("rare", [1, 2, 10])
def test_classes_of_any_size_are_drawn(rare, recipe, small_table, fit_table):
    read = small_table({"many": 60, "few": rare})
    gan = fit_table(read, recipe=recipe, steps=3 if recipe in ("anchored", "free") else 0)
    assert_as_in_training(gan.sample({"few": 30}), read)


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


def test_a_free_generator_of_no_steps_is_refused_as_noise(small_table):
    with pytest.raises(UsageError, match="noise"):
        TabularGAN(steps=0, recipe="free").fit(small_table({"ill": 12, "well": 60}).table)


def test_rows_that_would_not_fit_into_memory_are_refused_with_the_knobs_to_turn(monkeypatch):
    frame = pd.DataFrame({"size": np.arange(60) / 7, "shape": list("abc") * 20})
    read = read_frame(frame, y=["rare"] * 10 + ["common"] * 50)
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 60 * 8 * 6)
    with pytest.raises(
        DataError, match=r"60 rows of 4 numbers each .* columns=\{'a': 'id', 'b': 'id'\}"
    ):
        TabularGAN(steps=2).fit(read.table, schema=read.schema)


# runs and what is kept


def test_a_free_model_holds_no_rows(tmp_path, small_table, fit_table):
    read = small_table({"many": 60, "few": 12, "tiny": 4})
    gan = fit_table(read, recipe="free", classes="few")
    assert gan.meta_.anchors == 0
    gan.save(tmp_path / "model")
    loaded = TabularGAN.load(tmp_path / "model", device="cpu")
    counts = {"few": 30, "tiny": 30}
    assert_frame_equal(loaded.sample(counts).frame, gan.sample(counts).frame)
    assert fit_table(read, classes="few").meta_.anchors == 76


# what is kept


def test_nothing_is_trained_unless_a_recipe_or_steps_ask_for_it(small_table):
    read = small_table({"many": 60, "few": 12})
    started = {
        name: TabularGAN(device="cpu", threads=1, **settings).fit(read.table)
        for name, settings in {
            "default": {},
            "zero": {"steps": 0, "recipe": "anchored"},
            "recipe": {"recipe": RECIPES["table"]["anchored"].model_copy(update={"steps": 5})},
            "steps": {"steps": 4},
        }.items()
    }
    steps = {name: gan.steps_ for name, gan in started.items()}
    assert steps == {"default": 0, "zero": 0, "recipe": 5, "steps": 4}
    kept = [gan.meta_.chosen for gan in started.values()]
    assert kept == ["gaussian", "interpolation", "step 5", "step 4"]
    assert "nothing was trained" in started["default"].meta_.reason
    assert "last step" in started["steps"].meta_.reason
    rows = [gan.sample({"few": 20}).frame for gan in started.values()]
    assert not any(one.equals(other) for one, other in itertools.combinations(rows, 2))
    with pytest.raises(UsageError, match="is not trained"):
        TabularGAN(recipe="gaussian", steps=3).fit(read.table)


def test_rows_by_default_have_the_mean_and_covariance_of_a_neighbourhood(small_table):
    """Of 14 rows of two numbers the nearest 5 and the row itself; levels are the row's own."""
    read = small_table({"many": 80, "few": 14})
    sampler = TabularGAN(threads=1).fit(read.table, schema=read.schema)._sampler
    label, numbers = read.table.names.index("few"), list(sampler.encoding.numbers)
    start, stop = sampler.anchors.of(label)
    own = sampler.anchors.rows[start:stop].astype(np.float64)
    weights = np.where(np.isin(np.arange(own.shape[1]), numbers), 1, 0.5**0.5)
    apart = (((own[:, None] - own[None]) * weights) ** 2).sum(axis=2)
    hoods = own[np.argsort(apart, axis=1)[:, :6]][:, :, numbers]  # (14, 6, 2)
    means = hoods.mean(axis=1)
    within = np.mean([np.cov(hood.T, bias=True) for hood in hoods], axis=0)
    expected = within + np.cov(means.T, bias=True)  # of the mixture of the 14 normals
    made = np.concatenate([sampler.block(label, "few", block, 0) for block in range(20)])
    np.testing.assert_allclose(made[:, numbers].mean(axis=0), means.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(np.cov(made[:, numbers].T), expected, atol=0.03)
    levels = np.delete(made, numbers, axis=1).mean(axis=0)
    np.testing.assert_allclose(levels, np.delete(own, numbers, axis=1).mean(axis=0), atol=0.02)


def dense(counts, columns=20, seed=0):
    """Classes of correlated numbers, one far from the others in each column of its own."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.standard_normal((n, columns)) @ rng.standard_normal((columns, columns))
        + 3 * np.eye(columns)[label]
        for label, n in enumerate(counts.values())
    ]
    frame = pd.DataFrame(np.concatenate(rows), columns=[f"f{i}" for i in range(columns)])
    return read_frame(frame, y=np.repeat(list(counts), list(counts.values())))


def features_recipe(**settings):
    recipe = RECIPES["table"]["features"]
    return recipe.model_copy(update={"generator": recipe.generator.model_copy(update=settings)})


def blocks(gan, label, n=20):
    made = [gan._sampler.block(label, "few", block, 0) for block in range(n)]
    return np.concatenate(made).astype(np.float64)


def test_rows_of_features_have_the_calibrated_covariance_around_their_anchors():
    """Yang et al. 2021: the mean of the covariances of the class and of its two lenders."""
    read = dense({"few": 25, "one": 60, "two": 70, "three": 80})
    gan = TabularGAN(recipe=features_recipe(borrowed=0.0, reach=0.5), threads=1).fit(read.table)
    anchors, few = gan._sampler.anchors, read.table.names.index("few")
    rows = {k: anchors.rows[slice(*anchors.of(k))].astype(np.float64) for k in range(4)}
    lenders = anchors.lenders[few].tolist()
    assert few not in lenders
    assert len(set(lenders)) == 2
    calibrated = np.mean([np.cov(rows[k].T, bias=True) for k in (few, *lenders)], axis=0)
    expected = np.cov(rows[few].T, bias=True) + 0.5**2 * calibrated  # of the anchors, of the moves
    made = blocks(gan, few)
    np.testing.assert_allclose(made.mean(axis=0), rows[few].mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(made.T), expected, atol=0.06)


def test_a_borrowed_move_is_the_difference_of_two_near_rows_of_a_lender():
    read = dense({"few": 12, "many": 40})
    gan = TabularGAN(recipe=features_recipe(borrowed=1.0, reach=1.0), threads=1).fit(read.table)
    anchors, few = gan._sampler.anchors, read.table.names.index("few")
    many = 1 - few
    assert anchors.lenders.tolist() == [[many, -1] if k == few else [-1, -1] for k in range(2)]
    start, stop = anchors.of(many)
    pairs = anchors.rows[anchors.neighbours[start:stop]] - anchors.rows[start:stop, None]
    starts = anchors.rows[slice(*anchors.of(few))]
    reached = (starts[:, None] + pairs.reshape(-1, 20)[None]).reshape(-1, 20)
    made = blocks(gan, few, 1)[:50]
    apart = np.abs(made[:, None] - reached[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-5


def test_cells_that_stood_on_a_spike_move_as_others_do():
    read = dense({"few": 14, "many": 60})
    frame = read.table.frame.clip(lower=0)  # half of the cells are zeros, as behind a ReLU
    read = read_frame(frame, y=np.array(read.table.names)[read.table.labels])
    made = TabularGAN(recipe="features", threads=1).fit(read.table).sample({"few": 500}).frame
    assert ((made.to_numpy() == 0).mean(axis=0) > 0.05).mean() > 0.9
    own = frame[:14].to_numpy() == 0
    always = own.all(axis=0)
    assert not always.any() or (made.to_numpy()[:, always] > 0).any()
    assert ((made.to_numpy() >= 0) & (made.to_numpy() <= frame.to_numpy().max(axis=0))).all()


def test_the_widest_table_is_drawn_in_parts_that_fit(monkeypatch, small_table):
    gan = TabularGAN(threads=1).fit(small_table({"many": 60, "few": 12}).table)
    whole = gan.sample({"few": 40}).frame
    monkeypatch.setattr(row_sampler, "ROWS_AT_ONCE", 5)
    assert_frame_equal(gan.sample({"few": 40}).frame, whole)


@pytest.mark.slow
def test_a_run_that_diverges_leaves_no_generator(small_table):
    read, recipe = small_table({"many": 90, "few": 24}), RECIPES["table"]["anchored"]
    wild = recipe.generator_optimiser.model_copy(update={"rate": 1e38})
    recipe = recipe.model_copy(
        update={"generator_optimiser": wild, "discriminator_optimiser": wild}
    )
    gan = TabularGAN(recipe=recipe, steps=8, device="cpu", threads=1)
    with pytest.raises(DivergedError):
        gan.fit(read.table)
    assert not hasattr(gan, "classes_")


# everyday tables that imbalanced-learn's SMOTE refuses

ROWS, RARE = 60, 12
LABELS = np.array(["rare"] * RARE + ["common"] * (ROWS - RARE))
RNG = np.random.default_rng(0)
NUMBERS = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
TOWNS = np.resize(["Ulm", "Bonn", "Kiel"], ROWS)
DAYS = pd.Timestamp("2026-01-01", tz="Europe/Berlin") + pd.to_timedelta(range(ROWS), unit="D")
WHOLE = pd.Series(RNG.integers(0, 30, ROWS), dtype="Int64").mask(np.arange(ROWS) % 7 == 0)
LEVELS = pd.DataFrame({name: RNG.choice(list("xyz"), ROWS) for name in "ab"})

CASES = {
    "missing values": (NUMBERS.mask(RNG.random((ROWS, 2)) < 0.2), SMOTE()),
    "strings": (NUMBERS.assign(town=TOWNS), SMOTE()),
    "datetimes": (NUMBERS.assign(day=DAYS[::-1], town=TOWNS), SMOTENC(["town"])),
    "nullable integers": (NUMBERS.assign(whole=WHOLE), SMOTE()),
    "five rows of a class": (NUMBERS.drop(index=range(5, RARE)).reset_index(drop=True), SMOTE()),
    "all categorical": (LEVELS, SMOTENC(["a", "b"])),
}


@pytest.mark.parametrize("case", CASES)
def test_smote_raises_and_tabular_gan_gives_the_rows_asked_for(case: str) -> None:
    frame, smote = CASES[case]
    labels = LABELS[len(LABELS) - len(frame) :]
    with pytest.raises((ValueError, TypeError)):
        smote.fit_resample(frame, labels)
    read = read_frame(frame, y=labels)
    gan = TabularGAN(classes=["rare"], steps=3).fit(read.table, schema=read.schema)
    made = gan.sample({"rare": 30})
    assert made.counts["rare"] == 30
    pd.testing.assert_series_equal(made.frame.dtypes, frame.dtypes)
    for name in frame:
        if frame[name].dtype.kind not in "fM":
            assert made.frame[name].dropna().isin(frame[name].dropna()).all() or name == "whole"
