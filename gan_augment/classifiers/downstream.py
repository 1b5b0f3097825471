"""Quick downstream score of a top-up: four classifiers trained with it, scored on other rows.

scikit-learn's logistic regression, histogram boosting, random forest and nearest neighbours, on
encoded rows. No generator, no frames.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Usefulness:
    """How useful one training set is: means over the classifiers, each in 0..1.

    balanced_accuracy: mean recall over classes, at the default decision. average_precision: mean
    over the rare classes, one against the rest.
    """

    balanced_accuracy: float
    average_precision: float

    @property
    def value(self) -> float:
        """The mean of both; higher is better."""
        return (self.balanced_accuracy + self.average_precision) / 2


def usefulness(
    train: tuple[Matrix, Labels], test: tuple[Matrix, Labels], rare: Sequence[int], seed: int
) -> Usefulness:
    """Train the classifiers on (x (N, width), y (N,)), one thread; score them on `test`."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    x, y = train
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are enough to compare
        figures = [_scored(model.fit(x, y), test, rare) for model in _classifiers(seed)]
    balanced, precision = np.mean(figures, axis=0)
    return Usefulness(float(balanced), float(precision))


def _classifiers(seed: int):  # type: ignore[no-untyped-def]
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    seed %= 2**32  # what scikit-learn takes
    return (
        LogisticRegression(max_iter=100),
        HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=seed),
        RandomForestClassifier(50, random_state=seed),
        KNeighborsClassifier(5),
    )


def _scored(model, test: tuple[Matrix, Labels], rare: Sequence[int]) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """(balanced accuracy, mean average precision of the rare classes that the test rows hold)."""
    from sklearn.metrics import average_precision_score

    x, y = test
    known = list(model.classes_)
    probability = model.predict_proba(x)
    called = model.classes_[probability.argmax(axis=1)]
    recalls = [float((called[y == label] == label).mean()) for label in np.unique(y)]
    precisions = [
        float(average_precision_score(y == label, probability[:, known.index(label)]))
        for label in rare
        if label in known and (y == label).any()
    ]
    return float(np.mean(recalls)), float(np.mean(precisions)) if precisions else 0.0
