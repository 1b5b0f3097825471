"""What classifiers tell of generated rows: two-sample test, class fidelity, GAN-train, GAN-test.

What counts as a classifier here, and proportions with their intervals.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError, UsageError
from gan_augment.metrics.distances import draw_rows, feature_sets
from gan_augment.rng import rng_for

_FOLDS = 5

Labelled = tuple[ArrayLike, ArrayLike]
"""Rows (N, ...) and the label of each (N,)."""

Arrays = tuple[NDArray[Any], NDArray[Any]]

Predict = Callable[[NDArray[Any]], Any]
"""Rows (N, ...) -> a label for each, (N,)."""


@runtime_checkable
class Estimator(Protocol):
    """What fits (X, y) and predicts y, as scikit-learn's classifiers do."""

    def fit(self, x: Any, y: Any, /) -> object: ...

    def predict(self, x: Any, /) -> Any: ...


Learner = Estimator | Callable[[NDArray[Any], NDArray[Any]], Predict]
"""An estimator, which is copied before it is fitted, or a function (X, y) -> predict."""


class Proportion(NamedTuple):
    """A share 0..1 with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, trials: float) -> Proportion:
        """Add the Wilson interval to a share that is worth so many independent trials."""
        return cls(value, *wilson_interval(value * trials, of=trials))


class Score(NamedTuple):
    """An accuracy 0..1, and the same with real rows in the place of the synthetic ones."""

    value: float
    reference: float


def wilson_interval(hits: float, of: float) -> tuple[float, float]:
    """Compute the 95 % interval of a share, from `hits` successes in `of` independent trials.

    Bounds: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with z = 1.96. Half hits
    (ties) are welcome, which `scipy.stats.binomtest` refuses.
    Source: Wilson 1927, "Probable inference, the law of succession", JASA 22.
    Raises UsageError where not 0 <= hits <= of, of > 0.

    >>> [round(bound, 4) for bound in wilson_interval(5, of=10)]
    [0.2366, 0.7634]
    """
    if not (of > 0 and 0 <= hits <= of):
        raise UsageError(f"{hits} hits of {of}; expected 0 <= hits <= trials and a trial at least.")
    z = 1.959963984540054
    share, scale = hits / of, 1 + z * z / of
    centre = share + z * z / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + (z / (2 * of)) ** 2)
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def two_sample_test(
    real: ArrayLike, synthetic: ArrayLike, learner: Learner | None = None, *, seed: int = 0
) -> Proportion:
    """Measure the accuracy of "real or synthetic?" on rows that the classifier did not see.

    Ideal .5. Equally many of both are drawn and judged in five folds (four for four rows), each by
    a copy of the learner (or a function that fits) on the others. Near 1, a classifier to be
    augmented could find "synthetic look = rare class". Default: scikit-learn's logistic regression
    on standardised features.
    Shapes: real (N, d), synthetic (M, d), N and M >= 4 -> share with its Wilson interval. Folds
    share what they train on, so the variance of k folds is taken as 1 + k/(k-1) times that of
    independent judgements (measured: 1.5 to 1.9 times, 20 to 300 rows, 8 to 64 features). Order
    does not matter, the seed does.
    Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"; Nadeau & Bengio 2003,
    "Inference for the generalization error", for the variance.

    >>> real = [[float(i)] for i in range(20)]
    >>> two_sample_test(real, [[row[0] + 50] for row in real]).value
    1.0
    """
    a, b = feature_sets(4, real=real, synthetic=synthetic)
    n = min(len(a), len(b))
    rng = rng_for(seed, "two sample", n)
    x = np.concatenate([draw_rows(a, n, rng), draw_rows(b, n, rng)])
    y = np.repeat([0, 1], n)
    fold = np.concatenate([rng.permutation(n) % _FOLDS for _ in range(2)])
    chosen = _logistic() if learner is None else learner
    hits, folds = 0, min(_FOLDS, n)
    for test in (fold == f for f in range(folds)):
        share = _accuracy(chosen, (x[~test], y[~test]), (x[test], y[test]))
        hits += round(share * int(test.sum()))
    return Proportion.of(hits / (2 * n), 2 * n / (1 + folds / (folds - 1)))


def class_fidelity(asked: ArrayLike, called: ArrayLike) -> float:
    """Compute the share of rows that a classifier of real rows calls what they were asked to be.

    Shapes: asked (N,), called (N,) labels, N >= 1 -> 0..1. The classifier's recall of held-out real
    rows of the class is its floor: no generator can be asked for more.
    Source: Shmelkov et al. 2018, "How good is my GAN?", GAN-test for one class.
    Raises DataError on no labels or unequal shapes.

    >>> class_fidelity(["rare", "rare", "rare", "rare"], ["rare", "rare", "common", "rare"])
    0.75
    """
    expected, predicted = np.asarray(asked), np.asarray(called)
    if expected.ndim != 1 or expected.shape != predicted.shape or not len(expected):
        raise DataError(
            f"asked has shape {expected.shape}, called {predicted.shape}; "
            "expected (N,) twice, N >= 1."
        )
    return float(np.mean(expected == predicted))


def gan_train(learner: Learner, real: Labelled, synthetic: Labelled, held_out: Labelled) -> Score:
    """Measure the accuracy on held-out rows of a classifier that learned from synthetic ones alone.

    Its reference learned from the real rows: the gap is what synthetic rows do not teach. Known as
    the classification accuracy score (CAS). Each argument: (X, y), X (N, ...), N >= 1.
    Source: Ravuri & Vinyals 2019, "Classification accuracy score for conditional generative
    models"; the name is Shmelkov et al.'s of 2018, "How good is my GAN?".
    Raises DataError on unequal lengths or no rows.

    >>> def nearest(x, y):
    ...     return lambda rows: y[np.abs(rows - x.T).argmin(axis=1)]
    >>> real, held_out = ([[0.0], [9.0]], ["a", "b"]), ([[1.0], [7.0]], ["a", "b"])
    >>> gan_train(nearest, real, ([[8.0], [2.0]], ["a", "b"]), held_out)
    Score(value=0.0, reference=1.0)
    """
    a, b, test = _labelled(real=real, synthetic=synthetic, held_out=held_out)
    return Score(_accuracy(learner, b, test), _accuracy(learner, a, test))


def gan_test(learner: Learner, real: Labelled, synthetic: Labelled, held_out: Labelled) -> Score:
    """Measure the accuracy on synthetic rows of a classifier that learned from real rows.

    Its reference is its accuracy on held-out real rows: below it, labels or looks are wrong; above
    it, synthetic rows are typical or copied. Arguments, errors: as `gan_train`.
    Source: Shmelkov et al. 2018, "How good is my GAN?", section 3.
    """
    a, b, test = _labelled(real=real, synthetic=synthetic, held_out=held_out)
    return Score(_accuracy(learner, a, b), _accuracy(learner, a, test))


def _accuracy(learner: Learner, train: Arrays, test: Arrays) -> float:
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
    predicted = np.asarray(predict(x))
    if predicted.shape != y.shape:
        raise DataError(
            f"the learner gave shape {predicted.shape} for {len(y)} rows; expected a label each."
        )
    return float(np.mean(predicted == y))


def _labelled(**sets: Labelled) -> list[Arrays]:
    """Each (X, y) as arrays, checked."""
    checked = []
    for name, pair in sets.items():
        x, y = (np.asarray(part) for part in pair)
        if x.ndim < 2 or y.shape != (len(x),) or not len(x):
            raise DataError(
                f"{name} has rows of shape {x.shape} and labels of {y.shape}; "
                "expected (N, ...) and (N,) with N >= 1."
            )
        checked.append((x, y))
    return checked


def _logistic() -> Estimator:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model: Estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model
