"""Learners: what a user may name, repeatable fits, refusals; none gains from a top-up alone."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from torch import nn

from gan_augment import PriorCorrectedClassifier
from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.learners import (
    UPDATES,
    Learner,
    Training,
    learner_of,
)
from gan_augment.evaluation.options import RIVALS
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.runner import evaluate
from gan_augment.generators.baselines import Repeats
from gan_augment.kinds.kind import Labelled
from tests.evaluation import drawn
from tests.evaluation.drawn import Noisy, changed, options, table


def toy(n: int = 120, seed: int = 0, classes: int = 2) -> Labelled:
    """Class k has a mean of 2 k in x; a level column, a moment, holes, an id."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=n) + 2 * y
    x[::17] = np.nan
    frame = pd.DataFrame(
        {
            "x": x,
            "colour": np.where(rng.random(n) < 0.1, None, rng.choice(["red", "blue"], n)),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
            "key": [f"k{i:05d}" for i in range(n)],
        }
    )
    return read_frame(frame, y=[f"class {k}" for k in y]).table


def numbers(n: int = 120, seed: int = 0) -> Labelled:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return read_frame(rng.normal(size=(n, 3)) + y[:, None], y=y).table


def fitted(learner: Learner, table: Labelled, seed: int = 0, **asked: bool):
    return learner.fit(Training(table, table, **asked), seed)


@pytest.mark.parametrize("name", [None, "boosting", "logistic", "forest", "neighbours"])
def test_the_learners_by_name_learn_a_table_of_all_kinds(name: str | None) -> None:
    table, other = toy(), toy(seed=1)
    learner = learner_of(name, table)
    scores = fitted(learner, table).scores(other)
    assert (scores.called == other.labels).mean() > 0.7
    assert np.allclose(scores.values.sum(axis=1), 1)
    assert learner.name == (name or "boosting")


def test_a_seed_repeats_a_fit_of_a_table_byte_for_byte_and_another_gives_another() -> None:
    table = toy()
    learner = learner_of(RandomForestClassifier(5), table)
    first, again, other = (fitted(learner, table, s).scores(table).values for s in (3, 3, 4))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    "given",
    [
        LogisticRegression(C=0.3),
        LogisticRegression,
        lambda: LogisticRegression(C=0.3),
        lambda: RandomForestClassifier(3),
    ],
)
def test_an_instance_a_class_and_functions_that_make_one_are_all_taken(given: object) -> None:
    table = toy()
    learner = learner_of(given, table)
    assert learner.name in ("LogisticRegression", "RandomForestClassifier")
    assert (fitted(learner, table).scores(table).called == table.labels).mean() > 0.7
    assert not hasattr(given, "coef_"), "what was given is never trained itself"
    assert getattr(given, "random_state", None) is None


def test_every_random_state_follows_from_the_seed_and_jobs_are_one() -> None:
    from gan_augment.evaluation.estimators import new_estimator

    nested = make_pipeline(BaggingClassifier(RandomForestClassifier(3, n_jobs=2), n_jobs=-1))
    first, again, other = (new_estimator(nested, seed).get_params() for seed in (1, 1, 2))
    names = [name for name in first if name.endswith("random_state")]
    assert len(names) == 2
    assert [first[n] for n in names] == [again[n] for n in names] != [other[n] for n in names]
    assert [v for n, v in first.items() if n.endswith("n_jobs")] == [1, 1]


def test_a_learner_without_probabilities_has_its_decisions_only() -> None:
    table = toy(classes=3)
    scores = fitted(learner_of(RidgeClassifier(), table), table).scores(table)
    assert scores.values is None
    assert set(scores.called.tolist()) == {0, 1, 2}


def test_a_class_that_was_never_seen_is_never_called() -> None:
    table = toy(classes=3)
    part = table.take(np.flatnonzero(table.labels != 1))
    scores = fitted(learner_of("logistic", table), part).scores(table)
    assert (scores.values[:, 1] == 0).all()
    assert set(scores.called.tolist()) == {0, 2}


def test_a_pipeline_gets_the_frame_as_it_is_and_others_get_numbers() -> None:
    from sklearn.base import BaseEstimator, ClassifierMixin

    seen: list[object] = []

    class Watching(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            seen.append(X)
            self.fitted_ = True
            return self

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    table = toy()
    for given in (make_pipeline(Watching()), GridSearchCV(make_pipeline(Watching()), {}, cv=2)):
        fitted(learner_of(given, table), table)
        assert isinstance(seen[-1], pd.DataFrame)
    fitted(learner_of(Watching(), table), table)
    assert table.frame.reset_index(drop=True).equals(seen[0])
    assert (seen[-1].dtype, seen[-1].shape) == (np.float64, (120, 5))  # x, when, red, blue, missing


@pytest.mark.parametrize(
    ("given", "weighs"),
    [
        ("boosting", True),
        ("neighbours", False),
        (LogisticRegression(), True),
        (GaussianNB(), True),
        (make_pipeline(GaussianNB()), True),
        (make_pipeline(LogisticRegression()), True),
        (make_pipeline(KNeighborsClassifier()), False),
        (BaggingClassifier(LogisticRegression()), True),
        (GridSearchCV(LogisticRegression(), {}), True),
        (CalibratedClassifierCV(GaussianNB()), True),
    ],
)
def test_class_weights_are_known_to_those_that_take_them_and_change_their_scores(
    given: object, weighs: bool
) -> None:
    whole = numbers(200)
    table = whole.take(np.flatnonzero((whole.labels == 0) | (np.arange(200) < 60)))
    learner = learner_of(given, table)
    assert learner.weighs is weighs
    if weighs:
        plain, balanced = (fitted(learner, table, balanced=b).scores(table) for b in (False, True))
        assert (balanced.called == 1).sum() > (plain.called == 1).sum()


def test_an_overridden_kind_counts() -> None:
    zips = np.random.default_rng(0).integers(0, 4, 60)
    table = read_frame(pd.DataFrame({"zip": zips, "x": zips * 0.5}), y=zips % 2).table
    learner = learner_of("logistic", table, overrides={"zip": "categorical"})
    assert (fitted(learner, table).scores(table).called == table.labels).all()


OWN = """
from dataclasses import dataclass
from sklearn.linear_model import LogisticRegression
from sklearn.base import BaseEstimator

class Mine(LogisticRegression):
    pass

def make():
    return Mine(C=0.5)

ready = Mine()
text = "no learner"

def broken():
    raise RuntimeError("no such thing")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_learners.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_learners", raising=False)
    return "own_learners"


@pytest.mark.parametrize("name", ["make", "Mine", "ready"])
def test_a_module_of_the_user_is_imported_and_survives_a_pickle(own: str, name: str) -> None:
    table = numbers()
    learner = pickle.loads(pickle.dumps(learner_of(f"{own}:{name}", table)))  # noqa: S301
    assert (fitted(learner, table).scores(table).called == table.labels).mean() > 0.7
    described = learner.described()
    assert described["name"] == f"own_learners:{name}"
    Path("own_learners.py").write_text(OWN + "\n")
    assert learner.described()["sha256"] != described["sha256"]


def test_a_module_of_the_user_reaches_joblibs_workers(own: str) -> None:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    table = numbers()
    get_reusable_executor().shutdown()  # workers search the folder in which they started
    learner = learner_of(f"{own}:make", table)
    here = fitted(learner, table).scores(table)
    there = Parallel(n_jobs=2)(delayed(_scores)(learner, table) for _ in range(2))
    assert all(values.tobytes() == here.values.tobytes() for values in there)


def _scores(learner: Learner, table: Labelled) -> np.ndarray:
    return learner.fit(Training(table, table), 0).scores(table).values


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("boostin", r"no learner 'boostin'.*Did you mean 'boosting'"),
        ("cnn", r"no learner 'cnn'; expected boosting, logistic"),
        ("nowhere:make", "No module named 'nowhere'"),
        (3, "the learner is 3; expected an object with fit, predict"),
        (LinearRegression(), "LinearRegression is no classifier"),
        (lambda a, b: None, "cannot be made: TypeError"),
        (lambda: "text", "is 'text'; expected an object"),
    ],
)
def test_an_unusable_learner_is_refused_with_what_was_expected(given: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        learner_of(given, numbers())


def test_a_learner_that_fails_is_named_with_its_reason() -> None:
    table = toy()
    learner = learner_of(make_pipeline(GaussianNB()), table)  # text reaches it
    with pytest.raises(DataError, match=r"Pipeline\(GaussianNB\) failed in its fit on 120 rows"):
        fitted(learner, table)
    one = table.take(np.flatnonzero(table.labels == 0))
    with pytest.raises(DataError, match="all of one class"):
        fitted(learner_of("logistic", table), one)


def test_a_description_is_json_and_says_nothing_of_this_process() -> None:
    import json

    given = make_pipeline(OrdinalEncoder(dtype=np.float32), SGDClassifier(alpha=1e-3, n_jobs=2))
    text = json.dumps(learner_of(given, toy()).described())
    assert "0x" not in text
    assert json.loads(text)["params"]["sgdclassifier__alpha"] == 1e-3
    assert json.loads(text)["params"]["ordinalencoder__dtype"] == "<class 'numpy.float32'>"


def pictures(counts: tuple[int, ...] = (30, 30), seed: int = 0) -> Labelled:
    return drawn.pictures({f"class {k}": n for k, n in enumerate(counts)}, seed)


def linear(data: Labelled, *, seed: int, updates: int, weights: Any) -> Any:
    """A training function of one's own: softmax regression, its first weights from torch's RNG."""
    net = nn.Linear(data.pixels[0].size, len(data.names))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    x = torch.from_numpy(data.pixels.reshape(len(data), -1)).float() / 255
    y = torch.from_numpy(data.labels)
    loss = nn.CrossEntropyLoss(None if weights is None else torch.from_numpy(weights))
    for _ in range(updates):
        optimiser.zero_grad()
        loss(net(x), y).backward()
        optimiser.step()
    return lambda pixels: net(torch.from_numpy(pixels.reshape(len(pixels), -1)).float() / 255)


@pytest.mark.slow
@pytest.mark.parametrize("given", [None, "cnn", linear, LogisticRegression(), GaussianNB])
def test_every_kind_of_learner_learns_pictures(given: object) -> None:
    data, other = pictures(), pictures(seed=1)
    trains = given in (None, "cnn", linear)
    learner = learner_of(given, data, updates=40 if trains else None)
    scores = learner.fit(Training(data, data), 0).scores(other)
    assert (scores.called == other.labels).mean() > 0.8
    assert np.allclose(scores.values.sum(axis=1), 1)


@pytest.mark.parametrize("given", ["cnn", linear])
def test_a_seed_repeats_a_fit_byte_for_byte_and_leaves_the_global_generators(given: object) -> None:
    data = pictures()
    learner = learner_of(given, data, updates=3)
    before = torch.get_rng_state()
    first, again, other = (
        learner.fit(Training(data, data), seed).scores(data).values for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert torch.equal(torch.get_rng_state(), before)


def test_more_rows_are_not_more_training() -> None:
    seen: list[tuple[int, int]] = []

    def train(data: Labelled, *, seed: int, updates: int, weights: Any) -> Any:
        seen.append((len(data), updates))
        return lambda pixels: np.zeros((len(pixels), 2))

    few, many = pictures((6, 6)), pictures((60, 60))
    learner = learner_of(train, few, updates=17)
    for data in (few, many):
        learner.fit(Training(data, data), 0)
    assert seen == [(12, 17), (120, 17)]
    assert learner.described() == {"name": "train", "params": {}, "updates": 17}
    assert learner_of(None, few).described()["updates"] == UPDATES


def test_class_weights_reach_a_training_function_and_the_cnn() -> None:
    seen: list[Any] = []

    def train(data: Labelled, *, seed: int, updates: int, weights: Any) -> Any:
        seen.append(weights)
        return lambda pixels: np.zeros((len(pixels), 3))

    data = replace(pictures((30, 10)), class_names=("a", "b", "none of these"))
    learner = learner_of(train, data)
    learner.fit(Training(data, data), 0)
    learner.fit(Training(data, data, balanced=True), 0)
    assert seen[0] is None
    assert seen[1].tolist() == pytest.approx([2 / 3, 2, 0])
    assert seen[1].dtype == np.float32
    cnn = learner_of("cnn", data, updates=1)
    plain, balanced = (
        cnn.fit(Training(data, data, balanced=b), 0).scores(data).values for b in (False, True)
    )
    assert balanced[:, 1].mean() > plain[:, 1].mean()


def test_only_the_small_cnn_can_be_trained_by_other_methods() -> None:
    data = pictures()
    cnn = learner_of("cnn", data, updates=8)  # half of which paste patches
    methods = ("", *RIVALS)
    scores = {
        cnn.fit(Training(data, data, method=method), 0).scores(data).values.tobytes()
        for method in methods
    }
    assert len(scores) == len(methods)  # each trains otherwise
    assert cnn.methods == RIVALS
    assert learner_of(linear, data).methods == ()
    assert learner_of(GaussianNB(), data).methods == ()


def test_a_class_without_rows_is_never_called() -> None:
    data = pictures((30, 0, 30))
    scores = learner_of("cnn", data, updates=2).fit(Training(data, data), 0).scores(data)
    assert (scores.values[:, 1] == 0).all()
    assert 1 not in scores.called


@pytest.mark.parametrize(
    ("given", "updates", "words"),
    [
        ("boosting", None, "no learner 'boosting'; expected cnn, or module:name"),
        (GaussianNB(), 10, "updates=10: GaussianNB is not trained by updates"),
    ],
)
def test_wrong_learners_are_refused(given: object, updates: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        learner_of(given, pictures(), updates=updates)


@pytest.mark.parametrize(
    ("predicts", "words"),
    [
        (lambda pixels: np.zeros((len(pixels), 3)), r"logits of shape \(60, 3\).*\(60, 2\)"),
        (lambda pixels: np.full((len(pixels), 2), np.nan), "a finite number per row"),
        (lambda pixels: 1 / 0, "failed in its predictions: ZeroDivisionError"),
    ],
)
def test_predictions_that_are_no_logits_are_refused(predicts: Any, words: str) -> None:
    def train(data: Labelled, *, seed: int, updates: int, weights: Any) -> Any:
        return predicts

    data = pictures()
    with pytest.raises(DataError, match=words):
        learner_of(train, data).fit(Training(data, data), 0).scores(data)


def test_a_training_that_gives_nothing_or_fails_is_named() -> None:
    def gives_nothing(data: Any, *, seed: int, updates: int, weights: Any) -> Any:
        return None

    def fails(data: Any, *, seed: int, updates: int, weights: Any) -> Any:
        raise RuntimeError("no memory")

    data = pictures()
    with pytest.raises(UsageError, match="gives_nothing gives NoneType; expected a function"):
        learner_of(gives_nothing, data).fit(Training(data, data), 0)
    with pytest.raises(DataError, match="fails failed in its training on 60 rows: RuntimeError"):
        learner_of(fails, data).fit(Training(data, data), 0)
    one = data.take(np.arange(30))
    with pytest.raises(DataError, match="all of one class"):
        learner_of("cnn", one).fit(Training(one, one), 0)


SHORT = options(
    learner="logistic",
    generator=Noisy(),
    classes=("rare",),
    repeats=1,
    n_jobs=1,
    diagnostics=False,
)


def gaussian(seed: int, rare: int = 60, common: int = 540) -> Any:
    rng = np.random.default_rng(seed)
    y = np.array(["rare"] * rare + ["common"] * common)
    X = rng.normal(size=(len(y), 4)) + 0.6 * (y == "rare")[:, None]
    return read_frame(pd.DataFrame(X, columns=list("abcd")), y=y).table


@pytest.mark.parametrize(
    ("given", "rare"),
    [
        (LogisticRegression(class_weight="balanced"), 0.5),
        (make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")), 0.5),
        (RandomForestClassifier(5, class_weight="balanced_subsample"), 0.5),
        (BalancedRandomForestClassifier(5), 0.5),
        (LogisticRegression(class_weight={"rare": 3.0}), 0.25),
        (LogisticRegression(), 0.1),
    ],
)
def test_the_class_shares_that_a_learner_saw_count_its_own_weights(given: Any, rare: float) -> None:
    data = gaussian(0)
    fitted = learner_of(given, data).fit(Training(data, data), seed=0)
    assert fitted.shares[data.names.index("rare")] == pytest.approx(rare)
    y = np.array(data.names)[data.labels]
    fair = PriorCorrectedClassifier(given).fit(data.frame, y)
    assert fair.shares_.tolist() == fitted.shares.tolist()


@pytest.mark.slow
def test_repeats_are_worth_nothing_to_a_learner_that_weighs_classes_itself() -> None:
    learner = LogisticRegression(class_weight="balanced")
    gains = [
        evaluate(
            gaussian(seed), changed(SHORT, learner=learner, generator=Repeats(), seed=seed)
        ).result["verdict"]["difference"]["mean"]
        for seed in range(8)
    ]
    assert abs(np.mean(gains)) < 2.5 * np.std(gains, ddof=1) / np.sqrt(len(gains)) + 0.004


def test_classes_that_would_gain_no_row_are_not_topped_up() -> None:
    design = prepare(gaussian(0), changed(SHORT, classes="all")).design
    assert design.rare == ("rare",)
    with pytest.raises(DataError, match="nothing would be added to the classes common"):
        prepare(gaussian(0), changed(SHORT, classes=("common",)))


def test_columns_are_the_same_kind_for_the_learner_and_in_every_part() -> None:
    data = table()
    words = np.array([f"word {i % int(0.94 * len(data))}" for i in range(len(data))])
    design = prepare(replace(data, rows=data.frame.assign(word=words)), SHORT).design
    kinds = {
        column.kind
        for split in design.protocol.splits
        for column in design.part(split).schema.columns
        if column.name == "word"
    }
    assert kinds == {design.overrides["word"]}
