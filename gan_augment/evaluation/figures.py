"""What is measured on the test rows of one split, JSON-ready. Decisions are made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.confusions import METRICS, OF_RANKS, confusion, figure, figures_of
from gan_augment.evaluation.decisions import (
    LEAST_PROBABILITY,
    Decision,
    Labels,
    Scores,
    Values,
    corrected,
)

__all__ = [
    "METRICS",
    "OF_RANKS",
    "average_precisions",
    "calibration",
    "confusion",
    "figure",
    "figures_of",
    "read_figure",
    "score_figure",
    "split_figures",
]

BINS = 10


def split_figures(
    scores: Scores, decision: Decision, labels: Labels, trained: Values, real: Values
) -> dict[str, Any]:
    """All figures of one fit on test rows.

    labels: int64 (N,). trained, real: class shares (K,), as in `decisions.Part`. The keys:
    "confusion": {"default": K x K counts, rows = truth, "tuned": the same under `decision`, None
    where that is the default}; "average_precision": a list of K, None without scores or rows of the
    class; "calibration": {"before": ..., "after": correcting the class shares}, see `calibration`,
    None where there are no probabilities.
    """
    classes = len(real)
    tuned = None
    if decision.rule != "default" and scores.values is not None:
        tuned = confusion(labels, decision.called(scores, trained, real), classes).tolist()
    told = None
    if scores.kind == "probability" and scores.values is not None and len(labels):
        told = {
            "before": calibration(scores.values, labels),
            "after": calibration(corrected(scores.values, trained, real), labels),
        }
    return {
        "confusion": {
            "default": confusion(labels, scores.called, classes).tolist(),
            "tuned": tuned,
        },
        "average_precision": average_precisions(scores, labels, classes),
        "calibration": told,
    }


def read_figure(
    figures: Mapping[str, Any],
    metric: str,
    column: str,
    evaluated: Sequence[int],
    rare: Sequence[int],
) -> float | None:
    """One metric from `split_figures`; None where it is not to be had.

    column: "default" or "tuned". rare: the evaluated classes that are topped up, over which
    average precision is the mean; it does not depend on the column.
    """
    if metric in OF_RANKS:
        return _mean([figures["average_precision"][label] for label in rare])
    counts = figures["confusion"][column]
    found = np.nan if counts is None else figure(metric, np.asarray(counts), evaluated)
    return None if np.isnan(found) else found


def score_figure(
    metric: str,
    scores: Scores,
    decision: Decision,
    labels: Labels,
    trained: Values,
    real: Values,
    *,
    evaluated: Sequence[int],
    rare: Sequence[int],
) -> float | None:
    """One metric of one fit under a decision, without the rest of `split_figures`."""
    if metric in OF_RANKS:
        return _mean(average_precisions(scores, labels, len(real), rare))
    counts = confusion(labels, decision.called(scores, trained, real), len(real))
    found = figure(metric, counts, evaluated)
    return None if np.isnan(found) else found


def average_precisions(
    scores: Scores, labels: Labels, classes: int, only: Sequence[int] | None = None
) -> list[float | None]:
    """Average precision of each class against the rest, by the learner's own scores.

    sum over distinct scores of (gain in recall) * precision, ties as one step; the base rate is
    what a random order gets. None without scores, and for a class without rows. Of two classes with
    decision values, each has its value above the other's. only: these classes, in this order.

    >>> scores = Scores(
    ...     np.array([1, 0, 0]), np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]]), "probability"
    ... )
    >>> average_precisions(scores, np.array([0, 1, 0]), classes=2)[1]
    0.5
    """
    wanted = range(classes) if only is None else only
    if scores.values is None:
        return [None for _ in wanted]
    values = scores.values
    if scores.kind == "decision" and classes == 2:
        second = values[:, 1] - values[:, 0]
        values = np.stack([-second, second], axis=1)
    return [_average_precision(values[:, label], labels == label) for label in wanted]


def calibration(probability: Values, labels: Labels) -> dict[str, Any]:
    """How far probabilities (N, K) can be taken at their word, N >= 1.

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
    steps, found = np.unique(positive, return_counts=True)
    above = len(values) - np.searchsorted(np.sort(values), steps, side="left")
    hits = np.cumsum(found[::-1])[::-1]
    return float((found * hits / above).sum() / len(positive))


def _mean(values: Sequence[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return float(np.mean(held)) if held else None
