"""What is relied on where a decision is tuned."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from gan_augment.errors import DataError
from gan_augment.evaluation.decisions import (
    TAUS,
    Decision,
    Part,
    Scores,
    corrected,
    correction,
    tune,
)
from gan_augment.evaluation.figures import confusion, figure

EVEN, RARE = np.array([0.5, 0.5]), np.array([0.9, 0.1])


def scores(second: list[float]) -> Scores:
    """Of two classes, from the probability of the second."""
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
    decision = correction(given_scores, "balanced_accuracy")
    assert decision.called(given_scores, trained, real).tolist() == adjusted.tolist()
    likeliest = corrected(given_scores.values, trained, real).argmax(axis=1)
    decision = correction(given_scores, "accuracy")
    assert decision.called(given_scores, trained, real).tolist() == likeliest.tolist()


def test_scores_that_are_no_probabilities_are_not_corrected():
    for kind, values in (("decision", np.zeros((3, 2))), ("none", None)):
        assert correction(Scores(np.zeros(3, int), values, kind), "macro_f1") == Decision()
    assert correction(scores([0.2]), "average_precision") == Decision()


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


def test_a_threshold_acts_on_corrected_log_odds():
    given_scores = scores([0.4, 0.8])
    odds = np.log(0.4 / 0.6 * 0.1 / 0.9), np.log(0.8 / 0.2 * 0.1 / 0.9)
    rule = Decision("threshold", float(np.mean(odds)))
    assert rule.called(given_scores, EVEN, RARE).tolist() == [0, 1]
    assert Decision("threshold", float(odds[1]) - 1e-9).called(
        given_scores, EVEN, RARE
    ).tolist() == [0, 1]
    assert Decision().called(given_scores, EVEN, RARE).tolist() == [0, 1]
    assert Decision("threshold", 0.0).called(given_scores, EVEN, RARE).tolist() == [0, 0]


def test_tau_one_is_the_balanced_decision_and_tau_zero_the_most_likely_class():
    given_scores, _, real = drawn(0, 3)
    p = given_scores.values
    assert Decision("tau", 1.0).called(given_scores, real, real).tolist() == (
        (p / real).argmax(axis=1).tolist()
    )
    assert Decision("tau", 0.0).called(given_scores, real, real).tolist() == (
        p.argmax(axis=1).tolist()
    )


@given(st.integers(0, 1000), st.integers(2, 4))
def test_topping_up_alone_changes_no_tuned_decision(seed, classes):
    """The same evidence, once of a learner that saw even shares: the same calls, tuned."""
    seen, labels, real = drawn(seed, classes)
    even = np.full(classes, 1 / classes)
    p = corrected(seen.values, real, even)
    topped_up = Scores(p.argmax(axis=1), p, "probability")
    rule = tune([Part(seen, labels, real, real)], "macro_f1", range(classes))
    again = tune([Part(topped_up, labels, even, real)], "macro_f1", range(classes))
    assert rule.rule == again.rule
    assert rule.value == pytest.approx(again.value, abs=1e-9)
    assert (rule.called(seen, real, real) == again.called(topped_up, even, real)).all()


def test_decision_values_are_taken_as_they_are():
    given_scores = Scores(np.array([0, 1]), np.array([[0, -2.0], [0, 3.0]]), "decision")
    assert Decision("threshold", -2.5).called(given_scores, EVEN, RARE).tolist() == [1, 1]
    rule = tune([Part(given_scores, np.array([0, 1]), EVEN, RARE)], "accuracy", [0, 1])
    assert rule == Decision("threshold", 0.5)


def test_a_class_that_was_never_seen_is_never_called():
    p = np.array([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]])
    given_scores = Scores(p.argmax(axis=1), p, "probability")
    trained, real = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.499999, 0.000001])
    for tau in TAUS:
        assert Decision("tau", tau).called(given_scores, trained, real).max() < 2
    two = Scores(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]), "probability")
    alone = np.array([1.0, 0.0])
    rule = tune([Part(two, np.array([0, 1]), alone, alone)], "balanced_accuracy", [0, 1])
    assert np.isfinite(rule.value)


def test_without_scores_or_for_ranks_the_default_stands():
    silent = Scores(np.array([0, 1]), None, "none")
    part = Part(silent, np.array([0, 1]), EVEN, RARE)
    assert tune([part], "balanced_accuracy", [0, 1]) == Decision()
    spoken = Part(scores([0.2, 0.9]), np.array([0, 1]), EVEN, RARE)
    assert tune([spoken], "average_precision", [0, 1]) == Decision()
    assert tune([spoken, part], "balanced_accuracy", [0, 1]) == Decision()
    assert tune([], "balanced_accuracy", [0, 1]) == Decision()
    assert tune([spoken], "balanced_accuracy", []) == Decision()
    assert Decision("threshold", 0.0).called(silent, EVEN, RARE).tolist() == [0, 1]


# tuning


def brute_force(parts: list[Part], metric: str, evaluated: range) -> list[tuple[float, float]]:
    """[(figure, cut)] of every cut between rows, one row at a time."""
    p = [corrected(part.scores.values, part.trained, part.real) for part in parts]
    odds = np.concatenate([np.log(q[:, 1]) - np.log(q[:, 0]) for q in p])
    labels = np.concatenate([part.labels for part in parts])
    distinct = sorted(set(odds.tolist()))
    cuts = [(a + b) / 2 for a, b in pairwise(distinct)]
    found = []
    for cut in [distinct[0] - 1, *cuts, distinct[-1] + 1]:
        called = np.array([int(value > cut) for value in odds])
        found.append((figure(metric, confusion(labels, called, 2), evaluated), cut))
    return found


def one_standard_error(metric: str, called: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Of accuracy or mean recall, from shares of rows; 0 for macro-F1."""
    if metric == "macro_f1":
        return 0.0
    if metric == "accuracy":
        return float(np.std(called == labels) / np.sqrt(len(labels)))
    parts = [np.std(called[labels == c] == c) ** 2 / (labels == c).sum() for c in range(k)]
    return float(np.sqrt(sum(parts)) / k)


@given(st.integers(0, 10_000), st.sampled_from(["balanced_accuracy", "macro_f1", "accuracy"]))
def test_the_threshold_is_the_nearest_to_right_among_cuts_as_good_as_the_best(seed, metric):
    parts = []
    for part in range(3):
        seen, labels, real = drawn(seed + part, 2, n=20)
        parts.append(Part(seen, labels, np.full(2, 0.5), real))
    rule = tune(parts, metric, range(2))
    found = brute_force(parts, metric, range(2))
    best, cut = max(found, key=lambda pair: pair[0])
    labels = np.concatenate([p.labels for p in parts])

    def called(value: float) -> np.ndarray:
        decision = Decision("threshold", value)
        return np.concatenate([decision.called(p.scores, p.trained, p.real) for p in parts])

    allowed = max(one_standard_error(metric, called(cut), labels, 2), 1e-12)
    pooled = np.mean([part.real for part in parts], axis=0)
    right = 0.0 if metric == "accuracy" else np.log(pooled[1] / pooled[0])
    far = min(abs(cut - right) for value, cut in found if value >= best - allowed)
    assert abs(rule.value - right) == pytest.approx(far, abs=1e-9)
    reached = figure(metric, confusion(labels, called(rule.value), 2), range(2))
    assert reached >= best - allowed - 1e-9


@given(st.integers(0, 10_000), st.sampled_from(["balanced_accuracy", "macro_f1"]))
def test_tau_is_the_nearest_to_one_among_those_as_good_as_the_best(seed, metric):
    seen, labels, real = drawn(seed, 4)
    part = Part(seen, labels, np.full(4, 0.25), real)
    rule = tune([part], metric, range(4))
    calls = {tau: Decision("tau", tau).called(seen, part.trained, real) for tau in TAUS}
    values = {
        tau: figure(metric, confusion(labels, called, 4), range(4)) for tau, called in calls.items()
    }
    best = max(values, key=lambda tau: values[tau])
    allowed = max(one_standard_error(metric, calls[best], labels, 4), 1e-12)
    equal = [tau for tau, value in values.items() if value >= values[best] - allowed]
    assert rule.rule == "tau"
    assert abs(rule.value - 1) == min(abs(tau - 1) for tau in equal)


def test_a_threshold_by_hand():
    given_scores = scores([0.1, 0.2, 0.3, 0.4, 0.6])
    labels = np.array([0, 0, 1, 0, 1])
    rule = tune([Part(given_scores, labels, RARE, RARE)], "macro_f1", [0, 1])
    expected = (np.log(0.2 / 0.8) + np.log(0.3 / 0.7)) / 2  # F1 4/5 and 4/5
    assert rule == Decision("threshold", pytest.approx(expected))


def test_equal_scores_are_never_parted():
    given_scores = scores([0.3, 0.3, 0.3, 0.7])
    labels = np.array([0, 1, 0, 1])
    rule = tune([Part(given_scores, labels, RARE, RARE)], "balanced_accuracy", [0, 1])
    assert rule.called(given_scores, RARE, RARE).tolist() == [0, 0, 0, 1]


def test_neighbouring_floats_are_told_apart():
    low = 1e8
    high = np.nextafter(low, 2e8)
    values = np.array([[0.0, low], [0.0, high]])
    given_scores = Scores(np.array([0, 0]), values, "decision")
    rule = tune([Part(given_scores, np.array([0, 1]), EVEN, EVEN)], "accuracy", [0, 1])
    assert rule.called(given_scores, EVEN, EVEN).tolist() == [0, 1]


# files, and what is refused


def test_scores_that_cannot_be_are_refused():
    called = np.zeros(2, dtype=np.int64)
    with pytest.raises(DataError, match="hold NaN"):
        Scores(called, np.array([[0.5, 0.5], [np.nan, 0.5]]), "probability")
    with pytest.raises(DataError, match=r"beyond 0\.\.1"):
        Scores(called, np.array([[0.5, 0.5], [-1.0, 2.0]]), "probability")
    with pytest.raises(DataError, match="one row of scores a row"):
        Scores(called, np.array([[0.5, 0.5]]), "probability")
    with pytest.raises(DataError, match="'none' is without values"):
        Scores(called, np.array([[0.5, 0.5], [0.5, 0.5]]), "none")
    Scores(called, np.array([[0.5, -np.inf], [1.0, 2.0]]), "decision")
