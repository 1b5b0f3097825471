"""Metrics of confusion counts and of scores. Decisions are made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.report.wording import METRICS as NAMES

METRICS = tuple(NAMES)
"""What may be primary; the default first. All in 0..1, higher is better."""
OF_RANKS = ("average_precision",)
"""Metrics of a ranking, which no decision changes: they cannot be had from counts."""

LEAST_PROBABILITY = 1e-6

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def confusion(labels: NDArray[np.int64], called: NDArray[np.int64], classes: int) -> Counts:
    """Count how often a row of one class is called another: int64 (K, K), rows = truth.

    labels, called: int64 (N,), both in 0..classes - 1. No row is dropped.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(labels * classes + called, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64, copy=False)


def figure(metric: str, counts: Counts, evaluated: Sequence[int]) -> float:
    """Compute a metric of one confusion matrix (K, K); see `figures_of`.

    >>> figure("balanced_accuracy", np.array([[1, 1], [0, 1]]), [0, 1])
    0.75
    """
    return float(figures_of(metric, counts, evaluated))


def figures_of(metric: str, counts: Counts, evaluated: Sequence[int]) -> NDArray[np.float64]:
    """Compute a metric of each confusion matrix: (..., K, K) -> float64 (...), in 0..1.

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
    present = rows > 0
    n = present.sum(axis=-1)
    if metric == "g_mean":
        product = np.prod(np.where(present, each, 1.0), axis=-1)
        powers = product ** (1 / np.maximum(n, 1))
        return np.asarray(np.where(n > 0, powers, np.nan))
    return _ratio((each * present).sum(axis=-1), n, np.nan)


def _ratio(above: NDArray[np.float64] | Counts, below: Counts, empty: float) -> NDArray[np.float64]:
    """above / below, and `empty` where below is 0."""
    filled = np.full(np.shape(below), empty, dtype=np.float64)
    return np.divide(above, below, out=filled, where=np.asarray(below) > 0)


BINS = 10


def average_precisions(
    scores: Values | None,
    labels: NDArray[np.int64],
    classes: int,
    only: Sequence[int] | None = None,
) -> list[float | None]:
    """Compute the average precision of each class against the rest, by the learner's scores.

    sum over distinct scores of (gain in recall) * precision, ties as one step; the base rate is
    what a random order gets. scores: (N, K), higher for the likelier class. None without scores,
    and for a class without rows. only: these classes, in this order.

    >>> scores = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
    >>> average_precisions(scores, np.array([0, 1, 0]), classes=2)[1]
    0.5
    """
    chosen = range(classes) if only is None else only
    if scores is None:
        return [None for _ in chosen]
    return [_average_precision(scores[:, label], labels == label) for label in chosen]


def calibration(probability: Values, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Measure how far probabilities (N, K) can be taken at their word, N >= 1.

    log_loss: mean -log of the true class's probability in nats, clipped to 1e-6..1. brier: mean
    squared distance to the truth summed over classes, 0..2 (half of it is the usual figure for two
    classes). calibration_error: |confidence - share right| of the called class, weighted over 10
    bins of equal width. bins: [n, mean confidence, share right], None for both where n is 0.
    Sources: Brier 1950, "Verification of forecasts expressed in terms of probability"; Guo et al.
    2017, "On calibration of modern neural networks", eq. 3.
    """
    rows = np.arange(len(labels))
    own = probability[rows, labels]
    called = probability.argmax(axis=1)
    confidence, right = probability[rows, called], called == labels
    squares = np.einsum("nk,nk->n", probability, probability) - 2 * own + 1
    at = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    n = np.bincount(at, minlength=BINS)
    sums = np.bincount(at, confidence, minlength=BINS)
    hits = np.bincount(at, right, minlength=BINS)
    return {
        "log_loss": float(-np.log(np.clip(own, LEAST_PROBABILITY, 1.0)).mean()),
        "brier": float(squares.mean()),
        "calibration_error": float(np.abs(sums - hits).sum() / len(labels)),
        "bins": [
            [int(count), float(total / count), float(hit / count)] if count else [0, None, None]
            for count, total, hit in zip(n, sums, hits, strict=True)
        ],
    }


def _average_precision(values: Values, own: NDArray[np.bool_]) -> float | None:
    positive = np.sort(values[own])
    if not len(positive):
        return None
    steps, counts = np.unique(positive, return_counts=True)
    above = len(values) - np.searchsorted(np.sort(values), steps, side="left")
    hits = np.cumsum(counts[::-1])[::-1]
    return float((counts * hits / above).sum() / len(positive))
