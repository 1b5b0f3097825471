"""Classifiers as judges and Wilson intervals: hand values, invariants, scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from gan_augment.metrics import (
    two_sample_test,
    wilson_interval,
)

RNG = np.random.default_rng(0)


def test_a_learner_that_always_says_real_is_right_in_half() -> None:
    always_real = DummyClassifier(strategy="constant", constant=0)
    value, low, high = two_sample_test(np.eye(10), np.eye(10) * 2, always_real)
    assert value == 0.5
    assert (low, high) == wilson_interval(10 / 2.25, of=20 / 2.25)


def test_apart_it_is_one_and_alike_about_one_half() -> None:
    far = two_sample_test(RNG.normal(size=(30, 3)), RNG.normal(size=(90, 3)) + 9)
    assert far.value == 1
    assert far.low > 0.8
    alike = [two_sample_test(*RNG.normal(size=(2, 40, 3)), seed=i) for i in range(30)]
    assert np.mean([share.value for share in alike]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([share.low <= 0.5 <= share.high for share in alike]) >= 0.9


def test_it_agrees_with_cross_validation_by_scikit_learn() -> None:
    a, b = RNG.normal(size=(150, 4)), RNG.normal(size=(150, 4)) + 0.4
    model = make_pipeline(StandardScaler(), LogisticRegression())
    x, y = np.concatenate([a, b]), np.repeat([0, 1], 150)
    expected = np.mean(cross_val_predict(model, x, y, cv=5) == y)
    assert two_sample_test(a, b).value == pytest.approx(expected, abs=0.03)  # other folds


def test_any_estimator_may_judge_and_stays_as_it_was() -> None:
    inner = RNG.normal(size=(80, 2))
    ring = inner / np.linalg.norm(inner, axis=1, keepdims=True) * 3
    tree = DecisionTreeClassifier(random_state=0)
    assert two_sample_test(inner, ring, tree).value > 0.85  # a line cannot tell them apart
    assert not hasattr(tree, "tree_")


def test_no_hit_in_ten_has_the_bound_worked_by_hand() -> None:
    # z^2 / (n + z^2) = 3.8415 / 13.8415
    assert wilson_interval(0, of=10) == pytest.approx((0, 0.27753), abs=1e-5)


def test_it_mirrors_narrows_with_trials_and_takes_half_hits() -> None:
    low, high = wilson_interval(3, of=20)
    assert wilson_interval(17, of=20) == pytest.approx((1 - high, 1 - low))
    widths = [high - low for low, high in (wilson_interval(n / 4, of=n) for n in (2, 10, 99))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (3, 17), (250, 500), (998, 1000)])
def test_it_agrees_with_scipy(hits: int, of: int) -> None:
    expected = binomtest(hits, of).proportion_ci(method="wilson")
    assert wilson_interval(hits, of) == pytest.approx((expected.low, expected.high), rel=1e-9)
