"""GAN-train and GAN-test: can a classifier learn from synthetic rows, and recognise them?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError
from gan_augment.metrics.estimators import Learner, accuracy

Labelled = tuple[ArrayLike, ArrayLike]
"""Rows (N, ...) and the label of each (N,)."""


class Score(NamedTuple):
    """An accuracy 0..1, and the same with real rows in the place of the synthetic ones."""

    value: float
    reference: float


def gan_train(learner: Learner, real: Labelled, synthetic: Labelled, held_out: Labelled) -> Score:
    """The accuracy on held-out real rows of a classifier that learned from synthetic rows alone.

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
    a, b, test = (
        _checked(real, "real"),
        _checked(synthetic, "synthetic"),
        _checked(held_out, "held_out"),
    )
    return Score(accuracy(learner, b, test), accuracy(learner, a, test))


def gan_test(learner: Learner, real: Labelled, synthetic: Labelled, held_out: Labelled) -> Score:
    """The accuracy on synthetic rows of a classifier that learned from real rows.

    Its reference is its accuracy on held-out real rows: below it, labels or looks are wrong; above
    it, synthetic rows are typical or copied. Arguments, errors: as `gan_train`.
    Source: Shmelkov et al. 2018, "How good is my GAN?", section 3.
    """
    a, b, test = (
        _checked(real, "real"),
        _checked(synthetic, "synthetic"),
        _checked(held_out, "held_out"),
    )
    return Score(accuracy(learner, a, b), accuracy(learner, a, test))


def _checked(given: Labelled, name: str) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    x, y = (np.asarray(part) for part in given)
    if x.ndim < 2 or y.shape != (len(x),) or not len(x):
        raise DataError(
            f"{name} has rows of shape {x.shape} and labels of {y.shape}; "
            "expected (N, ...) and (N,) with N >= 1."
        )
    return x, y
