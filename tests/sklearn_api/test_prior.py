"""`PriorCorrectedClassifier`: its equation, its weights, its place among scikit-learn's tools."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gan_augment import PriorCorrectedClassifier, UsageError

X, Y = make_classification(
    600, 6, n_informative=4, n_classes=3, weights=[0.8, 0.15], random_state=0
)
Y = np.array(["a", "b", "c"])[Y]
SHARES = np.array([np.mean(label == Y) for label in "abc"])


@pytest.mark.parametrize(
    ("prior", "shares"),
    [("uniform", [1, 1, 1]), ([2, 1, 1], [2, 1, 1]), ({"c": 3, "a": 1, "b": 0}, [1, 0, 3])],
)
def test_probabilities_are_those_of_saerens_equation(prior, shares):
    plain = LogisticRegression().fit(X, Y)
    fair = PriorCorrectedClassifier(LogisticRegression(), prior).fit(X, Y)
    expected = plain.predict_proba(X) * np.array(shares) / SHARES
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fair.predict_proba(X), expected)
    assert (fair.predict(X) == plain.classes_[expected.argmax(axis=1)]).all()
    np.testing.assert_allclose(fair.shares_, SHARES)


def test_the_trained_shares_as_prior_change_nothing():
    fair = PriorCorrectedClassifier(GaussianNB(), SHARES).fit(X, Y)
    np.testing.assert_allclose(fair.predict_proba(X), GaussianNB().fit(X, Y).predict_proba(X))


def test_a_generative_model_with_uniform_priors_is_met_exactly():
    fair = PriorCorrectedClassifier(GaussianNB()).fit(X, Y)
    even = GaussianNB(priors=[1 / 3] * 3).fit(X, Y)
    np.testing.assert_allclose(fair.predict_proba(X), even.predict_proba(X), atol=1e-9)


def test_weights_and_class_weights_count_in_the_shares():
    weights = np.where(Y == "c", 10.0, 1.0)
    fair = PriorCorrectedClassifier(LogisticRegression()).fit(X, Y, sample_weight=weights)
    sums = np.array([weights[label == Y].sum() for label in "abc"])
    np.testing.assert_allclose(fair.shares_, sums / sums.sum())
    balanced = LogisticRegression(class_weight="balanced")
    for learner in (balanced, make_pipeline(StandardScaler(), balanced)):
        fair = PriorCorrectedClassifier(learner).fit(X, Y)
        np.testing.assert_allclose(fair.shares_, [1 / 3] * 3)
        np.testing.assert_allclose(fair.predict_proba(X), fair.estimator_.predict_proba(X))


def test_searches_calibration_and_pipelines_take_it():
    model = make_pipeline(StandardScaler(), PriorCorrectedClassifier(LogisticRegression()))
    grid = {"priorcorrectedclassifier__estimator__C": [0.1, 1.0]}
    found = GridSearchCV(model, grid, scoring="balanced_accuracy").fit(X, Y)
    assert found.predict(X).shape == Y.shape
    calibrated = CalibratedClassifierCV(PriorCorrectedClassifier(LogisticRegression())).fit(X, Y)
    assert calibrated.predict_proba(X).shape == (600, 3)


def test_weights_are_routed_where_they_are_requested():
    weights = np.where(Y == "c", 10.0, 1.0)
    with config_context(enable_metadata_routing=True):
        learner = LogisticRegression().set_fit_request(sample_weight=True)
        fair = PriorCorrectedClassifier(learner).set_fit_request(sample_weight=True)
        fair.fit(X, Y, sample_weight=weights)
        expected = LogisticRegression().fit(X, Y, sample_weight=weights)
        np.testing.assert_allclose(fair.estimator_.coef_, expected.coef_)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = make_pipeline(scaler, fair).fit(X, Y, sample_weight=weights)
    assert model[-1].shares_[2] > 0.3


@pytest.mark.parametrize(
    ("learner", "prior", "words"),
    [
        (RidgeClassifier(), "uniform", "RidgeClassifier has no predict_proba"),
        (LogisticRegression(), "even", "expected 'uniform'"),
        (LogisticRegression(), [0.5, 0.5], "each of the classes a, b, c"),
        (LogisticRegression(), {"a": 1, "b": 1}, "each of the classes"),
        (LogisticRegression(), [-1, 1, 1], "each of the classes"),
    ],
)
def test_what_cannot_be_corrected_is_refused(learner, prior, words):
    with pytest.raises(UsageError, match=words):
        PriorCorrectedClassifier(learner, prior).fit(X, Y)
