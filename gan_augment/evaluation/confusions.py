"""Metrics of confusion counts, one matrix or a stack of them. No scores, no decisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import UsageError, did_you_mean

SAID = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "g_mean": "G-mean",
    "accuracy": "accuracy",
    "average_precision": "average precision",
}
"""How people call the metrics."""
METRICS = tuple(SAID)
"""What may be primary; the default first. All in 0..1, higher is better."""
OF_RANKS = ("average_precision",)
"""Metrics of a ranking, which no decision changes: they cannot be had from counts."""

Counts = NDArray[np.int64]


def confusion(labels: NDArray[np.int64], called: NDArray[np.int64], classes: int) -> Counts:
    """How often a row of one class is called another: int64 (K, K), rows = truth.

    labels, called: int64 (N,), both in 0..classes - 1. No row is dropped.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(labels * classes + called, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64, copy=False)


def figure(metric: str, counts: Counts, evaluated: Sequence[int]) -> float:
    """A metric of one confusion matrix (K, K) over the `evaluated` classes; see `figures_of`.

    >>> figure("balanced_accuracy", np.array([[1, 1], [0, 1]]), [0, 1])
    0.75
    """
    return float(figures_of(metric, counts, evaluated))


def figures_of(metric: str, counts: Counts, evaluated: Sequence[int]) -> NDArray[np.float64]:
    """A metric of each confusion matrix: (..., K, K) -> float64 (...), in 0..1.

    balanced_accuracy: mean recall; macro_f1: mean of 2 TP / (2 TP + FP + FN); g_mean: geometric
    mean recall. These are over the evaluated classes that have test rows, and a class that is
    never called scores 0; rows of other classes count where they are called an evaluated one.
    accuracy: over all rows. NaN where there are no such rows.

    UsageError: an unknown metric, or one that is not a matter of counts.
    """
    if metric not in METRICS or metric in OF_RANKS:
        names = tuple(name for name in METRICS if name not in OF_RANKS)
        raise UsageError(
            f"the metric {metric!r} of confusion counts; expected one of {names}."
            f"{did_you_mean(metric, names)}"
        )
    truth = counts.sum(axis=-1)
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    if metric == "accuracy":
        return _ratio(right.sum(axis=-1), truth.sum(axis=-1), np.nan)
    chosen = list(evaluated)
    right, rows = right[..., chosen], truth[..., chosen]
    if metric == "macro_f1":
        each = _ratio(2 * right, rows + counts.sum(axis=-2)[..., chosen], 0)
    else:
        each = _ratio(right, rows, 0)
    held = rows > 0
    n = held.sum(axis=-1)
    if metric == "g_mean":
        product = np.prod(np.where(held, each, 1.0), axis=-1)
        powers = product ** (1 / np.maximum(n, 1))
        return np.asarray(np.where(n > 0, powers, np.nan))
    return _ratio((each * held).sum(axis=-1), n, np.nan)


def _ratio(above: NDArray[np.float64] | Counts, below: Counts, empty: float) -> NDArray[np.float64]:
    """above / below, and `empty` where below is 0."""
    filled = np.full(np.shape(below), empty, dtype=np.float64)
    return np.divide(above, below, out=filled, where=np.asarray(below) > 0)
