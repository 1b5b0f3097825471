"""GAN-train, GAN-test, class fidelity: hand values, invariants, and scikit-learn's scores."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from gan_augment.errors import DataError
from gan_augment.metrics import class_fidelity, gan_test, gan_train

X, Y = make_classification(400, 8, n_informative=5, n_classes=3, random_state=0)
REAL, MADE, HELD = (X[:150], Y[:150]), (X[150:280] + 0.8, Y[150:280]), (X[280:], Y[280:])


def majority(x: np.ndarray, y: np.ndarray) -> object:
    values, counts = np.unique(y, return_counts=True)
    return lambda rows: np.repeat(values[counts.argmax()], len(rows))


def test_a_learner_of_the_majority_gives_the_shares_worked_by_hand() -> None:
    real = [[0.0]] * 4, ["a", "a", "a", "b"]
    made = [[0.0]] * 5, ["b", "b", "b", "b", "a"]
    held = [[0.0]] * 2, ["a", "a"]
    assert gan_train(majority, real, made, held) == (0.0, 1.0)
    assert gan_test(majority, real, made, held) == (0.2, 1.0)


def test_real_rows_as_synthetic_ones_reach_the_reference() -> None:
    model = LogisticRegression()
    value, reference = gan_train(model, REAL, REAL, HELD)
    assert value == reference
    value, reference = gan_test(model, REAL, HELD, HELD)
    assert value == reference
    assert not hasattr(model, "coef_")


def test_they_agree_with_scikit_learn() -> None:
    by_real, by_made = LogisticRegression().fit(*REAL), LogisticRegression().fit(*MADE)
    reference = accuracy_score(HELD[1], by_real.predict(HELD[0]))
    trained = accuracy_score(HELD[1], by_made.predict(HELD[0]))
    tested = accuracy_score(MADE[1], by_real.predict(MADE[0]))
    assert gan_train(LogisticRegression(), REAL, MADE, HELD) == (trained, reference)
    assert gan_test(LogisticRegression(), REAL, MADE, HELD) == (tested, reference)
    assert class_fidelity(MADE[1], by_real.predict(MADE[0])) == tested


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(DataError, match="synthetic has rows"):
        gan_train(majority, REAL, (X[:3], Y[:2]), HELD)
    with pytest.raises(DataError, match="expected"):
        class_fidelity([1, 2], [1])
    with pytest.raises(DataError, match="N >= 1"):
        class_fidelity([], [])
