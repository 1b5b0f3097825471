"""Results, attributes, seeds and warnings of GANAugmenter."""

from __future__ import annotations

import random
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import (
    EvaluationOptions,
    FitOptions,
    GANAugmenter,
    ImageGAN,
    Repeats,
    Smote,
    TabularGAN,
    read_frame,
)
from gan_augment.data.arrays import from_arrays
from gan_augment.rng import derived_seed
from gan_augment.sklearn_api.augmenter import checked_options, draw_seed

THREE = np.array(["a"] * 40 + ["b"] * 12 + ["c"] * 4)
ROWS = np.random.default_rng(0).normal(size=(56, 3)) + (THREE == "c")[:, None]


def added(augmenter: GANAugmenter, y: np.ndarray, X: np.ndarray = ROWS) -> dict[str, int]:
    before, after = pd.Series(y), pd.Series(augmenter.fit_resample(X, y)[1])
    more = after.value_counts() - before.value_counts()
    return {label: int(n) for label, n in more.sort_index().items()}


TWO = np.where(THREE == "a", 0, 1)[::-1]


@pytest.mark.parametrize(
    ("strategy", "y"),
    [("auto", THREE), ("minority", THREE), ("not minority", THREE), ("not majority", THREE),
     ("all", THREE), ({"b": 30, "c": 5}, THREE), ({"a": 44}, THREE), (0.5, TWO), (0.77, TWO),
     (1.0, TWO), (lambda y: {"c": 2 * int((y == "c").sum())}, THREE)],
)  # fmt: skip
def test_a_strategy_agrees_with_imbalanced_learn(strategy, y, quick) -> None:
    augmenter = quick(sampling_strategy=strategy)
    theirs = RandomOverSampler(sampling_strategy=strategy)
    assert added(augmenter, y) == added(theirs, y)
    assert augmenter.sampling_strategy_ == dict(theirs.sampling_strategy_)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("majority", {"a": 0, "b": 28, "c": 36}), ("median", {"a": 0, "b": 0, "c": 8}),
     (30, {"a": 0, "b": 18, "c": 26}), (np.int64(5), {"a": 0, "b": 0, "c": 1})],
)  # fmt: skip
def test_a_strategy_may_be_the_rows_that_smaller_classes_end_with(strategy, expected, quick):
    assert added(quick(sampling_strategy=strategy, synthetic_share=0), THREE) == expected


@pytest.mark.parametrize("strategy", [["c"], ("c",), {"c"}, np.array(["c"]), "rare"])
def test_listed_and_rare_classes_reach_the_largest(strategy, quick) -> None:
    """b has 12 of 56 rows, more than half of an equal share among three; c has 4."""
    augmenter = quick(sampling_strategy=strategy)
    assert added(augmenter, THREE) == {"a": 0, "b": 0, "c": 36}
    assert augmenter.sampling_strategy_ == {"c": 36}


def test_origins_distinguish_real_repeated_and_generated_rows(quick) -> None:
    augmenter = quick(synthetic_share=0.25)
    X, y = augmenter.fit_resample(ROWS, THREE)
    kinds = pd.crosstab(y, augmenter.origin_)
    assert kinds.loc["b"].to_dict() == {"real": 12, "repeat": 21, "synthetic": 7}
    assert kinds.loc["c"].to_dict() == {"real": 4, "repeat": 27, "synthetic": 9}
    assert (augmenter.origin_[: len(ROWS)] == "real").all()
    assert augmenter.synthetic_mask_.tolist() == (augmenter.origin_ == "synthetic").tolist()
    assert augmenter.synthetic_mask_.sum() == 16
    known = {row.tobytes() for row in ROWS}
    assert {row.tobytes() in known for row in X[augmenter.origin_ == "repeat"]} == {True}
    assert {row.tobytes() in known for row in X[augmenter.synthetic_mask_]} == {False}


def test_companions_go_to_other_classes_below_the_target(quick) -> None:
    augmenter = quick(sampling_strategy=["c"], companions=True)
    _, y = augmenter.fit_resample(ROWS, THREE)
    rows = pd.crosstab(y, augmenter.origin_)
    assert rows["companion"].gt(0).to_dict() == {"a": False, "b": True, "c": False}
    assert 12 < rows.loc["b"].sum() <= rows.loc["c"].sum() == 40


@pytest.mark.parametrize(
    ("source", "origin", "made"), [("repeats", "repeat", Repeats), ("smote", "synthetic", Smote)]
)
def test_baselines_fill_the_whole_top_up_and_train_nothing(source, origin, made, quick):
    augmenter = quick(source=source, synthetic_share=0.25)
    _, y = augmenter.fit_resample(ROWS, THREE)
    assert pd.crosstab(y, augmenter.origin_)[origin].to_dict() == {"a": 0, "b": 28, "c": 36}
    assert isinstance(augmenter.fit(ROWS, THREE).generator_, made)


def test_rows_by_smote_are_those_of_imbalanced_learn_and_of_the_evaluation(quick) -> None:
    X, y = quick(source="smote").fit_resample(ROWS, THREE)
    seed = derived_seed(draw_seed(0), "fit_resample")
    read = read_frame(pd.DataFrame(ROWS), y=THREE).table
    for label, n in (("b", 28), ("c", 36)):
        same = Smote().fit(read).sample({label: n}, random_state=seed)
        assert np.array_equal(X[56:][y[56:] == label], same.frame.to_numpy())


def test_fit_sets_the_documented_attributes(quick) -> None:
    frame = pd.DataFrame(ROWS, columns=["x", "y", "z"])
    augmenter = quick()
    augmenter.fit_resample(frame, THREE)
    assert isinstance(augmenter.generator_, TabularGAN)
    assert augmenter.generator_.topped_up_ == ("b", "c")
    assert augmenter.classes_.tolist() == ["a", "b", "c"]
    assert augmenter.n_features_in_ == 3
    assert augmenter.feature_names_in_.tolist() == ["x", "y", "z"]
    assert augmenter.get_feature_names_out().tolist() == ["x", "y", "z"]
    assert augmenter.generator_.schema_.names == ("x", "y", "z")
    assert augmenter.refused_ == {}
    augmenter.fit(ROWS, THREE)
    assert not hasattr(augmenter, "feature_names_in_")
    assert not hasattr(augmenter, "origin_"), "fit makes no result"


def test_a_class_of_one_row_is_repeated_with_a_warning_that_names_it(quick) -> None:
    y = THREE.copy()
    y[-3:] = "a"
    augmenter = quick()
    with pytest.warns(UserWarning, match="repeats of real rows instead: 'c': it has 1 row"):
        X, labels = augmenter.fit_resample(ROWS, y)
    assert (X[labels == "c"] == ROWS[52]).all()
    assert (labels == "c").sum() == (labels == "a").sum()
    assert list(augmenter.refused_) == ["c"]


@pytest.mark.parametrize(
    ("params", "y"),
    [
        ({}, np.arange(56) % 2),
        ({"synthetic_share": 0}, THREE),
        ({"sampling_strategy": {"a": 40}}, THREE),
    ],
)
def test_nothing_is_trained_where_nothing_is_generated(params, y, quick, monkeypatch) -> None:
    monkeypatch.setattr(TabularGAN, "fit", None)
    augmenter = quick(**params)
    X, labels = augmenter.fit_resample(ROWS, y)
    assert augmenter.generator_ is None
    assert not augmenter.synthetic_mask_.any()
    assert np.array_equal(X[:56], ROWS)
    assert X is not ROWS
    assert len(labels) == 56 + sum(augmenter.sampling_strategy_.values())


def test_fit_trains_even_where_the_classes_are_balanced(quick) -> None:
    drawn = quick().fit(ROWS, np.arange(56) % 2).generator_.sample({"1": 3, "0": 2})
    assert (drawn.frame.shape, drawn.labels.tolist()) == ((5, 3), [1, 1, 1, 0, 0])


def test_the_model_draws_other_rows_than_those_added(quick) -> None:
    augmenter = quick()
    X, y = augmenter.fit_resample(ROWS, THREE)
    more = augmenter.generator_.sample({"c": 30}).frame.to_numpy()
    new = X[augmenter.synthetic_mask_ & (y == "c")]
    assert {row.tobytes() for row in new}.isdisjoint(row.tobytes() for row in more)


def test_one_seed_gives_one_result_and_global_generators_are_untouched(quick) -> None:
    def ambient() -> list[object]:
        numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
        return [numpy, random.getstate(), torch.get_rng_state().tolist()]

    def rows(random_state: object) -> bytes:
        return quick(random_state=random_state).fit_resample(ROWS, THREE)[0].tobytes()

    before = ambient()
    assert rows(3) == rows(np.random.RandomState(3)) != rows(4)
    assert ambient() == before
    drawn = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        drawn.append(rows(None))
    assert drawn[0] == drawn[1] != drawn[2]


def test_levels_can_be_named_by_number_name_or_mask(quick) -> None:
    X = np.c_[ROWS, np.tile([0, 1, 5, 9], 14)]
    frame = pd.DataFrame(X, columns=list("abcd"))
    for data, features in (
        (X, [3]),
        (X, [-1]),
        (X, np.array([False, False, False, True])),
        (frame, ["d"]),
        (frame, frame.columns == "d"),
    ):
        augmenter = quick(categorical_features=features)
        out = np.asarray(augmenter.fit_resample(data, THREE)[0])
        columns = augmenter.generator_.schema_.columns
        assert [column.kind for column in columns][3] == "categorical"
        assert set(out[:, 3]) == {0, 1, 5, 9}
    inferred = quick().fit(X, THREE).generator_.schema_.columns
    assert {column.kind for column in inferred} == {"numeric"}


def test_ids_among_the_columns_and_dark_pictures_are_warned_of(quick, pictures) -> None:
    X = pd.DataFrame(ROWS, columns=list("abc")).assign(key=np.arange(56))
    with pytest.warns(UserWarning, match="id columns .*'key'.*drop these"):
        quick().fit(X, THREE)
    X, y = pictures
    with pytest.warns(UserWarning, match=r"brightest pixel is 15 of 255"):
        GANAugmenter(synthetic_share=0, companions=False).fit_resample(X // 16, y)


def test_progress_is_logged_and_nothing_is_printed(quick, capfd, caplog, monkeypatch) -> None:
    for name in ("first_s", "every_s"):
        monkeypatch.setattr(f"gan_augment.progress.LogProgress.{name}", 0.0)
    caplog.set_level("INFO", logger="gan_augment")
    quick().fit(ROWS, THREE)
    assert capfd.readouterr() == ("", "")
    assert "training: 2" in caplog.text


def test_a_budget_is_text_or_seconds_and_steps_win() -> None:
    for budget, seconds in ((None, None), (30, 30), ("90s", 90), ("1h30m", 5400)):
        augmenter = GANAugmenter(budget=budget, options=FitOptions(device="cpu"))
        fit = checked_options(augmenter)[0]
        assert (fit.budget, fit.device) == (seconds, "cpu")
        assert checked_options(augmenter.set_params(steps=3))[0].budget is None


@pytest.mark.parametrize("face", [FitOptions, EvaluationOptions, ImageGAN, TabularGAN])
def test_a_budget_has_one_name_in_every_face(face) -> None:
    for given, expected in (("3m", 180.0), (90, 90.0), (None, None)):
        settings = face(budget=given)
        assert getattr(settings, "budget_s", settings.budget) == expected


def test_n_jobs_is_a_number_of_threads() -> None:
    cores = joblib.cpu_count()
    for n_jobs, expected in ((None, None), (3, 3), (-1, cores), (-99, 1)):
        assert checked_options(GANAugmenter(n_jobs=n_jobs))[0].threads == expected


@pytest.mark.slow
def test_a_loader_of_a_dataset_trains(quick, pictures) -> None:
    X, y = pictures
    labels = torch.tensor(np.where(y == "good", 7, 3))
    dataset = TensorDataset(torch.tensor(X[:, None] / 255.0, dtype=torch.float32), labels)
    augmenter = quick().fit(DataLoader(dataset, batch_size=3))
    assert augmenter.classes_.tolist() == ["3", "7"]
    assert augmenter.generator_.sample({"3": 4, "7": 1}).counts == {"3": 4, "7": 1}


def test_datasets_of_vectors_and_labelled_tables_train_a_table(quick) -> None:
    dataset = TensorDataset(torch.tensor(ROWS), torch.tensor((THREE == "c").astype(int)))
    assert quick().fit(dataset).generator_.sample({"1": 3}).frame.shape == (3, 3)
    read = read_frame(pd.DataFrame(ROWS, columns=list("abc")), y=THREE)
    without_b = read.table.take(np.flatnonzero(THREE != "b"))
    drawn = quick().fit(without_b).generator_.sample({"c": 2, "a": 1})
    assert drawn.frame.columns.tolist() == ["a", "b", "c"]
    assert drawn.labels.tolist() == [2, 2, 0]


@pytest.mark.slow
def test_the_face_loads_no_torch_before_it_trains() -> None:
    code = "import sys, gan_augment; gan_augment.GANAugmenter(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("strategy", [["bad"], "minority"])
def test_labelled_data_is_topped_up_in_the_classes_that_are_named(strategy, quick) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((36, 8, 8)), ["good"] * 20 + ["bad"] * 4 + ["ugly"] * 12
    augmenter = quick(sampling_strategy=strategy).fit(from_arrays(x, y))
    assert augmenter.generator_.topped_up_ == ("bad",)
    assert set(augmenter.sampling_strategy_) == {"bad"}
