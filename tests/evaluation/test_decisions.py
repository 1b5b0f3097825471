"""Facts about scores and the decision that is corrected for class shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from gan_augment.errors import DataError
from gan_augment.evaluation.decisions import Scores, corrected, corrected_decision

EVEN, RARE = np.array([0.5, 0.5]), np.array([0.9, 0.1])


def scores(second: list[float]) -> Scores:
    """Return scores of two classes from the probability of the second."""
    p = np.array(second)
    return Scores((p > 0.5).astype(np.int64), np.stack([1 - p, p], axis=1), "probability")


def drawn(seed: int, classes: int, n: int = 60) -> tuple[Scores, np.ndarray, np.ndarray]:
    """(scores, labels, real shares), probabilities that know something."""
    rng = np.random.default_rng(seed)
    real = rng.dirichlet(np.full(classes, 2.0)) * 0.9 + 0.1 / classes
    labels = np.concatenate([np.arange(classes), rng.choice(classes, n - classes, p=real)])
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Scores(p.argmax(axis=1), p, "probability"), labels, real


# correcting the class shares


def test_the_correction_by_hand():
    found = corrected(np.array([[0.4, 0.6]]), trained=EVEN, real=np.array([0.8, 0.2]))
    assert found[0].tolist() == pytest.approx([0.64 / (0.64 + 0.24), 0.24 / (0.64 + 0.24)])


@given(st.integers(0, 1000), st.integers(2, 5))
def test_a_correction_leaves_the_trained_shares_and_can_be_undone(seed, classes):
    given_scores, _, real = drawn(seed, classes)
    even = np.full(classes, 1 / classes)
    p = given_scores.values
    assert corrected(p, real, real) == pytest.approx(p)
    assert corrected(corrected(p, even, real), real, even) == pytest.approx(p)
    assert corrected(p, even, real).sum(axis=1) == pytest.approx(1)


@given(st.integers(0, 1000), st.integers(2, 5))
def test_the_corrected_decision_is_logit_adjustment(seed, classes):
    """Menon et al. 2021, section 4.1: logits minus tau log(trained shares), tau = 1."""
    given_scores, _, real = drawn(seed, classes)
    trained = real[::-1]
    adjusted = (np.log(given_scores.values) - np.log(trained)).argmax(axis=1)
    found = corrected_decision(given_scores, trained, real, "balanced_accuracy")
    assert found.tolist() == adjusted.tolist()
    likeliest = corrected(given_scores.values, trained, real).argmax(axis=1)
    found = corrected_decision(given_scores, trained, real, "accuracy")
    assert found.tolist() == likeliest.tolist()


def test_only_probabilities_are_corrected_and_no_ranking():
    for kind, values in (("decision", np.zeros((3, 2))), ("none", None)):
        silent = Scores(np.zeros(3, int), values, kind)
        assert corrected_decision(silent, EVEN, RARE, "macro_f1") is None
    assert corrected_decision(scores([0.2]), EVEN, RARE, "average_precision") is None


def test_a_correction_is_bayes_rule_for_two_gaussians():
    x = np.linspace(-4, 4, 9)
    likelihood = np.stack([np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 2)], axis=1)
    exact = likelihood * RARE / (likelihood * RARE).sum(axis=1, keepdims=True)
    even = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert corrected(even, EVEN, RARE) == pytest.approx(exact)


def test_a_corrected_logistic_regression_is_one_trained_by_balanced_softmax():
    """Ren et al. 2020 add log shares to the logits in training; a free intercept takes them up."""
    rng, k, c = np.random.default_rng(0), 3, 0.05
    y = np.repeat(np.arange(k), [80, 15, 5])
    x = rng.standard_normal((len(y), 4)) + np.eye(k, 4)[y]
    shares = np.bincount(y) / len(y)

    def balanced_softmax(flat):
        weights = flat.reshape(5, k)
        logits = x @ weights[:4] + weights[4] + np.log(shares)
        p = softmax(logits, axis=1)
        error = (p - np.eye(k)[y]) * c
        loss = -c * np.log(p[np.arange(len(y)), y]).sum() + 0.5 * (weights[:4] ** 2).sum()
        slope = np.concatenate([x.T @ error + weights[:4], error.sum(axis=0)[None]])
        return loss, slope.ravel()

    best = minimize(balanced_softmax, np.zeros(5 * k), jac=True, tol=1e-12).x.reshape(5, k)
    exact = softmax(x @ best[:4] + best[4], axis=1)
    plain = LogisticRegression(C=c, tol=1e-10, max_iter=1000).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(corrected(plain, shares, np.full(k, 1 / k)), exact, atol=1e-4)


def test_a_class_that_was_not_trained_on_stays_at_0():
    real = np.array([0.5, 0.3, 0.2])
    found = corrected(np.array([[0.7, 0.3, 0.0]]), np.array([0.5, 0.5, 0.0]), real)
    assert found[0, 2] == 0
    assert found.sum() == pytest.approx(1)
    nothing = corrected(np.array([[0.0, 0.0, 1.0]]), np.array([0.5, 0.5, 0.0]), real)
    assert nothing[0].tolist() == pytest.approx([0.625, 0.375, 0])


# decisions


@given(st.integers(0, 1000), st.integers(2, 4))
def test_topping_up_alone_changes_no_corrected_decision(seed, classes):
    """The same evidence from a learner that saw even shares gives the same calls."""
    seen, _, real = drawn(seed, classes)
    even = np.full(classes, 1 / classes)
    p = corrected(seen.values, real, even)
    topped_up = Scores(p.argmax(axis=1), p, "probability")
    before = corrected_decision(seen, real, real, "macro_f1")
    after = corrected_decision(topped_up, even, real, "macro_f1")
    assert before.tolist() == after.tolist()


def test_a_class_that_was_never_seen_is_never_called():
    p = np.array([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]])
    given_scores = Scores(p.argmax(axis=1), p, "probability")
    trained, real = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.499999, 0.000001])
    for metric in ("balanced_accuracy", "accuracy"):
        assert corrected_decision(given_scores, trained, real, metric).max() < 2


def test_scores_that_cannot_be_are_refused():
    called = np.zeros(2, dtype=np.int64)
    with pytest.raises(DataError, match="NaN"):
        Scores(called, np.array([[0.5, 0.5], [np.nan, 0.5]]), "probability")
    with pytest.raises(DataError, match=r"outside 0\.\.1"):
        Scores(called, np.array([[0.5, 0.5], [-1.0, 2.0]]), "probability")
    with pytest.raises(DataError, match="for 2 rows"):
        Scores(called, np.array([[0.5, 0.5]]), "probability")
    Scores(called, np.array([[0.5, -np.inf], [1.0, 2.0]]), "decision")
