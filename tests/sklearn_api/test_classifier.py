"""`AugmentedClassifier`: fitted rows, weights, decisions, composition, amount="auto"."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from gan_augment import AugmentedClassifier, TabularGAN
from gan_augment.errors import UsageError
from gan_augment.sklearn_api.classifier import LADDER, AmountSampler


def test_real_rows_come_first_and_the_classes_are_balanced(blobs, quick, recorder):
    X, y = blobs
    model = AugmentedClassifier(recorder(), quick()).fit(X, y)
    seen, labels, weights = model.estimator_.seen_
    assert (seen[:120] == X).all()
    assert (labels[:120] == y).all()
    assert Counter(labels.tolist()) == {0: 96, 1: 96}
    assert weights is None
    assert Counter(model.origin_.tolist()) == {"real": 120, "synthetic": 36, "repeat": 36}
    for method in ("predict", "predict_proba", "decision_function"):
        own = getattr(model.estimator_, method)
        assert (getattr(model, method)(X) == own(X)).all(), "predicting adds nothing"


def test_coefficients_and_importances_are_those_of_the_estimator(blobs, quick):
    linear = AugmentedClassifier(
        LogisticRegression(), quick(source="repeats"), decision="corrected"
    )
    tree = AugmentedClassifier(DecisionTreeClassifier(), quick(source="repeats"))
    assert not hasattr(linear, "coef_")
    linear, tree = linear.fit(*blobs), tree.fit(*blobs)
    assert linear.coef_.tolist() == linear.estimator_.estimator_.coef_.tolist()
    assert tree.feature_importances_.sum() == pytest.approx(1)
    assert not hasattr(tree, "coef_")


@pytest.mark.parametrize("inner", [False, True], ids=["alone", "last in a pipeline"])
def test_weights_of_real_rows_are_passed_on_and_new_rows_weigh_one(blobs, quick, recorder, inner):
    X, y = blobs
    weights = np.linspace(0.5, 2, 120)
    estimator = make_pipeline(StandardScaler(), recorder()) if inner else recorder()
    model = AugmentedClassifier(estimator, quick()).fit(X, y, sample_weight=weights)
    last = model.estimator_[-1] if inner else model.estimator_
    assert last.seen_[2].tolist() == [*weights, *[1] * 72]


def test_weights_are_routed_by_the_requests_of_a_pipelines_steps(blobs, quick, recorder):
    X, y = blobs
    weights = np.linspace(0.5, 2, 120)
    with config_context(enable_metadata_routing=True):
        last = recorder().set_fit_request(sample_weight=True)
        inner = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), last)
        model = AugmentedClassifier(inner, quick()).set_fit_request(sample_weight=True)
        outer = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        fitted = outer.fit(X, y, sample_weight=weights)[-1].estimator_[-1]
    assert (fitted.seen_[2][:120] == weights).all()


def test_frames_with_texts_and_holes_reach_the_estimator_as_frames(quick):
    rng = np.random.default_rng(0)
    y = np.array(["no"] * 50 + ["yes"] * 14)
    frame = pd.DataFrame(
        {
            "colour": rng.choice(["red", "green"], 64),
            "size": np.where(rng.random(64) < 0.2, np.nan, rng.normal(size=64)),
        }
    )
    prepare = make_column_transformer((OneHotEncoder(), ["colour"]), (SimpleImputer(), ["size"]))
    model = AugmentedClassifier(make_pipeline(prepare, LogisticRegression()), quick())
    model.fit(frame, y)
    assert model.predict(frame).shape == (64,)
    assert model.feature_names_in_.tolist() == ["colour", "size"]


def test_any_over_sampler_of_imbalanced_learn_will_do(blobs):
    X, y = blobs
    for sampler in (SMOTE(random_state=0), RandomOverSampler(random_state=0)):
        model = AugmentedClassifier(LogisticRegression(), sampler).fit(X, y)
        assert not hasattr(model, "origin_")
        expected = clone(sampler).fit_resample(X, y)
        assert model.estimator_.coef_ == pytest.approx(LogisticRegression().fit(*expected).coef_)


def test_the_arguments_stay_unfitted_and_unchanged(blobs, quick):
    X, y = blobs
    before = X.copy(), y.copy()
    model = AugmentedClassifier(LogisticRegression(), quick(random_state=None), "auto")
    model.fit(X, y)
    assert not hasattr(model.augmenter, "generator_")
    assert not hasattr(model.estimator, "coef_")
    assert model.augmenter.random_state is None
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


@pytest.mark.slow
@pytest.mark.parametrize("amount", [None, "auto"])
def test_it_goes_where_classifiers_go(blobs, quick, amount):
    X, y = blobs
    model = AugmentedClassifier(LogisticRegression(), quick(), amount=amount)
    assert make_pipeline(StandardScaler(), model).fit(X, y).score(X, y) > 0.5
    found = cross_validate(model, X, y, cv=3, scoring="balanced_accuracy", error_score="raise")
    assert found["test_score"].shape == (3,)
    grid = GridSearchCV(model, {"estimator__C": [0.1, 1.0]}, cv=2, error_score="raise").fit(X, y)
    assert grid.best_params_.keys() == {"estimator__C"}
    calibrated = CalibratedClassifierCV(model, cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (120, 2)
    tuned = TunedThresholdClassifierCV(model, cv=2).fit(X, y)
    assert 0 < tuned.best_threshold_ < 1


@pytest.mark.parametrize("weight", [None, 4.0])
@pytest.mark.parametrize("inner", [False, True], ids=["alone", "last in a pipeline"])
def test_the_corrected_decision_is_for_the_shares_of_the_topped_up_rows(
    blobs, quick, weight, inner
):
    X, y = blobs
    weights = None if weight is None else np.where(y == 1, weight, 1.0)
    own, fair = (
        AugmentedClassifier(
            make_pipeline(StandardScaler(), LogisticRegression()) if inner else GaussianNB(),
            quick(sampling_strategy={1: 48}),
            decision=decision,
        ).fit(X, y, sample_weight=weights)
        for decision in ("own", "corrected")
    )
    rare = 48 if weight is None else 24 * weight + 24
    np.testing.assert_allclose(fair.estimator_.shares_, np.array([96, rare]) / (96 + rare))
    expected = own.predict_proba(X) / [96, rare]
    expected /= expected.sum(axis=1, keepdims=True)
    assert fair.predict_proba(X) == pytest.approx(expected)
    assert (fair.predict(X) == expected.argmax(axis=1)).all()
    assert hasattr(own, "decision_function") == inner
    assert not hasattr(fair, "decision_function")


def test_auto_tries_the_corrected_decision_too(quick):
    rng = np.random.default_rng(0)
    y = rng.permutation([0] * 270 + [1] * 30)
    X = rng.normal(size=(300, 1)) + y[:, None]
    model = AugmentedClassifier(GaussianNB(), quick(), "auto").fit(X, y)
    found = model.search_.cv_results_
    scores = dict(zip(map(str, found["params"]), found["mean_test_score"], strict=True))
    free = [score for name, score in scores.items() if "'augmenter__to': 0.0" in name]
    assert free[1] > free[0] + 0.05


@pytest.mark.parametrize(
    ("estimator", "params", "why"),
    [
        (GaussianNB(), {"amount": "automatic"}, "expected None or 'auto'"),
        (GaussianNB(), {"amount": ("gan", 0.5)}, "expected None or 'auto'"),
        (GaussianNB(), {"augmenter": SMOTE(), "amount": "auto"}, "SMOTE"),
        (GaussianNB(), {"augmenter": RandomUnderSampler()}, "RandomUnderSampler"),
        (GaussianNB(), {"augmenter": StandardScaler()}, "StandardScaler"),
        (LinearSVC(), {"decision": "corrected"}, "CalibratedClassifierCV"),
        (GaussianNB(), {"decision": "fair"}, "expected 'own' or 'corrected'"),
    ],
)
def test_what_cannot_be_met_is_refused_before_anything_is_fitted(
    blobs, monkeypatch, estimator, params, why
):
    monkeypatch.setattr(TabularGAN, "fit", None)
    with pytest.raises(UsageError, match=why):
        AugmentedClassifier(estimator, **params).fit(*blobs)


def test_auto_is_a_grid_search_that_repeats_itself_by_its_seed(blobs, quick):
    X, y = blobs
    chosen, again = (
        AugmentedClassifier(LogisticRegression(), quick(), "auto").fit(X, y) for _ in range(2)
    )
    assert isinstance(chosen.search_, GridSearchCV)
    tried = chosen.search_.cv_results_["params"]
    assert len(tried) == len(LADDER) + 1
    assert [rung["decision"] for rung in tried].count("corrected") == 1
    assert np.isfinite(chosen.search_.cv_results_["mean_test_score"]).all()
    assert (again.predict_proba(X) == chosen.predict_proba(X)).all()
    assert chosen.n_features_in_ == 2
    model = AugmentedClassifier(LogisticRegression(), quick(), "auto", "precision").fit(X, y)
    assert model.search_.best_params_["augmenter__to"] == 0
    assert (model.estimator_.coef_ == LogisticRegression().fit(X, y).coef_).all()
    assert set(model.origin_) == {"real"}


@pytest.mark.parametrize(
    ("source", "added"),
    [("repeats", {"repeat": 24}), ("smote", {"synthetic": 24}),
     ("gan", {"repeat": 12, "synthetic": 12})],
)  # fmt: skip
def test_an_amount_brings_every_class_to_that_fraction(blobs, quick, source, added):
    sampler = AmountSampler(quick(), source, 0.5)
    _, y = sampler.fit_resample(*blobs)
    assert Counter(y.tolist()) == {0: 96, 1: 48}
    assert Counter(sampler.origin_.tolist()) == {"real": 120, **added}


def test_auto_tries_every_source_where_cells_are_missing(quick):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.choice(["x", "y"], 60)})
    frame.loc[::5, "a"] = np.nan
    y = np.array(["no"] * 45 + ["yes"] * 15)
    prepare = make_column_transformer((OneHotEncoder(), ["b"]), (SimpleImputer(), ["a"]))
    scoring = make_scorer(recall_score, pos_label="yes")
    model = AugmentedClassifier(make_pipeline(prepare, GaussianNB()), quick(), "auto", scoring)
    found = model.fit(frame, y).search_.cv_results_
    assert not np.isnan(found["mean_test_score"]).any()
    assert "smote" in {params.get("augmenter__source") for params in found["params"]}


def test_auto_keeps_groups_together_and_shares_one_gan_per_fold(blobs, quick, trained_on):
    X, y = blobs
    order = np.argsort(y, kind="stable")
    groups = np.arange(120) // 4
    model = AugmentedClassifier(GaussianNB(), quick(), "auto")
    model.fit(X[order], y[order], groups=groups)
    for seen, held in model.search_.cv:
        assert not set(groups[seen]) & set(groups[held])
    assert sum(len(data) < 120 for data in trained_on) == 5


@pytest.mark.slow
@pytest.mark.parametrize("amount", [None, "auto"])
def test_no_held_out_row_of_a_cross_validation_is_seen(amount, trained_on, quick):
    rng = np.random.default_rng(1)
    y = rng.permutation([0] * 96 + [1] * 40)
    X = rng.normal(size=(136, 2)) + 1.2 * y[:, None]
    rows = np.arange(100), np.arange(100, 136)
    model = AugmentedClassifier(LogisticRegression(), quick(), amount)
    cross_validate(model, X, y, cv=[rows], error_score="raise")
    seen = {row for data in trained_on for row in map(tuple, data.frame.to_numpy())}
    assert seen
    assert seen <= set(map(tuple, X[:100]))
