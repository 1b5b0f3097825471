"""Metrics, scores, and the decision that is corrected for class shares."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from gan_augment.errors import DataError
from gan_augment.evaluation.decisions import (
    METRICS,
    Scores,
    average_precisions,
    calibration,
    confusion,
    corrected,
    corrected_decision,
    figures_of,
    split_figures,
)

EVEN, RARE = np.array([0.5, 0.5]), np.array([0.9, 0.1])


def scores(second: list[float]) -> Scores:
    """Return scores of two classes from the probability of the second."""
    p = np.array(second)
    return Scores((p > 0.5).astype(np.int64), np.stack([1 - p, p], axis=1))


def drawn(seed: int, classes: int, n: int = 60) -> tuple[Scores, np.ndarray, np.ndarray]:
    """(scores, labels, real shares), probabilities that know something."""
    rng = np.random.default_rng(seed)
    real = rng.dirichlet(np.full(classes, 2.0)) * 0.9 + 0.1 / classes
    labels = np.concatenate([np.arange(classes), rng.choice(classes, n - classes, p=real)])
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Scores(p.argmax(axis=1), p), labels, real


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
    silent = Scores(np.zeros(3, int), None)
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
    topped_up = Scores(p.argmax(axis=1), p)
    before = corrected_decision(seen, real, real, "macro_f1")
    after = corrected_decision(topped_up, even, real, "macro_f1")
    assert before.tolist() == after.tolist()


def test_a_class_that_was_never_seen_is_never_called():
    p = np.array([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]])
    given_scores = Scores(p.argmax(axis=1), p)
    trained, real = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.499999, 0.000001])
    for metric in ("balanced_accuracy", "accuracy"):
        assert corrected_decision(given_scores, trained, real, metric).max() < 2


def test_scores_that_cannot_be_are_refused():
    called = np.zeros(2, dtype=np.int64)
    with pytest.raises(DataError, match="NaN"):
        Scores(called, np.array([[0.5, 0.5], [np.nan, 0.5]]))
    with pytest.raises(DataError, match=r"outside 0\.\.1"):
        Scores(called, np.array([[0.5, 0.5], [-1.0, 2.0]]))
    with pytest.raises(DataError, match="for 2 rows"):
        Scores(called, np.array([[0.5, 0.5]]))


COUNTS = np.array([[8, 2, 0], [1, 3, 0], [4, 1, 1]])


@st.composite
def called_rows(draw):
    """(labels, called, K), every class with a row."""
    classes = draw(st.integers(2, 5))
    labels = list(range(classes)) + draw(st.lists(st.integers(0, classes - 1), max_size=40))
    called = draw(st.lists(st.integers(0, classes - 1), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(called), classes


def test_the_metrics_by_hand():
    recalls = 8 / 10, 3 / 4, 1 / 6
    f1 = 16 / (10 + 13), 6 / (4 + 6), 2 / (6 + 1)
    assert figures_of("balanced_accuracy", COUNTS, [0, 1, 2]) == pytest.approx(sum(recalls) / 3)
    assert figures_of("macro_f1", COUNTS, [0, 1, 2]) == pytest.approx(sum(f1) / 3)
    assert figures_of("g_mean", COUNTS, [0, 1, 2]) == pytest.approx(np.prod(recalls) ** (1 / 3))
    assert figures_of("accuracy", COUNTS, [0, 1, 2]) == pytest.approx(12 / 20)


def test_metrics_are_over_the_evaluated_classes_but_no_row_is_dropped():
    assert figures_of("balanced_accuracy", COUNTS, [0, 1]) == pytest.approx((0.8 + 0.75) / 2)
    f1 = 16 / (10 + 13), 6 / (4 + 6)  # the six rows of class 2 still count where they were called
    assert figures_of("macro_f1", COUNTS, [0, 1]) == pytest.approx(sum(f1) / 2)
    assert figures_of("accuracy", COUNTS, [0, 1]) == pytest.approx(12 / 20)


def test_a_class_that_is_never_called_scores_0():
    counts = np.array([[5, 0], [3, 0]])
    assert figures_of("balanced_accuracy", counts, [0, 1]) == 0.5
    assert figures_of("macro_f1", counts, [0, 1]) == pytest.approx(10 / 13 / 2)
    assert figures_of("g_mean", counts, [0, 1]) == 0


def test_a_class_without_test_rows_does_not_count():
    counts = np.array([[4, 0, 1], [0, 0, 0], [1, 0, 1]])
    for metric in ("balanced_accuracy", "macro_f1", "g_mean"):
        assert figures_of(metric, counts, [0, 1, 2]) == figures_of(metric, counts, [0, 2])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "g_mean", "accuracy"])
def test_without_test_rows_there_is_no_figure(metric: str):
    assert np.isnan(figures_of(metric, np.zeros((2, 2), dtype=np.int64), [0, 1]))


@given(called_rows())
def test_the_metrics_agree_with_scikit_learn(rows):
    labels, called, classes = rows
    counts, names = confusion(labels, called, classes), range(classes)
    recalls = metrics.recall_score(labels, called, labels=names, average=None, zero_division=0)
    f1 = metrics.f1_score(labels, called, labels=names, average="macro", zero_division=0)
    assert counts.tolist() == metrics.confusion_matrix(labels, called, labels=names).tolist()
    assert figures_of("balanced_accuracy", counts, names) == pytest.approx(
        recalls.mean(), abs=1e-14
    )
    assert figures_of("macro_f1", counts, names) == pytest.approx(f1, abs=1e-14)
    assert figures_of("g_mean", counts, names) == pytest.approx(np.prod(recalls) ** (1 / classes))
    assert figures_of("accuracy", counts, names) == pytest.approx((labels == called).mean())


@given(called_rows(), st.sampled_from(METRICS[:4]))
def test_a_stack_gives_each_matrix_its_own_figure(rows, metric):
    counts = confusion(*rows)
    stack = np.stack([counts, counts * 3, np.zeros_like(counts)])
    found = figures_of(metric, stack, range(rows[2]))
    assert found[0] == pytest.approx(figures_of(metric, counts, range(rows[2])))
    assert found[0] == pytest.approx(found[1])
    assert np.isnan(found[2])


def drawn_scores(seed: int, classes: int, n: int = 50) -> tuple[Scores, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    logits = rng.normal(size=(n, classes)).round(1)
    logits[np.arange(n), labels] += 1
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Scores(p.argmax(axis=1), p), labels, np.bincount(labels) / n


# average precision


def test_average_precision_by_hand():
    p = np.array([0.9, 0.8, 0.7, 0.6])
    seen = Scores(np.ones(4, dtype=np.int64), np.stack([1 - p, p], axis=1))
    found = average_precisions(seen.values, np.array([1, 0, 1, 0]), classes=2)
    assert found[1] == pytest.approx((1 + 2 / 3) / 2)
    assert found[0] == pytest.approx((1 + 2 / 3) / 2)  # ranks 1 and 3 from the other end


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_average_precision_agrees_with_scikit_learn(seed, classes):
    seen, labels, _ = drawn_scores(seed, classes)
    for label, found in enumerate(average_precisions(seen.values, labels, classes)):
        expected = metrics.average_precision_score(labels == label, seen.values[:, label])
        assert found == pytest.approx(expected, abs=1e-12)


def test_equal_scores_give_the_base_rate():
    seen = Scores(np.zeros(8, dtype=np.int64), np.full((8, 2), 0.5))
    assert average_precisions(seen.values, np.array([1, 1] + [0] * 6), 2) == [0.75, 0.25]


def test_classes_without_rows_and_learners_without_scores_have_none():
    seen, labels, _ = drawn_scores(0, 2)
    padded = Scores(seen.called, np.pad(seen.values, ((0, 0), (0, 1))))
    assert average_precisions(padded.values, labels, 3)[2] is None
    assert average_precisions(None, labels, 2) == [None, None]


# calibration


def test_calibration_by_hand():
    found = calibration(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
    assert found["log_loss"] == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    assert found["brier"] == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2)


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_losses_agree_with_scikit_learn(seed, classes):
    seen, labels, _ = drawn_scores(seed, classes)
    found = calibration(seen.values, labels)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, seen.values), abs=1e-12)
    brier = np.mean(
        [((p - np.eye(classes)[y]) ** 2).sum() for p, y in zip(seen.values, labels, strict=True)]
    )
    assert found["brier"] == pytest.approx(brier, abs=1e-12)
    if classes == 2:
        half = metrics.brier_score_loss(labels, seen.values[:, 1])
        assert found["brier"] == pytest.approx(2 * half, abs=1e-12)


def test_certain_mistakes_cost_a_finite_loss():
    found = calibration(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    assert found["log_loss"] == pytest.approx(-np.log(1e-6) / 2)


# a split


def test_a_split_has_both_columns_and_both_calibrations():
    seen, labels, real = drawn_scores(1, 2)
    even = np.array([0.5, 0.5])
    found = split_figures(seen, labels, even, real, "balanced_accuracy")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    called = corrected_decision(seen, even, real, "balanced_accuracy")
    assert found["confusion"]["corrected"] == metrics.confusion_matrix(labels, called).tolist()
    assert found["confusion"]["default"] == metrics.confusion_matrix(labels, seen.called).tolist()
    assert found["calibration"]["before"] == calibration(seen.values, labels)
    assert found["calibration"]["before"] != found["calibration"]["after"]


def test_without_probabilities_there_is_one_column():
    seen, labels, real = drawn_scores(1, 3)
    ranked = split_figures(seen, labels, real, real, "average_precision")
    assert ranked["confusion"]["corrected"] is None
    silent = split_figures(Scores(labels, None), labels, real, real, "accuracy")
    assert silent["confusion"]["corrected"] is silent["calibration"] is None
    assert silent["average_precision"] == [None] * 3
