"""What is relied on where confusion counts and scores become metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from gan_augment.evaluation.decisions import (
    METRICS,
    Scores,
    average_precisions,
    calibration,
    confusion,
    corrected_decision,
    figure,
    figures_of,
    split_figures,
)

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
    assert figure("balanced_accuracy", COUNTS, [0, 1, 2]) == pytest.approx(sum(recalls) / 3)
    assert figure("macro_f1", COUNTS, [0, 1, 2]) == pytest.approx(sum(f1) / 3)
    assert figure("g_mean", COUNTS, [0, 1, 2]) == pytest.approx(np.prod(recalls) ** (1 / 3))
    assert figure("accuracy", COUNTS, [0, 1, 2]) == pytest.approx(12 / 20)


def test_metrics_are_over_the_evaluated_classes_but_no_row_is_dropped():
    assert figure("balanced_accuracy", COUNTS, [0, 1]) == pytest.approx((0.8 + 0.75) / 2)
    f1 = 16 / (10 + 13), 6 / (4 + 6)  # the six rows of class 2 still count where they were called
    assert figure("macro_f1", COUNTS, [0, 1]) == pytest.approx(sum(f1) / 2)
    assert figure("accuracy", COUNTS, [0, 1]) == pytest.approx(12 / 20)


def test_a_class_that_is_never_called_scores_0():
    counts = np.array([[5, 0], [3, 0]])
    assert figure("balanced_accuracy", counts, [0, 1]) == 0.5
    assert figure("macro_f1", counts, [0, 1]) == pytest.approx(10 / 13 / 2)
    assert figure("g_mean", counts, [0, 1]) == 0


def test_a_class_without_test_rows_does_not_count():
    counts = np.array([[4, 0, 1], [0, 0, 0], [1, 0, 1]])
    for metric in ("balanced_accuracy", "macro_f1", "g_mean"):
        assert figure(metric, counts, [0, 1, 2]) == figure(metric, counts, [0, 2])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "g_mean", "accuracy"])
def test_without_test_rows_there_is_no_figure(metric: str):
    assert np.isnan(figure(metric, np.zeros((2, 2), dtype=np.int64), [0, 1]))


@given(called_rows())
def test_the_metrics_agree_with_scikit_learn(rows):
    labels, called, classes = rows
    counts, names = confusion(labels, called, classes), range(classes)
    recalls = metrics.recall_score(labels, called, labels=names, average=None, zero_division=0)
    f1 = metrics.f1_score(labels, called, labels=names, average="macro", zero_division=0)
    assert counts.tolist() == metrics.confusion_matrix(labels, called, labels=names).tolist()
    assert figure("balanced_accuracy", counts, names) == pytest.approx(recalls.mean(), abs=1e-14)
    assert figure("macro_f1", counts, names) == pytest.approx(f1, abs=1e-14)
    assert figure("g_mean", counts, names) == pytest.approx(np.prod(recalls) ** (1 / classes))
    assert figure("accuracy", counts, names) == pytest.approx((labels == called).mean())


@given(called_rows(), st.sampled_from(METRICS[:4]))
def test_a_stack_gives_each_matrix_its_own_figure(rows, metric):
    counts = confusion(*rows)
    stack = np.stack([counts, counts * 3, np.zeros_like(counts)])
    found = figures_of(metric, stack, range(rows[2]))
    assert found[0] == pytest.approx(figure(metric, counts, range(rows[2])))
    assert found[0] == pytest.approx(found[1])
    assert np.isnan(found[2])


def drawn(seed: int, classes: int, n: int = 50) -> tuple[Scores, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    logits = rng.normal(size=(n, classes)).round(1)
    logits[np.arange(n), labels] += 1
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Scores(p.argmax(axis=1), p, "probability"), labels, np.bincount(labels) / n


# average precision


def test_average_precision_by_hand():
    p = np.array([0.9, 0.8, 0.7, 0.6])
    seen = Scores(np.ones(4, dtype=np.int64), np.stack([1 - p, p], axis=1), "probability")
    found = average_precisions(seen.ranking, np.array([1, 0, 1, 0]), classes=2)
    assert found[1] == pytest.approx((1 + 2 / 3) / 2)
    assert found[0] == pytest.approx((1 + 2 / 3) / 2)  # ranks 1 and 3 from the other end


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_average_precision_agrees_with_scikit_learn(seed, classes):
    seen, labels, _ = drawn(seed, classes)
    for label, found in enumerate(average_precisions(seen.ranking, labels, classes)):
        expected = metrics.average_precision_score(labels == label, seen.values[:, label])
        assert found == pytest.approx(expected, abs=1e-12)


def test_equal_scores_give_the_base_rate():
    seen = Scores(np.zeros(8, dtype=np.int64), np.full((8, 2), 0.5), "probability")
    assert average_precisions(seen.ranking, np.array([1, 1] + [0] * 6), 2) == [0.75, 0.25]


def test_of_two_decision_values_each_class_has_a_ranking_of_its_own():
    values = np.array([[0.0, 2.0], [0.0, -1.0], [0.0, -3.0]])
    seen = Scores(np.array([1, 0, 0]), values, "decision")
    assert average_precisions(seen.ranking, np.array([1, 0, 0]), 2) == [1.0, 1.0]


def test_classes_without_rows_and_learners_without_scores_have_none():
    seen, labels, _ = drawn(0, 2)
    padded = Scores(seen.called, np.pad(seen.values, ((0, 0), (0, 1))), "probability")
    assert average_precisions(padded.ranking, labels, 3)[2] is None
    assert average_precisions(None, labels, 2) == [None, None]


# calibration


def test_calibration_by_hand():
    found = calibration(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
    assert found["log_loss"] == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    assert found["brier"] == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2)
    assert found["calibration_error"] == pytest.approx(0.25)
    assert found["bins"][7] == [2, 0.75, 0.5]
    assert found["bins"][0] == [0, None, None]


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_losses_agree_with_scikit_learn(seed, classes):
    seen, labels, _ = drawn(seed, classes)
    found = calibration(seen.values, labels)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, seen.values), abs=1e-12)
    brier = np.mean(
        [((p - np.eye(classes)[y]) ** 2).sum() for p, y in zip(seen.values, labels, strict=True)]
    )
    assert found["brier"] == pytest.approx(brier, abs=1e-12)
    if classes == 2:
        half = metrics.brier_score_loss(labels, seen.values[:, 1])
        assert found["brier"] == pytest.approx(2 * half, abs=1e-12)
    n = [count for count, _, _ in found["bins"]]
    gaps = [abs(mean - right) for count, mean, right in found["bins"] if count]
    assert sum(n) == len(labels)
    weighted = np.average(gaps, weights=[count for count in n if count])
    assert found["calibration_error"] == pytest.approx(weighted)


def test_certainty_is_in_the_last_bin_and_certain_mistakes_cost_a_finite_loss():
    found = calibration(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    assert found["bins"][9] == [2, 1.0, 0.5]
    assert found["log_loss"] == pytest.approx(-np.log(1e-6) / 2)


# a split


def test_a_split_has_both_columns_and_both_calibrations():
    seen, labels, real = drawn(1, 2)
    even = np.array([0.5, 0.5])
    found = split_figures(seen, labels, even, real, "balanced_accuracy")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    called = corrected_decision(seen, even, real, "balanced_accuracy")
    assert found["confusion"]["corrected"] == metrics.confusion_matrix(labels, called).tolist()
    assert found["confusion"]["default"] == metrics.confusion_matrix(labels, seen.called).tolist()
    assert found["calibration"]["before"] == calibration(seen.values, labels)
    assert found["calibration"]["before"] != found["calibration"]["after"]


def test_without_probabilities_there_is_one_column():
    seen, labels, real = drawn(1, 3)
    ranked = split_figures(seen, labels, real, real, "average_precision")
    assert ranked["confusion"]["corrected"] is None
    silent = split_figures(Scores(labels, None, "none"), labels, real, real, "accuracy")
    assert silent["confusion"]["corrected"] is silent["calibration"] is None
    assert silent["average_precision"] == [None] * 3
    values = Scores(labels, seen.values, "decision")
    assert split_figures(values, labels, real, real, "accuracy")["calibration"] is None
