"""Metrics, the scores of a learner, and the decision corrected for class shares.

Topping up a class moves a learner's decision even if it adds no information. So every arm is also
judged after dividing its probabilities by the class shares that the learner was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError
from gan_augment.report.wording import METRICS as NAMES
from gan_augment.storage.journal import packed_labels

METRICS = tuple(NAMES)
"""Metrics that may be primary, the default first. All in 0..1, higher is better."""
OF_RANKS = ("average_precision",)
"""Metrics of a ranking: no decision changes them, and confusion counts do not determine them."""

LEAST_PROBABILITY = 1e-6

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Labels = NDArray[np.int64]


def confusion(labels: NDArray[np.int64], called: NDArray[np.int64], classes: int) -> Counts:
    """Return the confusion matrix: int64 (K, K), rows = truth, columns = predictions.

    labels, called: int64 (N,), both in 0..classes - 1.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(labels * classes + called, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64, copy=False)


def figures_of(metric: str, counts: Counts, evaluated: Sequence[int]) -> NDArray[np.float64]:
    """Compute a metric of each confusion matrix: (..., K, K) -> float64 (...), in 0..1.

    balanced_accuracy: mean recall; macro_f1: mean of 2 TP / (2 TP + FP + FN); g_mean: geometric
    mean recall. These average the evaluated classes that have test rows; a class that is never
    predicted scores 0. Rows of other classes count as false positives. accuracy: over all rows.
    NaN without such rows. Metrics of ranks have no figure here.

    >>> float(figures_of("balanced_accuracy", np.array([[1, 1], [0, 1]]), [0, 1]))
    0.75
    """
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
    """Divide above by below, with `empty` where below is 0."""
    filled = np.full(np.shape(below), empty, dtype=np.float64)
    return np.divide(above, below, out=filled, where=np.asarray(below) > 0)


def average_precisions(scores: Values | None, labels: Labels, classes: int) -> list[float | None]:
    """Compute the average precision of each class against the rest.

    The sum over distinct scores of (gain in recall) * precision, with ties as one step; a random
    order scores the base rate. scores: (N, K), higher for the likelier class. None without scores,
    and for a class without rows.

    >>> scores = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
    >>> average_precisions(scores, np.array([0, 1, 0]), classes=2)[1]
    0.5
    """
    from sklearn.metrics import average_precision_score

    found: list[float | None] = [None] * classes
    if scores is None:
        return found
    for label in np.unique(labels).tolist():
        found[label] = float(average_precision_score(labels == label, scores[:, label]))
    return found


def calibration(probability: Values, labels: NDArray[np.int64]) -> dict[str, float]:
    """Measure the calibration of probabilities (N, K), N >= 1.

    log_loss: mean -log of the true class's probability in nats, clipped to 1e-6..1. brier: mean
    squared distance to the truth summed over classes, 0..2 (twice the usual figure for two
    classes). Source: Brier 1950, "Verification of forecasts expressed in terms of probability".
    """
    own = probability[np.arange(len(labels)), labels]
    squares = np.einsum("nk,nk->n", probability, probability) - 2 * own + 1
    return {
        "log_loss": float(-np.log(np.clip(own, LEAST_PROBABILITY, 1.0)).mean()),
        "brier": float(squares.mean()),
    }


@dataclass(frozen=True, eq=False)
class Scores:
    """Predictions of a learner for N rows. Raises DataError if shapes or values cannot be.

    called: int64 (N,), the learner's own decisions. values: float64 (N, K), its probabilities, or
    None.
    """

    called: Labels
    values: Values | None

    def __post_init__(self) -> None:
        if self.values is None:
            return
        shaped = self.values.ndim == 2 and len(self.values) == len(self.called)
        # NaN fails both comparisons
        if not shaped or not ((self.values >= 0) & (self.values <= 1 + 1e-6)).all():
            raise DataError(
                f"the learner's probabilities have the shape {self.values.shape} for "
                f"{len(self.called)} rows, or hold NaN or values outside 0..1; it may have "
                "diverged. Check its settings."
            )


def corrected(probability: Values, trained: Values, real: Values) -> Values:
    """Correct probabilities (N, K) to those of a learner that had seen the real class shares.

    Returns p * real / trained, normalised. trained, real: float64 (K,), class shares of the
    training rows, weights counted, and of the real training rows. A class of trained share 0 stays
    at 0; a row without any probability left gets the real shares of the trained classes. Source:
    Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities", eq.
    2.4.

    >>> corrected(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.9, 0.1])).tolist()
    [[0.9, 0.1]]
    """
    seen = trained > 0
    weighted = probability * np.divide(real, trained, out=np.zeros(len(real)), where=seen)
    total = weighted.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        weighted = np.where(total > 0, weighted, real * seen)
        total = weighted.sum(axis=1, keepdims=True)
    normalised: Values = weighted / total
    return normalised


def corrected_decision(scores: Scores, trained: Values, real: Values, metric: str) -> Labels | None:
    """Decide by the probabilities that are corrected to even class shares; int64 (N,).

    This is optimal for mean recall if the probabilities are right. For accuracy they are corrected
    to the real shares. trained, real: as for `corrected`. None for metrics of ranks, and for
    learners without probabilities: these have only their own decision. Source: Menon et
    al. 2021, "Long-tail learning via logit adjustment", section 4.1.

    >>> scores = Scores(np.array([0]), np.array([[0.7, 0.3]]))
    >>> shares = np.array([0.9, 0.1])
    >>> corrected_decision(scores, shares, shares, "balanced_accuracy").tolist()
    [1]
    """
    if metric in OF_RANKS or scores.values is None:
        return None
    wanted = real if metric == "accuracy" else (real > 0).astype(np.float64)
    called: Labels = corrected(scores.values, trained, wanted).argmax(axis=1)
    return called


def split_figures(
    scores: Scores, labels: Labels, trained: Values, real: Values, metric: str
) -> dict[str, Any]:
    """Return the figures of one fit on N test rows as JSON.

    "confusion" (K x K) and "called" (packed labels), each {"default", "corrected"}, the latter None
    without probabilities; "average_precision", K values or None; "calibration", {"before", "after"}
    correcting the class shares, or None. labels: the truth, int64 (N,).
    """
    fair = corrected_decision(scores, trained, real, metric)
    called = {"default": scores.called, "corrected": fair}
    k, calibrations = len(real), None
    if scores.values is not None and len(labels):
        pairs = {"before": scores.values, "after": corrected(scores.values, trained, real)}
        calibrations = {when: calibration(each, labels) for when, each in pairs.items()}
    return {
        "confusion": {
            column: None if own is None else confusion(labels, own, k).tolist()
            for column, own in called.items()
        },
        "average_precision": average_precisions(scores.values, labels, k),
        "calibration": calibrations,
        "called": {
            column: None if own is None else packed_labels(own) for column, own in called.items()
        },
    }
