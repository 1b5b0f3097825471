"""What is relied on where confusion counts become metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from gan_augment.errors import UsageError
from gan_augment.evaluation.figures import METRICS, confusion, figure, figures_of

COUNTS = np.array([[8, 2, 0], [1, 3, 0], [4, 1, 1]])


@st.composite
def called_rows(draw):
    """(labels, called, K), every class with a row."""
    classes = draw(st.integers(2, 5))
    labels = list(range(classes)) + draw(st.lists(st.integers(0, classes - 1), max_size=40))
    called = draw(st.lists(st.integers(0, classes - 1), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(called), classes


def test_rows_of_a_confusion_are_the_truth():
    counts = confusion(np.array([0, 0, 2]), np.array([0, 1, 1]), classes=3)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert counts.dtype == np.int64


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


def test_a_metric_of_ranks_or_an_unknown_one_is_refused():
    with pytest.raises(UsageError, match="'average_precision' of confusion counts"):
        figure("average_precision", COUNTS, [0])
    with pytest.raises(UsageError, match="Did you mean 'accuracy'"):
        figure("acuracy", COUNTS, [0])
