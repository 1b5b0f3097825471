"""Quick downstream score of a top-up: values worked by hand, and those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from threadpoolctl import threadpool_info

from gan_augment.classifiers import downstream
from gan_augment.classifiers.downstream import Usefulness, usefulness


class Scripted:
    """A classifier that learned these probabilities by heart."""

    def __init__(self, probability, classes=(0, 1)) -> None:
        self.classes_, self.probability = np.array(classes), np.array(probability)

    def fit(self, x, y):
        return self

    def predict_proba(self, x):
        return self.probability


def judged(monkeypatch, test_y, rare, *models) -> Usefulness:
    monkeypatch.setattr(downstream, "_classifiers", lambda seed: models)
    x, y = np.zeros((len(test_y), 1), np.float32), np.array(test_y)
    return usefulness((x, y), (x, y), rare, 0)


def test_figures_worked_by_hand(monkeypatch):
    # called: 1, 0, 0, 1 of classes 0, 0, 0, 1: recalls 2/3 and 1
    # ranked for class 1: .9 (wrong), .6 (right), ...: one positive at rank 2, precision 1/2
    model = Scripted([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    found = judged(monkeypatch, [0, 0, 0, 1], [1], model)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.average_precision == pytest.approx(1 / 2)
    assert found.value == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_both_classifiers_count_the_same(monkeypatch):
    right = Scripted([[0.9, 0.1], [0.2, 0.8]])
    wrong = Scripted([[0.1, 0.9], [0.8, 0.2]])
    found = judged(monkeypatch, [0, 1], [1], right, wrong)
    assert found.balanced_accuracy == pytest.approx((1 + 0) / 2)
    assert found.average_precision == pytest.approx((1 + 1 / 2) / 2)


def test_precision_is_the_mean_over_the_rare_classes_alone(monkeypatch):
    probability = np.array([[0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.2, 0.2, 0.6]])
    found = judged(monkeypatch, [0, 1, 0, 2], [1, 2], Scripted(probability, (0, 1, 2)))
    # class 1 at .8, before .6 and .4: 1; class 2 at .6, the highest: 1
    assert found.average_precision == 1
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1 + 1) / 3)


def test_a_rare_class_that_no_row_is_of_counts_nothing(monkeypatch):
    model = Scripted([[0.9, 0.1], [0.2, 0.8]])
    assert judged(monkeypatch, [0, 1], [1, 2], model).average_precision == 1
    assert judged(monkeypatch, [0, 0], [1], model).average_precision == 0


def test_a_class_that_was_not_trained_on_is_recalled_never(monkeypatch):
    model = Scripted([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = judged(monkeypatch, [0, 1, 2], [2], model)
    assert found.balanced_accuracy == pytest.approx(2 / 3)
    assert found.average_precision == 0


def two_clouds(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.2).astype(np.int64)
    return (rng.normal(size=(n, 3)) + y[:, None]).astype(np.float32), y


def test_figures_are_those_of_scikit_learn():
    train, test = two_clouds(300, 0), two_clouds(200, 1)
    balanced, precision = [], []
    for model in downstream._classifiers(0):
        model.fit(*train)
        balanced.append(balanced_accuracy_score(test[1], model.predict(test[0])))
        scores = model.predict_proba(test[0])[:, 1]
        precision.append(average_precision_score(test[1], scores))
    found = usefulness(train, test, [1], 0)
    assert found.balanced_accuracy == pytest.approx(np.mean(balanced))
    assert found.average_precision == pytest.approx(np.mean(precision))


def test_the_same_seed_gives_the_same_figures_and_global_numbers_stay():
    train, test = two_clouds(300, 0), two_clouds(200, 1)
    numpy_before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    torch_before = torch.random.get_rng_state()
    threads = [pool["num_threads"] for pool in threadpool_info()]
    assert usefulness(train, test, [1], 7) == usefulness(train, test, [1], 7)
    assert numpy_before == np.random.get_state()[1].tobytes()  # noqa: NPY002
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert [pool["num_threads"] for pool in threadpool_info()][: len(threads)] == threads


def test_rows_far_out_are_no_warning():
    """Vectors of rare levels lie a hundred standard deviations out."""
    (x, y), test = two_clouds(300, 0), two_clouds(200, 1)
    x[:40] *= np.float32(500) * np.arange(1, 4, dtype=np.float32) ** 6
    assert 0 <= usefulness((x, y), test, [1], 0).value <= 1
