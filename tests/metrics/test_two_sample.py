"""The two-sample test: hand values, invariants, and scikit-learn's own cross-validation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from gan_augment.errors import DataError, UsageError
from gan_augment.metrics import two_sample_test, wilson_interval

RNG = np.random.default_rng(0)


def test_a_learner_that_always_says_real_is_right_in_half() -> None:
    def always_real(x: np.ndarray, y: np.ndarray) -> object:
        return lambda rows: np.zeros(len(rows), dtype=int)

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


def test_the_order_of_rows_changes_nothing_and_the_seed_does() -> None:
    a, b = RNG.normal(size=(50, 3)), RNG.normal(size=(20, 3)) + 0.2
    assert two_sample_test(a, b, seed=1) == two_sample_test(a[::-1], RNG.permutation(b), seed=1)
    assert len({two_sample_test(a, b, seed=i).value for i in range(6)}) > 1


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(DataError, match="N >= 4"):
        two_sample_test(np.eye(3), np.eye(3))
    with pytest.raises(UsageError, match="int is no learner"):
        two_sample_test(np.eye(5), np.eye(5), 7)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a label each"):
        two_sample_test(np.eye(5), np.eye(5), lambda x, y: lambda rows: rows)
