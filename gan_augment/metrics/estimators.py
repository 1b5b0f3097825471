"""What the diagnostics take as a classifier: an estimator, or a function that fits one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, UsageError

Predict = Callable[[NDArray[Any]], Any]
"""Rows (N, ...) -> a label for each, (N,)."""


@runtime_checkable
class Estimator(Protocol):
    """What fits (X, y) and predicts y, as scikit-learn's classifiers do."""

    def fit(self, x: Any, y: Any, /) -> object: ...

    def predict(self, x: Any, /) -> Any: ...


Learner = Estimator | Callable[[NDArray[Any], NDArray[Any]], Predict]
"""An estimator, of which a copy is fitted, or a function (X, y) -> predict."""


def accuracy(
    learner: Learner,
    train: tuple[NDArray[Any], NDArray[Any]],
    test: tuple[NDArray[Any], NDArray[Any]],
) -> float:
    """The share 0..1 of the rows of `test` (X, y) that the learner, fitted on `train`, calls right.

    Raises UsageError for what is no learner, DataError where it gives another number of labels.
    """
    x, y = test
    if isinstance(learner, Estimator):
        model = copy.deepcopy(learner)
        model.fit(*train)
        predict: Predict = model.predict
    elif callable(learner):
        predict = learner(*train)
    else:
        raise UsageError(
            f"{type(learner).__name__} is no learner; expected an object with fit and predict, or "
            "a function (X, y) -> predict."
        )
    said = np.asarray(predict(x))
    if said.shape != y.shape:
        raise DataError(
            f"the learner gave shape {said.shape} for {len(y)} rows; expected a label each."
        )
    return float(np.mean(said == y))
